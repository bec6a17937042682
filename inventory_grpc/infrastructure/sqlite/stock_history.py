"""Finds the events of a stock by a walk over their back links.

A walk begins at an event that is in the index by version, or at the last one, whose position is in
the row of the stock.
"""

from bisect import bisect_left
from functools import partial
from typing import Any, Final, NamedTuple

import apsw

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.sqlite.back_links import INDEXED_EVERY, IS_INDEXED

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

    If there are more than *most* events, it has *most* of them or a few more: at most twice
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
    if row is None:
        raise StorageError(Fault.DAMAGED, detail=f"the stock of stream {stream} has no row")
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
