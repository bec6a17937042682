"""How fast is SQLite alone, told to do what the server has just done?"""

import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import apsw

from inventory_grpc.infrastructure.sqlite import schema
from inventory_grpc.infrastructure.sqlite.connection import Database

_OF: Final = {
    "streams": "stream BETWEEN ? AND ?",
    "events": "position BETWEEN ? AND ?",
    "stocks": "stream IN (SELECT stream FROM events WHERE position BETWEEN ? AND ?)",
}
"""Which rows of a table the events between two positions brought with them, by an index."""

CHECKPOINT_PAGES: Final = 4_000
"""With the 1,000 of SQLite it writes a fifth less; the ceiling is the best that it can do."""

Rows = list[tuple[Any, ...]]


def write_again(source: Path, after: int, head: int, size: int, target: Path) -> float:
    """Write the rows of the events after a position again, into a file like the server's.

    It is a new one, or a copy of the server's from before these events. There are *size*
    events in a transaction, whose rows are ready and go in as fast as they can. Return how
    many events a second are durable.
    """
    database, is_new = Database(target), not target.exists()
    transactions = list(_transactions(Database(source), after, head, size))
    with closing(database.writer()) as connection:
        connection.wal_autocheckpoint(CHECKPOINT_PAGES)
        if is_new:
            schema.create(connection, now=0)
        started = time.perf_counter()
        for tables in transactions:
            with connection:
                for table, rows in tables.items():
                    _insert(connection, table, rows)
        return (head - after) / (time.perf_counter() - started)


def _transactions(source: Database, after: int, head: int, size: int) -> list[dict[str, Rows]]:
    with closing(source.reader()) as connection:
        transactions = [
            {table: _rows(connection, table, first, min(first + size - 1, head)) for table in _OF}
            for first in range(after + 1, head + 1, size)
        ]
        # these have no index by position: all at once
        for position, *row in connection.execute(
            "SELECT position, * FROM requests WHERE position > ? AND position <= ?", (after, head)
        ):
            of_transaction = transactions[(position - after - 1) // size]
            of_transaction.setdefault("requests", []).append(tuple(row))
        return transactions


def _rows(connection: apsw.Connection, table: str, first: int, last: int) -> Rows:
    return list(connection.execute(f"SELECT * FROM {table} WHERE {_OF[table]}", (first, last)))  # noqa: S608  the tables above


def _insert(connection: apsw.Connection, table: str, rows: Rows) -> None:
    if rows:
        values = ", ".join("?" * len(rows[0]))
        # a stock that moves again has a row
        connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({values})", rows)  # noqa: S608  the tables above


def read_all(source: Path, after: int, head: int) -> float:
    """Read the events after a position in their order; return how many a second."""
    with closing(Database(source).reader()) as connection:
        started = time.perf_counter()
        rows = connection.execute(
            "SELECT event FROM events WHERE position > ? AND position <= ? ORDER BY position",
            (after, head),
        )
        count = sum(1 for _ in rows)
        return count / (time.perf_counter() - started)
