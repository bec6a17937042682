"""The event log as subscriptions and event lists read it."""

import apsw

from inventory_grpc.application.queries.events import EventFilter, Found, Page
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.sqlite import events as log
from inventory_grpc.infrastructure.sqlite.event_conditions import where_matching
from inventory_grpc.infrastructure.sqlite.event_search import ALERTING, search
from inventory_grpc.infrastructure.sqlite.readers import Readers


class SqliteEventLog:
    def __init__(self, readers: Readers, log_id: str) -> None:
        self._readers = readers
        self._log_id = log_id

    @property
    def log_id(self) -> str:
        return self._log_id

    async def end_of(self, log_id: str) -> int | None:  # noqa: ARG002  a file keeps only its current id
        return None

    async def head(self) -> int:
        return self._readers.point(log.read_head)

    async def position_before(self, time: Instant) -> int:
        return await self._readers.scan(lambda connection: log.position_before(connection, time))

    async def page(
        self, after: int, upto: int, matching: EventFilter, max_events: int, max_bytes: int
    ) -> Page:
        def read(connection: apsw.Connection) -> Page:
            end = max(after, _end_of_command(connection, upto))
            return _page(_in_window(connection, after, end, matching), end, max_events, max_bytes)

        return await self._readers.scan(read)

    async def search(
        self, matching: EventFilter, after: int, before: int, limit: int, *, newest_first: bool
    ) -> Found:
        return await self._readers.scan(
            lambda connection: search(
                connection, matching, after, before, limit, newest_first=newest_first
            )
        )


def _end_of_command(connection: apsw.Connection, upto: int) -> int:
    """Return *upto*, or the last position before it at which a command ends."""
    following: int | None = connection.execute(
        "SELECT position FROM events WHERE position <= ? AND ordinal = 0 "
        "ORDER BY position DESC LIMIT 1",
        (upto + 1,),
    ).get
    if following is None or following == upto + 1:
        return upto
    return upto if log.read_head(connection) == upto else following - 1


def _in_window(
    connection: apsw.Connection, after: int, upto: int, matching: EventFilter
) -> "apsw.Cursor":
    """Return the matching events between two positions, by a scan of all events between.

    If alerts are wanted, only the events that have some are scanned.
    """
    where, bindings = where_matching(matching)
    events = ALERTING if matching.alerts else "events"
    return connection.execute(
        f"SELECT position, ordinal, event FROM {events} WHERE position > ? AND position <= ? "  # noqa: S608  built from constants, values are bound
        f"{where} ORDER BY position",
        (after, upto, *bindings),
    )


def _page(rows: "apsw.Cursor", end: int, max_events: int, max_bytes: int) -> Page:
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
