"""The tables of all commands, queries and states, collected from the modules of the nouns."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from google.protobuf.message import Message

from inventory_grpc.domain.policy import ScopedPolicy
from inventory_grpc.domain.product import Product
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.store import Store
from inventory_grpc.domain.values import Expiration, UnitState
from inventory_grpc.presentation import (
    policy,
    product,
    reservation,
    reversal,
    stock,
    stock_commands,
    store,
)
from inventory_grpc.presentation.rows import CommandRow, QueryRow
from inventory_grpc.presentation.to_proto import stock_message


def command_rows(
    default: Expiration, own_states: Collection[UnitState] = ()
) -> Sequence[CommandRow]:
    """Return all commands.

    *default* applies to requests without an expiration; *own_states* are in the settings.
    """
    rows = (
        stock_commands.commands(own_states),
        reservation.commands(default),
        product.COMMANDS,
        store.COMMANDS,
        policy.COMMANDS,
        reversal.COMMANDS,
    )
    return [row for noun in rows for row in noun]


QUERY_ROWS: Final[Sequence[QueryRow]] = (
    *stock.QUERIES,
    *reservation.QUERIES,
    *product.QUERIES,
    *store.QUERIES,
    *policy.QUERIES,
)

MESSAGES: Final[Mapping[type[Any], Callable[[Any], Message]]] = {
    Inventory: stock_message,
    Product: product.product_message,
    Store: store.store_message,
    ScopedPolicy: policy.policy_message,
}
"""Makes the message of a stream's state, which `VERSION_CONFLICT` carries, by its class."""
