"""The definition of a read model: its tables, its projection and its queries."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inventory_grpc.application.access import Scope
from inventory_grpc.application.ports import Query
from inventory_grpc.domain.event import Fact
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.log.ids import KIND_OF_KEY
from inventory_grpc.infrastructure.postgres.statement import Bound, Statement
from inventory_grpc.infrastructure.postgres.wire import Row, Wire

Found = Iterator[tuple[Any, int, Any]]
"""The keys that have a history, each with its stream number and its state."""


class Find:
    """The read of the states of several keys of one kind.

    The statement is apart from the meaning of its rows, so that it can be sent with others.
    """

    def __init__(
        self,
        sql: str,
        values: Callable[[Sequence[Any]], Mapping[str, object]],
        read: Callable[[Sequence[Any], Iterable[Row]], Found],
    ) -> None:
        self._sql = sql
        self._statement = Statement(sql)
        self._values = values
        self.read = read

    def ask(self, keys: Sequence[Any]) -> Bound:
        return self._statement.bind(**self._values(keys))

    def run(self, wire: Wire, keys: Sequence[Any]) -> Found:
        if not keys:
            return iter(())
        return self.read(keys, wire.run([self.ask(keys)])[0])

    def point(self, most: int) -> "Point":
        """Return the read of *most* of these states for queries."""

        def read(keys: Sequence[Any], rows: Iterable[Row]) -> Answers:
            return ((key, state) for key, _, state in self.read(keys, rows))

        return Point(self._sql, self._values, read, most)


Answers = Iterator[tuple[Any, Any]]
"""The keys or queries whose states exist, each with its state."""


class Point:
    """The read of single states of one kind for queries, by their keys or queries.

    One statement reads several of them, and the head of the log at the same time.
    """

    def __init__(
        self,
        sql: str,
        values: Callable[[Sequence[Any]], Mapping[str, object]],
        read: Callable[[Sequence[Any], Iterable[Row]], Answers],
        most: int,
    ) -> None:
        self._statement = Statement(
            "SELECT head, found.* FROM (SELECT coalesce(max(position), 0) FROM events) "
            f"AS log (head) LEFT JOIN ({sql}) AS found ON TRUE"
        )
        self._values = values
        self._read = read
        self.most = most
        """The states that one statement reads, so that their rows are few."""

    def ask(self, asked: Sequence[Any]) -> Bound:
        return self._statement.bind(**self._values(asked))

    def read(self, asked: Sequence[Any], rows: Sequence[Row]) -> tuple[int, dict[Any, Any]]:
        """Return the head, and the states that were found; their first column is not NULL."""
        found = (row[1:] for row in rows if row[1] is not None)
        return rows[0][0], dict(self._read(asked, found))


Projection = Callable[[Sequence[NumberedEvent]], Iterator[Bound]]
"""Yields the statements that update the tables by the events of whole commands."""


def _no_projection(_recorded: Sequence[NumberedEvent]) -> Iterator[Bound]:
    """Update nothing, for tables that events do not change."""
    return iter(())


@dataclass(frozen=True)
class ReadModel:
    ddl: str
    project: Projection = _no_projection
    facts: frozenset[type[Fact]] | None = None
    """The facts without which `project` changes nothing, so that it need not look; None: all."""
    find: Mapping[type[Any], Find] = field(default_factory=dict)
    beside: Mapping[type[Any], Find] = field(default_factory=dict)
    """The reads of the streams that subjects are about, by the class of the subjects' keys."""
    points: Mapping[type[Any], Point] = field(default_factory=dict)
    """The reads of single states, by the class of the key or of the query."""
    answers: Mapping[type[Query[Any]], Callable[[Wire, Any], Any]] = field(default_factory=dict)

    @property
    def tables(self) -> Sequence[str]:
        return re.findall(r"CREATE TABLE (\w+)", self.ddl)


def is_settled(kind: type[Any], name: str) -> str:
    """Return the SQL condition that no change of the key with this *name* is on its way.

    *kind* is the class of the key, and *name* an SQL expression whose columns name their tables.
    """
    return (
        f"NOT EXISTS (SELECT 1 FROM unsettled WHERE unsettled.kind = {KIND_OF_KEY[kind]} "
        f"AND unsettled.name = {name})"
    )


def in_scope(scope: Scope) -> tuple[str, dict[str, object]]:
    """Return the SQL condition on `store_id` for *scope*, and its values."""
    if scope.stores is None:
        return "TRUE", {}
    return "store_id = ANY($visible::text[])", {"visible": sorted(scope.stores)}
