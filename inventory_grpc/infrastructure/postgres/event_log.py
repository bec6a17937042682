"""The event log as subscriptions and event lists read it."""

from collections.abc import Iterable
from typing import Final

from inventory_grpc.application.queries.events import EventFilter, Found, Page
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.log.chain import MAX_COMMAND_EVENTS
from inventory_grpc.infrastructure.postgres import events as log
from inventory_grpc.infrastructure.postgres.event_search import search, where_matching
from inventory_grpc.infrastructure.postgres.readers import Readers
from inventory_grpc.infrastructure.postgres.statement import Statement
from inventory_grpc.infrastructure.postgres.wire import Row, Wire

_END_OF_COMMAND: Final = Statement(
    "SELECT (SELECT position FROM events WHERE position <= $upto::int8 + 1 AND ordinal = 0 "
    "ORDER BY position DESC LIMIT 1), (SELECT coalesce(max(position), 0) FROM events)"
)


class PostgresEventLog:
    def __init__(self, readers: Readers, log_id: str) -> None:
        self._readers = readers
        self._log_id = log_id

    @property
    def log_id(self) -> str:
        return self._log_id

    async def head(self) -> int:
        return await self._readers.read(log.read_head)

    async def position_before(self, time: Instant) -> int:
        return await self._readers.scan(lambda wire: log.position_before(wire, time))

    async def page(
        self, after: int, upto: int, matching: EventFilter, max_events: int, max_bytes: int
    ) -> Page:
        def read(wire: Wire) -> Page:
            end = max(after, _end_of_command(wire, upto))
            # the command at which the page becomes full is read to its end
            limit = max_events + MAX_COMMAND_EVENTS
            rows = _in_window(wire, after, end, matching, limit)
            if len(rows) == limit:
                end = max(after, rows[-1][0])
            return _page(rows, end, max_events, max_bytes)

        return await self._readers.scan(read)

    async def search(
        self, matching: EventFilter, after: int, before: int, limit: int, *, newest_first: bool
    ) -> Found:
        return await self._readers.scan(
            lambda wire: search(wire, matching, after, before, limit, newest_first=newest_first)
        )


def _end_of_command(wire: Wire, upto: int) -> int:
    """Return *upto*, or the last position before it at which a command ends."""
    [(following, head)] = wire.query(_END_OF_COMMAND, upto=upto)
    if following is None or following == upto + 1:
        return upto
    position: int = following
    return upto if head == upto else position - 1


def _in_window(wire: Wire, after: int, upto: int, matching: EventFilter, limit: int) -> list[Row]:
    """Return the first matching events between two positions."""
    where, values = where_matching(matching)
    return wire.query(
        "SELECT position, ordinal, event FROM events "
        f"WHERE position > $after::int8 AND position <= $upto::int8 {where} "
        "ORDER BY position LIMIT $limit::int8",
        **values,
        after=after,
        upto=upto,
        limit=limit,
    )


def _page(rows: Iterable[Row], end: int, max_events: int, max_bytes: int) -> Page:
    """Return the events of whole commands, at least one, until a limit is reached."""
    events: list[bytes] = []
    size, command = 0, 0
    for position, ordinal, event in rows:
        first = position - ordinal
        if first != command:
            if len(events) >= max_events or size >= max_bytes:
                return Page(events, first - 1)
            command = first
        events.append(event)
        size += len(event)
    return Page(events, end)
