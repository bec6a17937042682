"""The definition of a read model: its tables, its projection and its queries."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw

from inventory_grpc.application.access import Scope
from inventory_grpc.application.outcomes import State
from inventory_grpc.application.ports import Query, Reading
from inventory_grpc.domain.event import Fact, Key
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.log.ids import KIND_OF_KEY
from inventory_grpc.infrastructure.sqlite.connection import one_state
from inventory_grpc.infrastructure.sqlite.events import read_head

StateOf = Callable[[apsw.Connection, Any], Reading[Any]]
"""Reads the newest state of a key, and the position that it reflects."""

Find = Callable[[apsw.Connection, Sequence[Any]], Iterator[tuple[Any, int, Any]]]
"""Yields the keys that have a history, each with its stream number and its state."""


def _no_projection(_connection: apsw.Connection, _recorded: Sequence[NumberedEvent]) -> None:
    """Update nothing, for tables that events do not change."""


@dataclass(frozen=True)
class ReadModel:
    ddl: str
    project: Callable[[apsw.Connection, Sequence[NumberedEvent]], None] = _no_projection
    """Updates the tables by the events of whole commands."""
    facts: frozenset[type[Fact]] | None = None
    """The facts without which `project` changes nothing, so that it need not look; None: all."""
    find: Mapping[type[Any], Find] = field(default_factory=dict)
    states: Mapping[type[Any], StateOf] = field(default_factory=dict)
    answers: Mapping[type[Query[Any]], Callable[[apsw.Connection, Any], Any]] = field(
        default_factory=dict
    )
    check: Callable[[apsw.Connection], Iterator[str]] | None = None
    """Yields errors in the tables, for tables that `verify` does not compare with a replay."""

    @property
    def tables(self) -> Sequence[str]:
        return re.findall(r"CREATE TABLE (\w+)", self.ddl)


def newest_by(find: Find) -> StateOf:
    """Return a function that reads the state that *find* yields, and the head at the same time."""

    def newest(connection: apsw.Connection, key: Key) -> Reading[State | None]:
        with one_state(connection):
            found = [state for _, _, state in find(connection, [key])]
            return Reading(found[0] if found else None, read_head(connection))

    return newest


def is_settled(kind: type[Any], name: str) -> str:
    """Return the SQL condition that no change of the key with this *name* is on its way.

    *kind* is the class of the key, and *name* an SQL expression whose columns name their tables.
    """
    return (
        f"NOT EXISTS (SELECT 1 FROM unsettled WHERE unsettled.kind = {KIND_OF_KEY[kind]} "  # noqa: S608  made of constants
        f"AND unsettled.name = {name})"
    )


def in_scope(scope: Scope) -> tuple[str, list[str]]:
    """Return the SQL condition on `store_id` for *scope*, and its bindings."""
    if scope.stores is None:
        return "1", []
    return f"store_id IN ({', '.join('?' * len(scope.stores))})", sorted(scope.stores)
