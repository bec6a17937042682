"""Searches the log for matching events, in steps that scan a bounded number of them.

If a filter names few reservations, subjects or stocks, an index yields their events in the order
of the log. If it names alerts, another index yields the events that have some. With any other
filter, every event in a window of positions is scanned.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple

from inventory_grpc.application.queries.events import EventFilter, Found
from inventory_grpc.domain.event import SubjectKey
from inventory_grpc.infrastructure.codec import KIND_BY_NAME
from inventory_grpc.infrastructure.log.audiences import (
    SHOWN_IN_NO_OTHER,
    SHOWN_IN_STORE,
    SHOWN_TO_ALL,
)
from inventory_grpc.infrastructure.log.chain import bits
from inventory_grpc.infrastructure.log.ids import RESERVATION, kind_and_name
from inventory_grpc.infrastructure.log.merged_scans import Scan, merged, share
from inventory_grpc.infrastructure.postgres import events as log
from inventory_grpc.infrastructure.postgres.wire import Row, Wire
from inventory_grpc.infrastructure.rows import bounds

Values = dict[str, object]

_STORE_IN_NAME: Final = "split_part(name, '@', 2)"


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

    def result(self, rows: list[Row], edge: int | None) -> Scan[int, bytes]:
        """Return *rows* with the edge of the scan: the last row if the limit was reached."""
        return Scan(rows, rows[-1][0] if len(rows) == self.limit else edge)


_Source = Callable[[Wire, _Step], Scan[int, bytes]]


def search(  # noqa: PLR0913  the parts of the query
    wire: Wire,
    matching: EventFilter,
    after: int,
    before: int,
    limit: int,
    *,
    newest_first: bool,
) -> Found:
    """Scan one step of the events strictly between two positions."""
    first, last = after + 1, min(before - 1, log.read_head(wire))
    if first > last:
        return Found([], 0, done=True)
    sources = _sources(wire, matching)
    step = _Step(first, last, share(bounds.EVENTS_SCANNED, len(sources)), limit, newest_first)
    scans = [source(wire, step) for source in sources]
    rows, edge = merged(scans, limit, downwards=newest_first)
    end = first if newest_first else last
    return Found(rows, end if edge is None else edge, done=edge is None)


def _sources(wire: Wire, matching: EventFilter) -> Sequence[_Source]:
    if matching.reservation_ids:
        rest = matching._replace(reservation_ids=frozenset())
        ids: Values = {"reservations": sorted(matching.reservation_ids)}
        rows = wire.query(_RESERVATIONS, **ids)
        return [_of_subject(number, rest) for (number,) in rows]
    if matching.subjects:
        rest = matching._replace(subjects=frozenset())
        named = _named(matching.subjects)
        streams, subjects = (wire.query(one, **named) for one in (_STREAMS, _SUBJECTS))
        return [
            *(_of_stream(number, rest) for (number,) in streams),
            *(_of_subject(number, rest) for (number,) in subjects),
        ]
    inner, values = _of_streams(matching)
    if inner:
        streams = wire.query(
            f"SELECT stream FROM streams WHERE {inner} LIMIT $limit::int8",
            **values,
            limit=bounds.EVENT_SOURCES + 1,
        )
        if len(streams) <= bounds.EVENT_SOURCES:
            rest = EventFilter(event_types=matching.event_types, alerts=matching.alerts)
            return [_of_stream(stream, rest) for (stream,) in streams]
    return [_of_alerts(matching) if matching.alerts else _of_window(matching)]


def _of_window(matching: EventFilter) -> _Source:
    where, values = where_matching(matching)

    def scan(wire: Wire, step: _Step) -> Scan[int, bytes]:
        low, high, is_all = step.window(step.first, step.last)
        rows = wire.query(
            "SELECT position, event FROM events "
            f"WHERE position BETWEEN $low::int8 AND $high::int8 {where} "
            f"ORDER BY position {step.order} LIMIT $limit::int8",
            **values,
            low=low,
            high=high,
            limit=step.limit,
        )
        return step.result(rows, None if is_all else (low if step.newest_first else high))

    return scan


def _of_stream(stream: int, matching: EventFilter) -> _Source:
    """Scan the events of a stream, whose versions have no gaps and rise with positions."""
    where, values = where_matching(matching)

    def scan(wire: Wire, step: _Step) -> Scan[int, bytes]:
        first = log.version_at(wire, stream, step.first - 1) + 1
        last = log.version_at(wire, stream, step.last)
        low, high, is_all = step.window(first, last)
        rows = wire.query(
            "SELECT position, event FROM events WHERE stream = $stream::int8 "
            f"AND version BETWEEN $low::int8 AND $high::int8 {where} "
            f"ORDER BY version {step.order} LIMIT $limit::int8",
            **values,
            stream=stream,
            low=low,
            high=high,
            limit=step.limit,
        )
        edge = None
        if not is_all:
            edge = log.position_of(wire, stream, low if step.newest_first else high)
        return step.result(rows, edge)

    return scan


def _of_subject(subject: int, matching: EventFilter) -> _Source:
    return _of_index("subject = $subject::int8", {"subject": subject}, matching)


def _of_alerts(matching: EventFilter) -> _Source:
    return _of_index("alerts IS NOT NULL", {}, matching)


def _of_index(source: str, numbers: Values, matching: EventFilter) -> _Source:
    """Scan the events that an index yields in the order of their positions."""
    where, values = where_matching(matching)
    events = f"events WHERE {source} AND position BETWEEN $low::int8 AND $high::int8"

    def scan(wire: Wire, step: _Step) -> Scan[int, bytes]:
        low, high = step.first, step.last
        edge: int | None = wire.value(
            f"SELECT position FROM {events} ORDER BY position {step.order} "
            "LIMIT 1 OFFSET $scanned::int8",
            **numbers,
            low=low,
            high=high,
            scanned=step.max_scanned - 1,
        )
        if edge is not None:
            low, high = (edge, high) if step.newest_first else (low, edge)
        rows = wire.query(
            f"SELECT position, event FROM {events} {where} "
            f"ORDER BY position {step.order} LIMIT $limit::int8",
            **(values | numbers),
            low=low,
            high=high,
            limit=step.limit,
        )
        return step.result(rows, edge)

    return scan


_RESERVATIONS: Final = (
    f"SELECT subject FROM subjects WHERE kind = {RESERVATION} AND name = ANY($reservations::text[])"
)
_NAMED: Final = "(kind, name) IN (SELECT * FROM unnest($kinds::int2[], $names::text[]))"
_STREAMS: Final = f"SELECT stream FROM streams WHERE {_NAMED}"
_SUBJECTS: Final = f"SELECT subject FROM subjects WHERE {_NAMED}"


def where_matching(matching: EventFilter) -> tuple[str, Values]:
    """Return the filter as an SQL condition, and its values."""
    terms: list[str] = []
    values: Values = {}
    if matching.event_types:
        terms.append("kind = ANY($event_types::int2[])")
        values["event_types"] = [KIND_BY_NAME[name] for name in sorted(matching.event_types)]
    if matching.alerts:
        terms.append("alerts IS NOT NULL AND alerts & $alerts::int8 <> 0")
        values["alerts"] = bits(matching.alerts)
    inner, ids = _of_streams(matching)
    if inner:
        terms.append(
            f"EXISTS (SELECT 1 FROM streams WHERE streams.stream = events.stream AND {inner})"
        )
        values |= ids
    if matching.reservation_ids:
        terms.append(f"subject IN ({_RESERVATIONS})")
        values["reservations"] = sorted(matching.reservation_ids)
    if matching.subjects:
        terms.append(f"(stream IN ({_STREAMS}) OR subject IN ({_SUBJECTS}))")
        values |= _named(matching.subjects)
    return "".join(f"AND {term} " for term in terms), values


def _named(keys: Collection[SubjectKey]) -> Values:
    """Return the values of the condition on rows of `streams` or `subjects` with these keys."""
    kinds, names = zip(*map(kind_and_name, keys), strict=True)
    return {"kinds": kinds, "names": names}


def _of_streams(matching: EventFilter) -> tuple[str, Values]:
    """Return the filter's conditions on streams as SQL, and their values; none is empty."""
    terms: list[str] = []
    values: Values = {}
    if matching.product_ids:
        terms.append("product_id = ANY($products::text[])")
        values["products"] = sorted(matching.product_ids)
    if matching.store_ids:
        terms.append("store_id = ANY($stores::text[])")
        values["stores"] = sorted(matching.store_ids)
    if matching.stores is not None and not matching.store_ids:
        own = "{} = ANY($own_stores::text[])"
        terms.append(
            f"({own.format('store_id')} OR streams.kind IN ({SHOWN_TO_ALL}) "
            f"OR (streams.kind IN ({SHOWN_IN_STORE}) AND {own.format('name')}) "
            f"OR (streams.kind IN ({SHOWN_IN_NO_OTHER}) "
            f"AND (name LIKE '%@' OR {own.format(_STORE_IN_NAME)})))"
        )
        values["own_stores"] = sorted(matching.stores)
    return " AND ".join(terms), values
