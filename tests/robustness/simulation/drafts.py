"""Changes of an open transaction, which no other process may see yet."""

from collections.abc import Mapping, Sequence
from itertools import chain, groupby
from operator import attrgetter
from typing import NamedTuple

from inventory_grpc.application.outcomes import Answered, RequestKey
from inventory_grpc.application.ports import NO_WALKS, StorageError, Walk
from inventory_grpc.domain.event import Event, Key
from tests.support.memory.store import MemoryTransaction
from tests.support.memory.tables import Tables


class Change(NamedTuple):
    """The rows of one commit."""

    events: Sequence[Event]
    remembered: dict[RequestKey, Answered]
    forgotten: Sequence[RequestKey]
    walks: Mapping[Key, Walk] | None
    """All walks after it; None if it moved none."""
    worked_at: float
    """The time at which its commands were decided."""
    begun_at: float
    """The time at which the writer took them."""
    unasked: bool
    """Whether no caller waits for it."""

    @property
    def is_empty(self) -> bool:
        return not (self.events or self.remembered or self.forgotten) and self.walks is None

    def apply(self, tables: Tables) -> None:
        for _, command in groupby(self.events, key=lambda event: event.command_position):
            tables.append(list(command))
        tables.requests.update(self.remembered)
        if self.walks is not None:
            tables.walks = self.walks
        for key in self.forgotten:
            tables.requests.pop(key, None)


class Draft(MemoryTransaction):
    """A transaction that can be taken off the tables, to be put there when it is committed.

    It may be told to fail in the middle: at the n-th command that it is to write.
    """

    def __init__(self, tables: Tables, fails: tuple[int, StorageError] | None = None) -> None:
        super().__init__(tables)
        self._fails = fails

    def write(
        self,
        events: Sequence[Event],
        answered: Sequence[tuple[RequestKey, Answered]],
        walks: Mapping[Key, Walk | None] = NO_WALKS,
    ) -> None:
        if self._fails:
            number, error = self._fails
            commands = [list(c) for _, c in groupby(events, key=attrgetter("command_position"))]
            if len(commands) >= number:
                super().write([*chain.from_iterable(commands[: number - 1])], answered)
                raise error
        super().write(events, answered, walks)

    def take_off(self, begun_at: float, worked_at: float, *, unasked: bool) -> Change:
        """Undo all that was done, and return it."""
        tables = self._tables
        change = Change(
            tables.events[self._begun_at :],
            {key: tables.requests[key] for key in self._remembered},
            list(self._forgotten),
            None if tables.walks is self._walks_before else tables.walks,
            worked_at,
            begun_at,
            unasked,
        )
        self.take_back()
        return change
