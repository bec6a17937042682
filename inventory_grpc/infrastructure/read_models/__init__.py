"""The tables that queries read, made from events alone: one file for each read model.

The same code keeps them current, makes them again, and checks them. A new read model adds a file
and a line to `READ_MODELS`, and raises `VERSION`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import apsw

from inventory_grpc.application.failpoints import reach
from inventory_grpc.application.ports import Query
from inventory_grpc.infrastructure.log.chain import Recorded
from inventory_grpc.infrastructure.read_models import (
    reservations,
    stocks,
    subject_snapshots,
)
from inventory_grpc.infrastructure.read_models.read_model import Find, ReadModel, StateOf

READ_MODELS: Final[tuple[ReadModel, ...]] = (
    stocks.READ_MODEL,
    reservations.READ_MODEL,
    subject_snapshots.READ_MODEL,
)

VERSION: Final = 3
"""Raise it with every change of a table or a projection: older tables are then made again."""

TABLES: Final[tuple[str, ...]] = tuple(name for model in READ_MODELS for name in model.tables)

FIND: Final[Mapping[type[Any], Find]] = {
    key: find for model in READ_MODELS for key, find in model.find.items()
}
"""How the writer finds the states of streams, by the class of their keys."""

STATES: Final[Mapping[type[Any], StateOf]] = {
    key: state for model in READ_MODELS for key, state in model.states.items()
}
"""How the newest state of a key is read, by the class of the key."""

ANSWERS: Final[Mapping[type[Query[Any]], Callable[[apsw.Connection, Any], Any]]] = {
    query: answer for model in READ_MODELS for query, answer in model.answers.items()
}
"""How a query is answered, by its class."""

_FORMER_TABLES: Final = ("stock_snapshots", "reservation_snapshots")
"""Of older versions."""


def create(connection: apsw.Connection) -> None:
    """Make all tables, empty."""
    for model in READ_MODELS:
        connection.execute(model.ddl)


def drop(connection: apsw.Connection) -> None:
    """Remove every table that is made from the log."""
    for table in (*TABLES, *_FORMER_TABLES):
        connection.execute(f"DROP TABLE IF EXISTS {table}")


def project(connection: apsw.Connection, recorded: Sequence[Recorded]) -> None:
    """Move all tables by the events of some commands."""
    for model in READ_MODELS:
        model.project(connection, recorded)
        reach("projection_step")
