"""The links between the events of a stock: each event has the position of the one before it.

An index of all events by stream and version would be half of the pages that a commit writes, once
there are many stocks: its neighbours are far apart in time. So `events_by_version` has every
`INDEXED_EVERY`th event of a stock, and readers walk back from one of them, or from the last event,
whose position is in the row of the stock. Other streams are short: the index has all of their
events, which have no links.

A link also is the check that no version is recorded twice. It is looked up in the row of the
stock, together with the version before; if the row has another version, the link is 0, which the
table refuses. The row itself could be behind the log only by damage: `check_stocks` finds that at
the start of a server for the last events, and the index refuses every `INDEXED_EVERY`th version.
"""

from bisect import bisect_left
from collections.abc import Iterable
from functools import partial
from typing import Any, Final, NamedTuple

import apsw

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.log.ids import STOCK

INDEXED_EVERY: Final = 8
"""The index has the versions of a stock that are multiples of this, as log.sql says."""

IS_INDEXED: Final = f"(previous IS NULL OR version % {INDEXED_EVERY} = 0)"
"""The condition of the index; SQLite uses the index only if a statement repeats it."""

WALK: Final = (
    "WITH RECURSIVE walk (position, previous) AS ("
    "SELECT position, previous FROM events WHERE position = ?1 "
    "UNION ALL SELECT events.position, events.previous "
    "FROM walk CROSS JOIN events ON events.position = walk.previous WHERE walk.position > ?2) "
)
"""Walks back over a stock, from its event at `?1` to the first one at or before `?2`."""

_LAST: Final = f"{WALK}SELECT max(position) FROM walk WHERE position <= ?2"  # noqa: S608  made of constants
_POSITION: Final = f"SELECT position FROM events WHERE stream = ? AND version = ? AND {IS_INDEXED}"  # noqa: S608  as above

_NEWEST: Final = "SELECT version, position FROM stocks WHERE stream = ?"

_BEHIND: Final = (
    "SELECT events.position, name FROM events JOIN streams USING (stream) "  # noqa: S608  as above
    f"LEFT JOIN stocks USING (stream) WHERE streams.kind = {STOCK} "
    "AND events.position > (SELECT max(position) FROM events) - ? "
    "AND (stocks.position >= events.position AND stocks.version >= events.version) IS NOT TRUE "
    "ORDER BY events.position DESC LIMIT 1"
)

FOLLOWS: Final = (
    "CASE WHEN version = 1 THEN previous IS NULL "  # noqa: S608  as above
    f"WHEN streams.kind = {STOCK} THEN EXISTS (SELECT 1 FROM events AS before "
    "WHERE before.position = events.previous AND before.stream = events.stream "
    "AND before.version = events.version - 1) "
    "ELSE EXISTS (SELECT 1 FROM events AS before INDEXED BY events_by_version "
    "WHERE before.previous IS NULL AND before.stream = events.stream "
    "AND before.version = events.version - 1 AND before.position < events.position) END"
)
"""The condition that an event follows the one before it in its stream; in a stock by its link."""

_FROM_ROW: Final = 0
"""Stands for a link to the last event that was recorded before."""

INSERT_EVENTS: Final = (
    "INSERT INTO events "  # noqa: S608  as above
    "(position, stream, version, ordinal, kind, subject, event, hash, alerts, previous) "
    "SELECT column1, column2, column3, column4, column5, column6, column7, column8, column9, "
    f"CASE column10 WHEN {_FROM_ROW} THEN ifnull((SELECT position FROM stocks "
    f"WHERE stream = column2 AND version = column3 - 1), {_FROM_ROW}) ELSE column10 END FROM ({{}})"
)
"""Inserts rows of `linked`, before the rows of their stocks are updated."""


class _Place(NamedTuple):
    """The place of an event in its stream and in the log."""

    version: int
    position: int


class Section(NamedTuple):
    """A section of the events of a stock, for a `WALK`."""

    begin: int
    """The position at which the walk begins, which may be after the section."""
    first: int
    last: int
    """The positions between which it is, both included."""
    edge: int | None
    """The end that was set because the section would have been too long."""


def linked(rows: Iterable[tuple[Any, ...]], are_of_stocks: Iterable[bool]) -> list[tuple[Any, ...]]:
    """Return the rows of new events with their links.

    Each begins with position, stream and version.
    """
    last, found = dict[int, int](), list[tuple[Any, ...]]()
    for row, is_of_stock in zip(rows, are_of_stocks, strict=True):
        position, stream, version, *_ = row
        has_link = is_of_stock and version > 1
        found.append((*row, last.get(stream, _FROM_ROW) if has_link else None))
        last[stream] = position
    return found


def check_stocks(connection: apsw.Connection, events: int) -> None:
    """Check that no row of a stock is behind the last *events* of the log.

    Raises:
        StorageError: one is behind, or missing.
    """
    for position, name in connection.execute(_BEHIND, (events,)):
        raise StorageError(
            Fault.DAMAGED,
            detail=f"the row of stock {name} is behind event {position}; "
            "run `inventory-grpc rebuild` while no server is running",
        )


def walk_from(connection: apsw.Connection, stream: int, position: int) -> int:
    """Return the position at which a walk begins, to all events of a stock up to *position*."""
    return _at_or_after(connection, stream, position).position


def last_of_stock(connection: apsw.Connection, stream: int, upto: int) -> int | None:
    """Return the position of the last event of a stock up to the position *upto*."""
    begin = walk_from(connection, stream, upto)
    position: int | None = connection.execute(_LAST, (begin, upto)).get
    return position


def section(  # noqa: PLR0913  the range and its bound
    connection: apsw.Connection,
    stream: int,
    first: int,
    last: int,
    most: int,
    *,
    downwards: bool,
) -> Section:
    """Return a section of a stock between two positions, from the upper or the lower one on.

    If there are more than *most* events, it has *most* of them or a few more: less than twice
    `INDEXED_EVERY`.
    """
    begin = _at_or_after(connection, stream, last if downwards else first)
    step = -most - INDEXED_EVERY if downwards else most + INDEXED_EVERY - 1
    version = (begin.version + step) // INDEXED_EVERY * INDEXED_EVERY
    edge = _position_of(connection, stream, version)
    if not first < edge < last:
        begin = begin if downwards else _at_or_after(connection, stream, last)
        return Section(begin.position, first, last, None)
    if downwards:
        return Section(begin.position, edge, last, edge)
    return Section(edge, first, edge, edge)


def _at_or_after(connection: apsw.Connection, stream: int, position: int) -> _Place:
    """Return the first event of a stock at or after *position* in the index, or its last event."""
    row: Any = connection.execute(_NEWEST, (stream,)).fetchone()
    newest = _Place(*row)
    indexed = range(INDEXED_EVERY, newest.version + 1, INDEXED_EVERY)
    number = bisect_left(indexed, position, key=partial(_position_of, connection, stream))
    if number == len(indexed):
        return newest
    version = indexed[number]
    return _Place(version, _position_of(connection, stream, version))


def _position_of(connection: apsw.Connection, stream: int, version: int) -> int:
    """Return the position of a version in the index; 0 if it is not there."""
    position: int | None = connection.execute(_POSITION, (stream, version)).get
    return position or 0
