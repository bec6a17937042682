"""All rows of a list as of one position, although its pages are read one after the other.

Pages may have different positions. So the rows are kept in a temporary file, and the events since
the first page are applied to them, up to the position of the last page.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Final

import apsw
import orjson

from inventory_grpc.cli.files.sources import Row, Source
from inventory_grpc.client import SyncInventoryClient

PAGE: Final = 1_000
"""Stocks of a page, and the most events that are applied at once."""

_CACHE_KIB: Final = 16_384


class Snapshot:
    """The rows of a list by their keys, in a file without a name that ends with it."""

    def __init__(self) -> None:
        self._rows = apsw.Connection("")
        self._rows.pragma("journal_mode", "off")
        self._rows.pragma("synchronous", "off")
        self._rows.pragma("cache_size", -_CACHE_KIB)
        self._rows.execute(
            "CREATE TABLE rows (key TEXT PRIMARY KEY, cells BLOB NOT NULL) WITHOUT ROWID"
        )
        self._rows.execute("BEGIN")

    def close(self) -> None:
        self._rows.close()

    def put(self, rows: Iterable[Row]) -> None:
        """Keep *rows*; a later one takes the place of an earlier one with its key."""
        self._rows.executemany(
            "INSERT OR REPLACE INTO rows VALUES (?, ?)",
            ((row.key, orjson.dumps(row.cells)) for row in rows),
        )

    def rows(self) -> Iterator[Sequence[Any]]:
        """Yield the cells of all rows, by key."""
        for (cells,) in self._rows.execute("SELECT cells FROM rows ORDER BY key"):
            yield from orjson.loads(cells)


def take(
    client: SyncInventoryClient,
    source: Source,
    snapshot: Snapshot,
    filters: Mapping[str, Any],
    told: Callable[[int], None],
) -> int:
    """Read the rows of *source* into *snapshot*; return the position that they reflect.

    Raises:
        InventoryError: a page or an event cannot be read.
    """
    first = last = count = 0
    token, is_more = "", True
    while is_more:
        page = source.page(client, **filters, page_size=PAGE, page_token=token, min_position=first)
        first = first or page.as_of_position
        last = max(last, page.as_of_position)
        found = getattr(page, source.rows)
        snapshot.put(map(source.of_row, found))
        count += len(found)
        told(count)
        token = page.next_page_token
        is_more = bool(token)
    if last > first:
        _apply(client, source, snapshot, filters, first, last)
    return last


def _apply(
    client: SyncInventoryClient,
    source: Source,
    snapshot: Snapshot,
    filters: Mapping[str, Any],
    after: int,
    upto: int,
) -> None:
    """Apply the events after one position, up to another one."""
    following = client.events(
        **filters, event_types=source.event_types, after_position=after, stop_at_head=True
    )
    changed: dict[str, Row] = {}
    with closing(following) as events:
        for event in events:
            if event.position > upto:
                break
            if row := source.of_event(event):
                changed[row.key] = row
                if len(changed) == PAGE:
                    snapshot.put(changed.values())
                    changed.clear()
    snapshot.put(changed.values())
