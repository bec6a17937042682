"""How do followers read the log?"""

from collections.abc import Sequence
from typing import Any

import apsw

from inventory_grpc.application.reading import EventFilter, Page
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.codec import KIND_BY_NAME
from inventory_grpc.infrastructure.sqlite import events as log
from inventory_grpc.infrastructure.sqlite.readers import Readers


class SqliteEventLog:
    """An `EventLog` over the file."""

    def __init__(self, readers: Readers, log_id: str) -> None:
        self._readers = readers
        self._log_id = log_id

    @property
    def log_id(self) -> str:
        return self._log_id

    def head(self) -> int:
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

    async def list_events(
        self, matching: EventFilter, after: int, before: int, limit: int, *, newest_first: bool
    ) -> Sequence[tuple[int, bytes]]:
        where, bindings = _where(matching)
        order = "DESC" if newest_first else "ASC"

        def read(connection: apsw.Connection) -> list[tuple[int, bytes]]:
            rows: list[Any] = connection.execute(
                f"SELECT position, event FROM events WHERE position > ? AND position < ? {where} "  # noqa: S608  made of our own words, values are bound
                f"ORDER BY position {order} LIMIT ?",
                (after, before, *bindings, limit),
            ).fetchall()
            return rows

        return await self._readers.scan(read)


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
    """Return the matching events between two positions, found by walking the window.

    The plus signs keep SQLite from starting at an index instead: a window is short,
    what an index leads to may not be.
    """
    where, bindings = _where(matching, plus="+")
    return connection.execute(
        "SELECT position, ordinal, event FROM events WHERE position > ? AND position <= ? "  # noqa: S608  made of our own words, values are bound
        f"{where} ORDER BY position",
        (after, upto, *bindings),
    )


def _page(rows: "apsw.Cursor", end: int, max_events: int, max_bytes: int) -> Page:
    """Take whole commands until a limit is reached; at least one."""
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


def _where(matching: EventFilter, plus: str = "") -> tuple[str, list[int | str]]:
    """Return the filter as SQL, and what is to be bound in it."""
    terms: list[str] = []
    bindings: list[int | str] = []
    if matching.event_types:
        terms.append(f"{plus}kind IN ({_marks(matching.event_types)})")
        bindings += [KIND_BY_NAME[name] for name in sorted(matching.event_types)]
    named = [
        (column, sorted(values))
        for column, values in (
            ("product_id", matching.product_ids),
            ("store_id", matching.store_ids),
        )
        if values
    ]
    if named:
        inner = " AND ".join(f"{column} IN ({_marks(values)})" for column, values in named)
        if plus:
            terms.append(
                f"EXISTS (SELECT 1 FROM streams WHERE streams.stream = events.stream AND {inner})"  # noqa: S608  as above
            )
        else:
            terms.append(f"stream IN (SELECT stream FROM streams WHERE {inner})")  # noqa: S608  as above
        bindings += [value for _, values in named for value in values]
    if matching.reservation_ids:
        terms.append(
            f"{plus}reservation IN (SELECT reservation FROM reservations "  # noqa: S608  as above
            f"WHERE reservation_id IN ({_marks(matching.reservation_ids)}))"
        )
        bindings += sorted(matching.reservation_ids)
    return "".join(f" AND {term}" for term in terms), bindings


def _marks(values: Sequence[str] | frozenset[str]) -> str:
    return ", ".join("?" * len(values))
