"""Checks the tables that a replay does not give: names, walks, requests and snapshots.

They are read in pages, each in a statement of its own, as the log is.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from inventory_grpc.domain.event import Event
from inventory_grpc.infrastructure.log import findings
from inventory_grpc.infrastructure.log.findings import SHOWN
from inventory_grpc.infrastructure.postgres import log_names
from inventory_grpc.infrastructure.postgres.events import (
    NO_END,
    events_of_subject,
    read_head,
    read_log_id,
)
from inventory_grpc.infrastructure.postgres.statement import Statement
from inventory_grpc.infrastructure.postgres.wire import Wire

PAGE: Final = 2_000
"""Positions or requests read at a time."""
SNAPSHOTS: Final = 100
"""Snapshots read at a time: one may have 500 lines."""

_NAMES: Final = {
    number: Statement(
        f"SELECT named.{columns} FROM {number}s AS named "
        f"LEFT JOIN events ON position = named.{number} "
        f"WHERE named.{number} > $after::int8 AND named.{number} <= $upto::int8 "
        f"AND events.{number} IS DISTINCT FROM named.{number} ORDER BY 1 LIMIT {SHOWN}"
    )
    for number, columns in (
        ("stream", "stream, named.kind, id, product_id, store_id, name"),
        ("subject", "subject, named.kind, name"),
    )
}
_WALKS: Final = Statement(
    "SELECT since, unsettled.kind, unsettled.name, unsettled.product_id, unsettled.store_id "
    "FROM unsettled LEFT JOIN events ON position = since LEFT JOIN streams USING (stream) "
    "WHERE (streams.kind, streams.name) IS DISTINCT FROM (unsettled.kind, unsettled.name) "
    f"ORDER BY since LIMIT {SHOWN}"
)
_REQUESTS: Final = Statement(
    "SELECT actor, request_id, asked.position, event, outcome IS NULL FROM ("
    "SELECT actor, request_id, position, outcome FROM requests "
    "WHERE (actor, request_id) > ($actor::text, $request_id::text) "
    "ORDER BY actor, request_id LIMIT $limit::int8) AS asked "
    "LEFT JOIN events ON events.position = asked.position AND outcome IS NULL "
    "ORDER BY actor, request_id"
)
_SNAPSHOTS: Final = Statement(
    "SELECT subject, position, state FROM subject_snapshots WHERE subject > $after::int8 "
    "ORDER BY subject LIMIT $limit::int8"
)


def differences(wire: Wire) -> Iterator[str]:
    """Yield the rows of these tables that do not fit the log."""
    yield from _snapshots(wire)
    for number in _NAMES:
        yield from _names(wire, number)
    for row in wire.query(_WALKS):
        yield findings.without_event("unsettled", row)
    yield from log_names.differences(wire, read_log_id(wire))
    yield from _requests(wire)


def _names(wire: Wire, number: str) -> Iterator[str]:
    """Yield the streams or subjects whose number is not the position of their first event."""
    ends = [-NO_END, *range(0, read_head(wire), PAGE), NO_END]
    left = SHOWN
    for after, upto in pairwise(ends):
        for row in wire.query(_NAMES[number], after=after, upto=upto)[:left]:
            yield findings.without_event(f"{number}s", row)
            left -= 1
        if not left:
            return


def _requests(wire: Wire) -> Iterator[str]:
    """Yield the remembered requests that point to the events of another request."""
    last = "", ""
    while rows := wire.query(_REQUESTS, actor=last[0], request_id=last[1], limit=PAGE):
        for *request, is_of_events in rows:
            if is_of_events:
                yield from findings.of_request(*request)
        last = rows[-1][:2]


def _snapshots(wire: Wire) -> Iterator[str]:
    """Yield the snapshots that differ from a fold of the log."""

    def events(subject: int, upto: int) -> Iterator[Event]:
        yield from events_of_subject(wire, subject, 0, upto)

    last = -NO_END
    while rows := wire.query(_SNAPSHOTS, after=last, limit=SNAPSHOTS):
        for subject, position, text in rows:
            yield from findings.of_snapshot(subject, text, events(subject, position))
        last = rows[-1][0]
