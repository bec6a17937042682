"""Searches the log for matching events, in steps that scan a bounded number of them.

If a filter names few reservations, subjects or stocks, an index yields their events in the order
of the log. If it names alerts, another index yields the events that have some. With any other
filter, every event in a window of positions is scanned.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, NamedTuple

import apsw

from inventory_grpc.application.queries.events import EventFilter, Found
from inventory_grpc.domain.book import Audience
from inventory_grpc.domain.event import SubjectKey
from inventory_grpc.domain.registry import NOUNS
from inventory_grpc.infrastructure.codec import KIND_BY_NAME
from inventory_grpc.infrastructure.log.chain import bits
from inventory_grpc.infrastructure.log.ids import RESERVATION, STOCK, kind_and_name
from inventory_grpc.infrastructure.log.merged_scans import Scan, merged, share
from inventory_grpc.infrastructure.rows import bounds
from inventory_grpc.infrastructure.sqlite import events as log
from inventory_grpc.infrastructure.sqlite.stock_history import WALK, section

ALERTING: Final = "events INDEXED BY events_with_alerts"
"""The source of events with alerts, which are few; the statement needs `alerts IS NOT NULL`."""

Bindings = list[int | str]


def _kinds(audience: Audience) -> str:
    return ", ".join(str(noun.kind) for noun in NOUNS if noun.audience is audience)


_SHOWN_TO_ALL: Final = _kinds(Audience.EVERYBODY)
_SHOWN_IN_STORE: Final = _kinds(Audience.ITS_STORE)
_SHOWN_IN_NO_OTHER: Final = _kinds(Audience.NO_OTHER_STORE)
_STORE_IN_NAME: Final = "substr(name, instr(name, '@') + 1)"


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
        query, ids = _reservations(matching.reservation_ids)
        numbers = _numbers(connection, query, ids, len(ids))
        return [_of_subject(number, rest) for number in numbers]
    if matching.subjects:
        rest = matching._replace(subjects=frozenset())
        where, named = _named(matching.subjects)
        streams, subjects = (
            _numbers(connection, f"SELECT {one} FROM {one}s WHERE {where}", named, len(named))  # noqa: S608  built from constants, values are bound
            for one in ("stream", "subject")
        )
        return [
            *(_of_other_stream(number, rest) for number in streams),
            *(_of_subject(number, rest) for number in subjects),
        ]
    inner, ids = _of_streams(matching)
    if inner:
        named_streams: Sequence[Any] = connection.execute(
            f"SELECT stream, kind = {STOCK} FROM streams WHERE {inner} LIMIT ?",  # noqa: S608  as above
            (*ids, bounds.EVENT_SOURCES + 1),
        ).fetchall()
        if len(named_streams) <= bounds.EVENT_SOURCES:
            rest = EventFilter(event_types=matching.event_types, alerts=matching.alerts)
            return [
                _of_stock(stream, rest) if is_stock else _of_other_stream(stream, rest)
                for stream, is_stock in named_streams
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

    def scan(connection: apsw.Connection, step: _Step) -> Scan[int, bytes]:
        most, order = step.max_scanned, ""
        if not step.newest_first:
            order = "ORDER BY position"  # which takes the whole section, so it has few more rows
            most = most if where else min(most, step.limit)
        found = section(
            connection, stream, step.first, step.last, most, downwards=step.newest_first
        )
        rows = connection.execute(
            f"{WALK}SELECT position, event FROM walk CROSS JOIN events USING (position) "  # noqa: S608  as above
            f"WHERE position BETWEEN ?2 AND ?3 {where}{order} LIMIT ?",
            (*found[:3], *bindings, step.limit),
        ).fetchall()
        return step.result(rows, found.edge)

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


def where_matching(matching: EventFilter) -> tuple[str, Bindings]:
    """Return the filter as an SQL condition, and its bindings.

    The plus signs prevent SQLite from choosing another index: the range scanned is chosen here
    and bounded; the range of an index may not be.
    """
    terms: list[str] = []
    bindings: Bindings = []
    if matching.event_types:
        terms.append(_among("+kind", matching.event_types))
        bindings += [KIND_BY_NAME[name] for name in sorted(matching.event_types)]
    if matching.alerts:
        terms.append("alerts IS NOT NULL AND alerts & ?")
        bindings.append(bits(matching.alerts))
    inner, ids = _of_streams(matching)
    if inner:
        terms.append(
            f"EXISTS (SELECT 1 FROM streams WHERE streams.stream = events.stream AND {inner})"  # noqa: S608  as above
        )
        bindings += ids
    if matching.reservation_ids:
        query, ids = _reservations(matching.reservation_ids)
        terms.append(f"+subject IN ({query})")
        bindings += ids
    if matching.subjects:
        where, named = _named(matching.subjects)
        terms.append(
            f"(+stream IN (SELECT stream FROM streams WHERE {where}) "  # noqa: S608  as above
            f"OR +subject IN (SELECT subject FROM subjects WHERE {where}))"
        )
        bindings += 2 * [*named]
    return "".join(f"AND {term} " for term in terms), bindings


def _reservations(ids: frozenset[str]) -> tuple[str, Bindings]:
    """Return the query for the numbers of reservations, and its bindings."""
    where = f"kind = {RESERVATION} AND {_among('name', ids)}"
    return f"SELECT subject FROM subjects WHERE {where}", sorted(ids)  # noqa: S608  as above


def _named(keys: Collection[SubjectKey]) -> tuple[str, Bindings]:
    """Return the condition on rows of `streams` or `subjects` with these keys."""
    bindings: Bindings = []
    for key in sorted(keys, key=kind_and_name):
        bindings += kind_and_name(key)
    return " OR ".join(["(kind = ? AND name = ?)"] * len(keys)), bindings


def _of_streams(matching: EventFilter) -> tuple[str, Bindings]:
    """Return the filter's conditions on streams as SQL, and their bindings; none is empty."""
    terms: list[str] = []
    bindings: Bindings = []
    for column, values in (("product_id", matching.product_ids), ("store_id", matching.store_ids)):
        if values:
            terms.append(_among(column, values))
            bindings += sorted(values)
    if matching.stores is not None and not matching.store_ids:
        own = _among("{}", matching.stores)
        terms.append(
            f"({own.format('store_id')} OR kind IN ({_SHOWN_TO_ALL}) "
            f"OR (kind IN ({_SHOWN_IN_STORE}) AND {own.format('name')}) "
            f"OR (kind IN ({_SHOWN_IN_NO_OTHER}) "
            f"AND (name LIKE '%@' OR {own.format(_STORE_IN_NAME)})))"
        )
        bindings += 3 * sorted(matching.stores)
    return " AND ".join(terms), bindings


def _among(column: str, values: frozenset[str]) -> str:
    return f"{column} IN ({', '.join('?' * len(values))})"
