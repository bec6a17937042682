"""The back links of stocks: each of their events has the position of the one before it.

An index of all events by stream and version would be half of the pages that a commit writes, once
there are many stocks: its neighbours are far apart in time. So `events_by_version` has every
`INDEXED_EVERY`th event of a stock, and readers walk back from there, see stock_history.py. The
events of other streams are few: all of them are in the index, and have no back links.

A back link also is the check that no version is recorded twice or left out. It is looked up in the
row of the stock, together with the version before; if the row has another version, the table
refuses the event. The row is trusted: only in a damaged file it may be behind the log. Then
`check_stocks` refuses the file at the start of a server if one of the last events is of that stock.
Of older ones, the index refuses to record a version again that it has; others are recorded twice,
which `verify` reports and only a backup mends.
"""

from collections.abc import Iterable
from typing import Any, Final

import apsw

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.log.ids import STOCK

INDEXED_EVERY: Final = 8
"""The index has the versions of a stock that are multiples of this, as log.sql says."""

IS_INDEXED: Final = f"(previous IS NULL OR version % {INDEXED_EVERY} = 0)"
"""The condition of the index, which SQLite uses for statements with this, or a part of it."""

_WRONG: Final = (
    "SELECT events.position, name FROM events JOIN streams USING (stream) "  # noqa: S608  made of constants
    f"LEFT JOIN stocks USING (stream) WHERE streams.kind = {STOCK} "
    "AND events.position > (SELECT max(position) FROM events) - ? "
    "AND (stocks.position < events.position OR NOT EXISTS (SELECT 1 FROM events AS last "
    "WHERE last.position = stocks.position AND last.stream = stocks.stream "
    "AND last.version = stocks.version)) ORDER BY events.position DESC LIMIT 1"
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
"""The condition that an event follows the one before it in its stream; a stock has back links."""

_FROM_ROW: Final = 0
"""Stands for a back link to the last event that was recorded before these."""
_REFUSED: Final = -1
"""A back link that the table refuses."""

INSERT_EVENTS: Final = (
    "INSERT INTO events "  # noqa: S608  as above
    "(position, stream, version, ordinal, kind, subject, event, hash, alerts, previous) "
    "SELECT column1, column2, column3, column4, column5, column6, column7, column8, column9, "
    f"CASE column10 WHEN {_FROM_ROW} THEN ifnull((SELECT position FROM stocks "
    f"WHERE stream = column2 AND version = column3 - 1), {_REFUSED}) ELSE column10 END FROM ({{}})"
)
"""Inserts rows of `with_back_links`, before the rows of their stocks are updated."""


def with_back_links(
    rows: Iterable[tuple[Any, ...]], are_of_stocks: Iterable[bool]
) -> list[tuple[Any, ...]]:
    """Return the rows of new events with their back links.

    Each begins with position, stream and version.
    """
    last, found = dict[int, tuple[Any, ...]](), list[tuple[Any, ...]]()
    for row, is_of_stock in zip(rows, are_of_stocks, strict=True):
        stream, version, link = row[1], row[2], None
        if is_of_stock and version > 1:
            before = last.get(stream)
            if before is None:
                link = _FROM_ROW
            else:
                link = before[0] if before[2] == version - 1 else _REFUSED
        last[stream] = row
        found.append((*row, link))
    return found


def check_stocks(connection: apsw.Connection, events: int) -> None:
    """Check the rows of the stocks of the last *events* in the log.

    Rows on a page that cannot be read are left to the calls that need them, and others are served.

    Raises:
        StorageError: a row is missing, or not as after the last event of its stock.
    """
    try:
        found = connection.execute(_WRONG, (events,)).fetchone()
    except (apsw.CorruptError, apsw.IOError):
        return
    if found is not None:
        position, name = found
        raise StorageError(
            Fault.DAMAGED,
            detail=f"the row of stock {name} does not belong to the log with event {position}; "
            "stop all servers and run `inventory-grpc rebuild`",
        )
