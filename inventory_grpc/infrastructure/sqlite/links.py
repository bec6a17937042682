"""The links between the events of a stock: each event has the position of the one before it.

An index of all events by stream and version would be half of the pages that a commit writes, once
there are many stocks: its neighbours are far apart in time. So `events_by_version` has every
`INDEXED_EVERY`th event of a stock, and readers walk back from there, see stock_history.py. Other
streams are short: the index has all of their events, which have no links.

A link also is the check that no version is recorded twice. It is looked up in the row of the
stock, together with the version before; if the row has another version, the link is 0, which the
table refuses. The row itself could be behind the log only by damage: `check_stocks` finds that at
the start of a server for the last events, and the index refuses every `INDEXED_EVERY`th version.
"""

from collections.abc import Iterable
from typing import Any, Final

import apsw

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.log.ids import STOCK

INDEXED_EVERY: Final = 8
"""The index has the versions of a stock that are multiples of this, as log.sql says."""

IS_INDEXED: Final = f"(previous IS NULL OR version % {INDEXED_EVERY} = 0)"
"""The condition of the index; SQLite uses the index only if a statement repeats it."""

_BEHIND: Final = (
    "SELECT events.position, name FROM events JOIN streams USING (stream) "  # noqa: S608  made of constants
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
