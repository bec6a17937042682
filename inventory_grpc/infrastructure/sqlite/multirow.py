"""Statements with many rows each.

Every step of a statement releases the GIL, and a busy thread may take it for a while. Beside a
busy event loop, single-row inserts reached 2,000 rows a second and multi-row inserts 11,000;
on an idle loop both are equally fast.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache, reduce
from operator import iadd
from typing import Any, Final

import apsw

Row = Sequence[object]

MOST: Final = 64
"""Rows in one statement, except for `MANY` at once: each row count is a prepared statement."""

MANY: Final = 256
"""Rows in one statement while there are as many."""

STATEMENTS: Final = 8 * MOST
"""The size of a connection's cache of prepared statements."""


def execute_with(connection: apsw.Connection, sql: str, rows: Sequence[Row]) -> None:
    """Execute *sql* with *rows* in the place of its `{}`, in as few statements as possible."""
    for statement, bindings in _statements(sql, rows):
        connection.execute(statement, bindings)


def select_with(connection: apsw.Connection, sql: str, rows: Sequence[Row]) -> Iterator[Any]:
    """Yield what *sql* selects with *rows* in the place of its `{}`."""
    for statement, bindings in _statements(sql, rows):
        yield from connection.execute(statement, bindings)


def _statements(sql: str, rows: Sequence[Row]) -> Iterator[tuple[str, list[object]]]:
    first = 0
    while left := len(rows) - first:
        size = MANY if left >= MANY else min(left, MOST)
        some = rows[first : first + size]
        first += size
        # half the time of `chain.from_iterable`, which goes from value to value
        values: list[object] = reduce(iadd, some, [])
        yield _statement(sql, len(some[0]), len(some)), values


@lru_cache(maxsize=STATEMENTS)
def _statement(sql: str, columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return sql.replace("{}", "VALUES " + ", ".join([row] * rows))
