"""The read models: tables for queries, derived only from events, with one module for each.

The same code updates, rebuilds and verifies them. A new read model adds a module and a line to
`READ_MODELS`, and increments `VERSION`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import apsw

from inventory_grpc.application.failpoints import reach
from inventory_grpc.application.ports import Query
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.read_models import (
    corrections,
    policies,
    products,
    reservations,
    stocks,
    stores,
    subject_snapshots,
)
from inventory_grpc.infrastructure.read_models.read_model import Find, ReadModel, StateOf

READ_MODELS: Final[tuple[ReadModel, ...]] = (
    stocks.READ_MODEL,
    reservations.READ_MODEL,
    corrections.READ_MODEL,
    subject_snapshots.READ_MODEL,
    products.READ_MODEL,
    stores.READ_MODEL,
    policies.READ_MODEL,
)

VERSION: Final = 9
"""Increment this with every change of a table or projection: older tables are then rebuilt."""

TABLES: Final[tuple[str, ...]] = tuple(name for model in READ_MODELS for name in model.tables)

FIND: Final[Mapping[type[Any], Find]] = {
    key: find for model in READ_MODELS for key, find in model.find.items()
}
"""The functions with which the writer reads stream states, by the class of the keys."""

STATES: Final[Mapping[type[Any], StateOf]] = {
    key: state for model in READ_MODELS for key, state in model.states.items()
}
"""The functions that read the newest state of a key, by the class of the key."""

ANSWERS: Final[Mapping[type[Query[Any]], Callable[[apsw.Connection, Any], Any]]] = {
    query: answer for model in READ_MODELS for query, answer in model.answers.items()
}
"""The functions that answer queries, by the class of the query."""

_FORMER_TABLES: Final = ("stock_snapshots", "reservation_snapshots")
"""Tables of older versions."""


def create(connection: apsw.Connection) -> None:
    """Create all tables, empty."""
    for model in READ_MODELS:
        connection.execute(model.ddl)


def drop(connection: apsw.Connection) -> None:
    """Drop every table that is derived from the log."""
    for table in (*TABLES, *_FORMER_TABLES):
        connection.execute(f"DROP TABLE IF EXISTS {table}")


def project(connection: apsw.Connection, recorded: Sequence[NumberedEvent]) -> None:
    """Update all tables by the events of whole commands."""
    facts = {type(event.fact) for event, _, _ in recorded}
    for model in READ_MODELS:
        if model.facts is None or not facts.isdisjoint(model.facts):
            model.project(connection, recorded)
        reach("projection_step")
