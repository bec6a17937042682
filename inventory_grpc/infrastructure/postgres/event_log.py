"""The event log as subscriptions and event lists read it."""

from functools import lru_cache
from typing import Final

from inventory_grpc.application.queries.events import EventFilter, Found, Page
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.postgres import events as log
from inventory_grpc.infrastructure.postgres import log_names
from inventory_grpc.infrastructure.postgres.event_search import search, where_matching
from inventory_grpc.infrastructure.postgres.readers import Readers
from inventory_grpc.infrastructure.postgres.replicas import Scans
from inventory_grpc.infrastructure.postgres.seen import SeenLog
from inventory_grpc.infrastructure.postgres.statement import Statement, composed
from inventory_grpc.infrastructure.postgres.wire import Wire

_NEXT_COMMAND: Final = Statement(
    "SELECT position FROM events WHERE position > $after::int8 AND position <= $upto::int8 "
    "AND ordinal = 0 ORDER BY position LIMIT 1"
)
_CACHED: Final = 100
"""Statements for filters of subscriptions."""

_END_OF_COMMAND: Final = Statement(
    "SELECT (SELECT position FROM events WHERE position <= $upto::int8 + 1 AND ordinal = 0 "
    "ORDER BY position DESC LIMIT 1), (SELECT coalesce(max(position), 0) FROM events)"
)


class PostgresEventLog:
    def __init__(self, readers: Readers, seen: SeenLog, scans: Scans | None = None) -> None:
        self._readers = readers
        self._scans = scans or Scans(readers)
        self._seen = seen

    @property
    def log_id(self) -> str:
        return self._seen.log_id

    async def end_of(self, log_id: str) -> int | None:
        def read(wire: Wire) -> int | None:
            self._seen.check(wire)  # the log may have got another id meanwhile
            return log_names.end_of(wire, log_id)

        return await self._readers.read(read)

    async def head(self) -> int:
        return await self._readers.read(log.read_head)

    async def position_before(self, time: Instant) -> int:
        return await self._readers.scan(lambda wire: log.position_before(wire, time))

    async def page(
        self, after: int, upto: int, matching: EventFilter, max_events: int, max_bytes: int
    ) -> Page:
        def read(wire: Wire) -> Page:
            end = max(after, _end_of_command(wire, upto))
            return _page(wire, after, end, matching, max_events=max_events, max_bytes=max_bytes)

        return await self._scans.scan(read, at_least=upto)

    async def search(
        self, matching: EventFilter, after: int, before: int, limit: int, *, newest_first: bool
    ) -> Found:
        return await self._scans.scan(
            lambda wire: search(wire, matching, after, before, limit, newest_first=newest_first),
            at_least=before - 1,
        )


def _end_of_command(wire: Wire, upto: int) -> int:
    """Return *upto*, or the last position before it at which a command ends."""
    [(following, head)] = wire.query(_END_OF_COMMAND, upto=upto)
    if following is None or following == upto + 1:
        return upto
    position: int = following
    return upto if head == upto else position - 1


def _page(  # noqa: PLR0913  the arguments of `page`
    wire: Wire, after: int, upto: int, matching: EventFilter, *, max_events: int, max_bytes: int
) -> Page:
    """Return the events of whole commands, at least one, until a limit is reached."""
    where, values = where_matching(matching)
    window = values | {"after": after, "upto": upto}
    rows = wire.query(_some(where), **window, limit=max_events + 1, max_bytes=max_bytes)
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
    if len(events) <= max_events and size < max_bytes:
        return Page(events, upto)
    # the command with which the page is full may go on
    rest = composed(f"SELECT event FROM events WHERE {_MATCHING} {where} ORDER BY position")
    following = wire.value(_NEXT_COMMAND, after=rows[-1][0], upto=upto)
    end = upto if following is None else following - 1
    found = wire.query(rest, **window | {"after": rows[-1][0], "upto": end})
    return Page([*events, *(event for (event,) in found)], end)


_MATCHING: Final = "position > $after::int8 AND position <= $upto::int8"


@lru_cache(_CACHED)
def _some(where: str) -> Statement:
    """Return the statement for the first matching events; without a filter it is prepared.

    Sizes are summed on the server, because large rows that are not sent must not be read.
    """
    return Statement(
        f"""
        SELECT position, ordinal, event FROM (
          SELECT position, ordinal, event,
            sum(octet_length(event)) OVER (ORDER BY position ROWS UNBOUNDED PRECEDING)
              - octet_length(event) AS before
          FROM (
            SELECT position, ordinal, event FROM events WHERE {_MATCHING} {where}
            ORDER BY position LIMIT $limit::int8
          ) AS matching
        ) AS summed
        WHERE before < $max_bytes::int8 ORDER BY position
        """,
        is_prepared=not where,
    )
