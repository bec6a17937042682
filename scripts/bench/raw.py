"""SQLite alone, which writes or reads the rows that the server has just written."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw

from inventory_grpc.infrastructure.log.chain import link
from inventory_grpc.infrastructure.sqlite.connection import Database
from scripts.bench.traffic import BATCH

_OF: Final = {
    "streams": ("stream, kind, id, product_id, store_id", "stream BETWEEN ? AND ?"),
    "events": ("*", "position BETWEEN ? AND ?"),
    "stocks": ("*", "stream IN (SELECT stream FROM events WHERE position BETWEEN ? AND ?)"),
}
"""The columns of a table, and the condition for the rows of events between two positions."""

_EVENT: Final = 7
"""The index of the event in its row; the hash follows it."""

CHECKPOINT_PAGES: Final = 4_000
"""SQLite's default of 1,000 is a fifth slower; the ceiling is the best it can do."""

Rows = list[tuple[Any, ...]]


def _insert_all(connection: apsw.Connection, table: str, rows: Rows) -> None:
    if rows:
        connection.executemany(_into(table, rows[0]), rows)


def _insert_each(connection: apsw.Connection, table: str, rows: Rows) -> None:
    statement = _into(table, rows[0]) if rows else ""
    if table != "events":
        for row in rows:
            connection.execute(statement, row)
        return
    digest = connection.execute("SELECT hash FROM events ORDER BY position DESC LIMIT 1").get
    for row in rows:
        digest = link(digest or b"", row[_EVENT])
        connection.execute(statement, (*row[: _EVENT + 1], digest, *row[_EVENT + 2 :]))


def _into(table: str, row: tuple[Any, ...]) -> str:
    # a known stock has a row already
    return f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(row))})"  # noqa: S608  the tables above


class Way(NamedTuple):
    """A way to write prepared rows."""

    size: int
    """Events in a transaction."""
    insert: Callable[[apsw.Connection, str, Rows], None]


AT_ONCE: Final = Way(BATCH, _insert_all)
"""As fast as SQLite can."""

IN_GROUPS: Final = Way(64, _insert_each)
"""As a group commit by hand: row by row, each event chained to the one before."""


def write_again(source: Path, after: int, head: int, copy: Path, way: Way = AT_ONCE) -> float:
    """Write the rows of the events after a position into a copy of the file from before them.

    Return the durable events a second.
    """
    transactions = list(_transactions(Database(source), after, head, way.size))
    with closing(Database(copy).writer()) as connection:
        connection.wal_autocheckpoint(CHECKPOINT_PAGES)
        started = time.perf_counter()
        for tables in transactions:
            with connection:
                for table, rows in tables.items():
                    way.insert(connection, table, rows)
        return (head - after) / (time.perf_counter() - started)


def _transactions(source: Database, after: int, head: int, size: int) -> list[dict[str, Rows]]:
    with closing(source.reader()) as connection:
        transactions = [
            {table: _rows(connection, table, first, min(first + size - 1, head)) for table in _OF}
            for first in range(after + 1, head + 1, size)
        ]
        # requests have no index by position, so one scan reads them all
        for position, *row in connection.execute(
            "SELECT position, * FROM requests WHERE position > ? AND position <= ?", (after, head)
        ):
            of_transaction = transactions[(position - after - 1) // size]
            of_transaction.setdefault("requests", []).append(tuple(row))
        return transactions


def _rows(connection: apsw.Connection, table: str, first: int, last: int) -> Rows:
    columns, where = _OF[table]
    return list(connection.execute(f"SELECT {columns} FROM {table} WHERE {where}", (first, last)))  # noqa: S608  the tables above


def read_all(source: Path, after: int, head: int) -> float:
    """Read the events after a position in order; return their rate."""
    with closing(Database(source).reader()) as connection:
        started = time.perf_counter()
        rows = connection.execute(
            "SELECT event FROM events WHERE position > ? AND position <= ? ORDER BY position",
            (after, head),
        )
        count = sum(1 for _ in rows)
        return count / (time.perf_counter() - started)
