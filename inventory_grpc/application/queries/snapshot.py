"""Snapshots of the log: every answer states the log position it reflects."""

from typing import Any

from inventory_grpc.application.failures import PositionAhead
from inventory_grpc.application.ports import PastSnapshot, Query, Reading, T, Views
from inventory_grpc.application.queries.events import EventLog
from inventory_grpc.application.queries.settled import UnsettledChanges
from inventory_grpc.domain.event import Key
from inventory_grpc.domain.values import Instant


class Queries:
    """The read side: it returns snapshots.

    No answer is older than an earlier one, so callers see monotonic reads; only lists may be, if
    they are read from replicas. Right after a commit,
    storage is ahead of any cache, so after an answer from storage an older cache entry is not used.
    """

    def __init__(self, views: Views, log: EventLog, *, needs_catalogue: bool = False) -> None:
        self.needs_catalogue = needs_catalogue
        """Whether only stocks of known products and stores may get a history."""
        self._views = views
        self._log = log
        self.newest = views.latest
        self.shown = 0
        """The newest position of all answers."""

    def latest(self, min_position: int = 0) -> "Latest":
        """Return the newest state, at least as new as *min_position*."""
        return Latest(self, min_position)

    async def unsettled_changes(self) -> int:
        """Return how many changes of terms not all of their stocks show, up to a limit."""
        return (await self.newest.read(UnsettledChanges())).value

    async def at_position(self, position: int, min_position: int = 0) -> PastSnapshot:
        """Return the state right after *position*.

        Raises:
            PositionAhead: one of the positions is beyond the log.
        """
        await self._reach(max(position, min_position))
        return self._past(position)

    async def at_time(self, time: Instant, min_position: int = 0) -> PastSnapshot:
        """Return the state at *time*, after the last event recorded at that instant.

        Raises:
            PositionAhead: *min_position* is beyond the log.
        """
        await self._reach(min_position)
        return self._past(await self._log.position_before(Instant(time + 1)))

    def _past(self, position: int) -> PastSnapshot:
        self.shown = max(self.shown, position)
        return self._views.at(position)

    async def _reach(self, position: int) -> None:
        """Refuse a position beyond the log; the head is read from storage."""
        if position > (head := await self._log.head()):
            raise PositionAhead(position, head)


class Latest:
    """The newest state, at least as new as a position.

    Raises:
        PositionAhead: that position is beyond the log.
    """

    __slots__ = ("_min_position", "_queries")

    def __init__(self, queries: Queries, min_position: int) -> None:
        self._queries = queries
        self._min_position = min_position

    @property
    def needs_catalogue(self) -> bool:
        return self._queries.needs_catalogue

    async def get(self, key: Key) -> Reading[Any]:
        """Return the state of *key*, None without history."""
        return self._checked(await self._queries.newest.get(key))

    async def read(self, query: Query[T]) -> Reading[T]:
        return self._checked(await self._queries.newest.read(query, self._min_position))

    def _checked(self, reading: Reading[T]) -> Reading[T]:
        """Check *reading*, which comes from storage: it is as new as asked for, or as the log."""
        queries, as_of = self._queries, reading.as_of
        if self._min_position > as_of:
            raise PositionAhead(self._min_position, as_of)
        queries.shown = max(queries.shown, as_of)
        return reading
