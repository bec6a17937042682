"""What do some stocks come to? The row of a stock is the snapshot of its history.

It is moved in the transaction that records an event, so that whoever goes on from it needs
nothing older. Were it behind all the same, its next event would have the version of another
one, which the log refuses. Were its levels others than the log's, only `verify` would tell.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import apsw
from orjson import loads

from inventory_grpc.domain.event import Levels
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import Instant, StockId
from inventory_grpc.infrastructure.log.ids import STOCK, stored
from inventory_grpc.infrastructure.sqlite.rows import select_with

# in one row: every row that is fetched lets go of the interpreter, see rows.py
_ASKED: Final = (
    "WITH asked (place, name) AS ({}) SELECT json_group_array(json_array("  # noqa: S608  made of our own words, values are bound
    "place, stream, on_hand, reserved, version, update_time)) "
    f"FROM asked CROSS JOIN streams ON kind = {STOCK} AND streams.name = asked.name "
    "JOIN stocks USING (stream)"
)


def find_stocks(
    connection: apsw.Connection, stock_ids: Sequence[StockId]
) -> Iterator[tuple[int, Inventory]]:
    """Yield those that have a history, each with its stream."""
    asked = [(place, stored(stock_id)[1]) for place, stock_id in enumerate(stock_ids)]
    for (rows,) in select_with(connection, _ASKED, asked):
        for place, stream, on_hand, reserved, version, update_time in loads(rows):
            levels = Levels(on_hand, reserved)
            yield stream, Inventory(stock_ids[place], levels, version, Instant(update_time))
