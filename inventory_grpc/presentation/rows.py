"""The types of the rows that describe each command and each query."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from google.protobuf.message import Message

from inventory_grpc.application.access import Role
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.queries.snapshot import Queries
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.values import Quantity, StockId
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.validation import Validator


class CommandRow(NamedTuple):
    """One command: an rpc, and an entry of `Command` in a batch."""

    name: str
    """The name of the rpc. It is stored in fingerprints, so it can never change."""
    read: Callable[[Validator, Any], Command]
    """Reads the command from its request."""
    fill: Callable[[Any, Outcome], None]
    """Writes the outcome into the response."""
    role: Role = Role.OPERATOR
    plain: Callable[[StockId, Quantity], Command] | None = None
    """Makes the command of a request that has a stock, a quantity and its id, and nothing else."""


class QueryRow(NamedTuple):
    name: str
    """The name of the rpc."""
    answer: Callable[[Queries, Any, Call], Awaitable[Message]]
    role: Role = Role.READER
