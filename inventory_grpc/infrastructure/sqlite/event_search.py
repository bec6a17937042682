"""Searches the log for matching events, in steps that scan a bounded number of them.

If a filter names few reservations, subjects or stocks, an index yields their events in the order
of the log. If it names alerts, another index yields the events that have some. With any other
filter, every event in a window of positions is scanned.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import apsw

from inventory_grpc.application.queries.events import EventFilter, Found
from inventory_grpc.infrastructure.log.ids import STOCK
from inventory_grpc.infrastructure.log.merged_scans import Scan, merged, share
from inventory_grpc.infrastructure.rows import bounds
from inventory_grpc.infrastructure.sqlite import events as log
from inventory_grpc.infrastructure.sqlite.event_conditions import (
    named,
    of_reservations,
    of_streams,
    where_matching,
)
from inventory_grpc.infrastructure.sqlite.stock_history import WALK, section

ALERTING: Final = "events INDEXED BY events_with_alerts"
"""The source of events with alerts, which are few; the statement needs `alerts IS NOT NULL`."""


class _Step(NamedTuple):
    """The range of positions to scan, both ends included, and the limits of the scan."""

    first: int
    last: int
    max_scanned: int
    """The number of events that may be scanned in each source."""
    limit: int
    newest_first: bool

    @property
    def order(self) -> str:
        return "DESC" if self.newest_first else "ASC"

    def window(self, first: int, last: int) -> tuple[int, int, bool]:
        """Return the part of a range of consecutive numbers to scan, and whether it is all."""
        if last - first < self.max_scanned:
            return first, last, True
        if self.newest_first:
            return last - self.max_scanned + 1, last, False
        return first, first + self.max_scanned - 1, False

    def result(self, rows: list[Any], edge: int | None) -> Scan[int, bytes]:
        """Return *rows* with the edge of the scan: the last row if the limit was reached."""
        return Scan(rows, rows[-1][0] if len(rows) == self.limit else edge)


_LONGER: Final = 4
"""A section of a stock is so many times longer than the one before."""

_Source = Callable[[apsw.Connection, _Step], Scan[int, bytes]]


def search(  # noqa: PLR0913  the parts of the query
    connection: apsw.Connection,
    matching: EventFilter,
    after: int,
    before: int,
    limit: int,
    *,
    newest_first: bool,
) -> Found:
    """Scan one step of the events strictly between two positions."""
    first, last = after + 1, min(before - 1, log.read_head(connection))
    if first > last:
        return Found([], 0, done=True)
    sources = _sources(connection, matching)
    step = _Step(first, last, share(bounds.EVENTS_SCANNED, len(sources)), limit, newest_first)
    scans = [source(connection, step) for source in sources]
    rows, edge = merged(scans, limit, downwards=newest_first)
    end = first if newest_first else last
    return Found(rows, end if edge is None else edge, done=edge is None)


def _sources(connection: apsw.Connection, matching: EventFilter) -> Sequence[_Source]:
    if matching.reservation_ids:
        rest = matching._replace(reservation_ids=frozenset())
        query, ids = of_reservations(matching.reservation_ids)
        numbers = _numbers(connection, query, ids, len(ids))
        return [_of_subject(number, rest) for number in numbers]
    if matching.subjects:
        rest = matching._replace(subjects=frozenset())
        where, names = named(matching.subjects)
        streams, subjects = (
            _numbers(connection, f"SELECT {one} FROM {one}s WHERE {where}", names, len(names))  # noqa: S608  built from constants, values are bound
            for one in ("stream", "subject")
        )
        return [
            *(_of_other_stream(number, rest) for number in streams),
            *(_of_subject(number, rest) for number in subjects),
        ]
    inner, ids = of_streams(matching)
    if inner:
        found: Sequence[Any] = connection.execute(
            f"SELECT stream, kind = {STOCK} FROM streams WHERE {inner} LIMIT ?",  # noqa: S608  as above
            (*ids, bounds.EVENT_SOURCES + 1),
        ).fetchall()
        if len(found) <= bounds.EVENT_SOURCES:
            rest = EventFilter(event_types=matching.event_types, alerts=matching.alerts)
            return [
                _of_stock(stream, rest) if is_stock else _of_other_stream(stream, rest)
                for stream, is_stock in found
            ]
    return [_of_alerts(matching) if matching.alerts else _of_window(matching)]


def _numbers(
    connection: apsw.Connection, query: str, bindings: Sequence[int | str], limit: int
) -> Sequence[int]:
    rows = connection.execute(f"{query} LIMIT ?", (*bindings, limit))
    return [number for (number,) in rows]


def _of_window(matching: EventFilter) -> _Source:
    where, bindings = where_matching(matching)

    def scan(connection: apsw.Connection, step: _Step) -> Scan[int, bytes]:
        low, high, is_all = step.window(step.first, step.last)
        rows = connection.execute(
            f"SELECT position, event FROM events WHERE position BETWEEN ? AND ? {where} "  # noqa: S608  as above
            f"ORDER BY position {step.order} LIMIT ?",
            (low, high, *bindings, step.limit),
        ).fetchall()
        return step.result(rows, None if is_all else (low if step.newest_first else high))

    return scan


def _of_stock(stream: int, matching: EventFilter) -> _Source:
    where, bindings = where_matching(matching)
    events = (
        f"{WALK}SELECT position, event FROM walk CROSS JOIN events USING (position) "  # noqa: S608  as above
        f"WHERE position BETWEEN ?2 AND ?3 {where}"
    )

    def scan(connection: apsw.Connection, step: _Step) -> Scan[int, bytes]:
        if step.newest_first:
            found = section(
                connection, stream, step.first, step.last, step.max_scanned, downwards=True
            )
            query = f"{events} LIMIT ?"
            rows = connection.execute(query, (*found[:3], *bindings, step.limit)).fetchall()
            return step.result(rows, found.edge)
        return scan_upwards(connection, step)

    def scan_upwards(connection: apsw.Connection, step: _Step) -> Scan[int, bytes]:
        """Scan ever longer sections: all of a section is walked before its first event is known."""
        rows, first, most, left = list[Any](), step.first, step.limit, step.max_scanned
        while True:
            most = min(most, left)
            found = section(connection, stream, first, step.last, most, downwards=False)
            query = f"{events} ORDER BY position LIMIT ?"
            rows += connection.execute(
                query, (*found[:3], *bindings, step.limit - len(rows))
            ).fetchall()
            left -= most
            if found.edge is None or len(rows) == step.limit or left <= 0:
                return step.result(rows, found.edge)
            first, most = found.edge + 1, most * _LONGER

    return scan


def _of_other_stream(stream: int, matching: EventFilter) -> _Source:
    """Scan the events of a stream, whose versions have no gaps and rise with positions."""
    where, bindings = where_matching(matching)

    def scan(connection: apsw.Connection, step: _Step) -> Scan[int, bytes]:
        first = log.version_at(connection, stream, step.first - 1) + 1
        last = log.version_at(connection, stream, step.last)
        low, high, is_all = step.window(first, last)
        rows = connection.execute(
            f"SELECT position, event FROM {log.OF_OTHER_STREAM} AND version BETWEEN ? AND ? "  # noqa: S608  as above
            f"{where} ORDER BY version {step.order} LIMIT ?",
            (stream, low, high, *bindings, step.limit),
        ).fetchall()
        edge = None
        if not is_all:
            edge = log.position_of(connection, stream, low if step.newest_first else high)
        return step.result(rows, edge)

    return scan


def _of_subject(subject: int, matching: EventFilter) -> _Source:
    return _of_index("events WHERE subject = ?", [subject], matching)


def _of_alerts(matching: EventFilter) -> _Source:
    return _of_index(f"{ALERTING} WHERE alerts IS NOT NULL", [], matching)


def _of_index(events: str, numbers: Sequence[int], matching: EventFilter) -> _Source:
    """Scan the *events* that an index yields in the order of their positions."""
    where, bindings = where_matching(matching)

    def scan(connection: apsw.Connection, step: _Step) -> Scan[int, bytes]:
        edge: int | None = connection.execute(
            f"SELECT position FROM {events} AND position BETWEEN ? AND ? "  # noqa: S608  as above
            f"ORDER BY position {step.order} LIMIT 1 OFFSET ?",
            (*numbers, step.first, step.last, step.max_scanned - 1),
        ).get
        low, high = step.first, step.last
        if edge is not None:
            low, high = (edge, high) if step.newest_first else (low, edge)
        rows = connection.execute(
            f"SELECT position, event FROM {events} AND position BETWEEN ? AND ? "  # noqa: S608  as above
            f"{where} ORDER BY position {step.order} LIMIT ?",
            (*numbers, low, high, *bindings, step.limit),
        ).fetchall()
        return step.result(rows, edge)

    return scan
