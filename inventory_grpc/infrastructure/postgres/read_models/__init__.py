"""The read models in PostgreSQL, with one module for each, as those of SQLite have it.

The tables have the same columns and rows; what a row means is in `infrastructure/rows`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from inventory_grpc.application.failpoints import reach
from inventory_grpc.application.ports import Query
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.postgres.read_models import (
    corrections,
    policies,
    products,
    reservations,
    stocks,
    stores,
    subject_snapshots,
)
from inventory_grpc.infrastructure.postgres.read_models.read_model import Find, Point, ReadModel
from inventory_grpc.infrastructure.postgres.statement import Bound
from inventory_grpc.infrastructure.postgres.wire import Wire

READ_MODELS: Final[tuple[ReadModel, ...]] = (
    stocks.READ_MODEL,
    reservations.READ_MODEL,
    corrections.READ_MODEL,
    subject_snapshots.READ_MODEL,
    products.READ_MODEL,
    stores.READ_MODEL,
    policies.READ_MODEL,
)

TABLES: Final[tuple[str, ...]] = tuple(name for model in READ_MODELS for name in model.tables)

VERSION: Final = 1
"""Increment this with every change of a table or projection."""

FIND: Final[Mapping[type[Any], Find]] = {
    key: find for model in READ_MODELS for key, find in model.find.items()
}
"""The reads of stream states by the writer, by the class of the keys."""

BESIDE: Final[Mapping[type[Any], Find]] = {
    key: find for model in READ_MODELS for key, find in model.beside.items()
}
"""The reads of the streams that subjects are about, by the class of the subjects' keys."""

POINTS: Final[Mapping[type[Any], Point]] = {
    kind: point for model in READ_MODELS for kind, point in model.points.items()
}
"""The reads of single states, by the class of the key or of the query."""

ANSWERS: Final[Mapping[type[Query[Any]], Callable[[Wire, Any], Any]]] = {
    query: answer for model in READ_MODELS for query, answer in model.answers.items()
}
"""The functions that answer queries, by the class of the query."""


def project(recorded: Sequence[NumberedEvent]) -> Iterator[Bound]:
    """Yield the statements that update all tables by the events of whole commands."""
    facts = {type(event.fact) for event, _, _ in recorded}
    for model in READ_MODELS:
        if model.facts is None or not facts.isdisjoint(model.facts):
            yield from model.project(recorded)
        reach("projection_step")
