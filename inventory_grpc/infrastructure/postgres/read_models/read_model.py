"""The definition of a read model: its tables, its projection and its queries."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from inventory_grpc.application.access import Scope
from inventory_grpc.application.outcomes import State
from inventory_grpc.application.ports import Query, Reading
from inventory_grpc.domain.event import Fact, Key
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.log.ids import KIND_OF_KEY
from inventory_grpc.infrastructure.postgres.events import HEAD
from inventory_grpc.infrastructure.postgres.statement import Bound
from inventory_grpc.infrastructure.postgres.wire import Row, Wire

Found = Iterator[tuple[Any, int, Any]]
"""The keys that have a history, each with its stream number and its state."""


class Find(NamedTuple):
    """The read of the states of several keys of one kind.

    The statement is apart from the meaning of its rows, so that it can be sent with others.
    """

    ask: Callable[[Sequence[Any]], Bound]
    read: Callable[[Sequence[Any], Iterable[Row]], Found]

    def run(self, wire: Wire, keys: Sequence[Any]) -> Found:
        if not keys:
            return iter(())
        return self.read(keys, wire.run([self.ask(keys)])[0])

    def newest(self, wire: Wire, key: Key) -> Reading[State | None]:
        """Return the state of a key, and the head at the same time."""
        with wire.one_state():
            [[(head,)], rows] = wire.run([HEAD.bind(), self.ask([key])])
        found = [state for _, _, state in self.read([key], rows)]
        return Reading(found[0] if found else None, head)


StateOf = Callable[[Wire, Any], Reading[Any]]
"""Reads the newest state of a key, and the position that it reflects."""

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
    states: Mapping[type[Any], StateOf] = field(default_factory=dict)
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
