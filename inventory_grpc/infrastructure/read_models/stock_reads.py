"""Reads stocks from the rows of their table."""

from collections.abc import Iterator, Sequence
from typing import Final

import apsw
from orjson import loads

from inventory_grpc.application.ports import Reading
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import StockId
from inventory_grpc.infrastructure.log.ids import STOCK, kind_and_name
from inventory_grpc.infrastructure.rows.stocks import read_levels, stock
from inventory_grpc.infrastructure.sqlite.multirow import select_with

# in one row, because each fetch of a row releases the GIL, see multirow.py
_SELECT_BY_NAME: Final = (
    "WITH wanted (place, name) AS ({}) SELECT json_group_array(json_array("  # noqa: S608  made of constants, values are bound
    "place, stream, on_hand, reserved, version, update_time, particulars)) "
    f"FROM wanted CROSS JOIN streams ON kind = {STOCK} AND streams.name = wanted.name "
    "JOIN stocks USING (stream)"
)

COLUMNS: Final = "SELECT product_id, store_id, on_hand, reserved, version, update_time, particulars"
SELECT: Final = f"{COLUMNS} FROM streams JOIN stocks USING (stream)"
_HEAD: Final = "(SELECT max(position) FROM events)"
_IS_NAMED: Final = "kind = ? AND name = ?"
_SELECT_ONE: Final = (
    f"SELECT {_HEAD}, on_hand, reserved, version, update_time, particulars "  # noqa: S608  as above
    f"FROM streams JOIN stocks USING (stream) WHERE {_IS_NAMED}"
)
_SELECT_MISSING: Final = f"SELECT {_HEAD}, NOT EXISTS (SELECT 1 FROM streams WHERE {_IS_NAMED})"  # noqa: S608  as above

_SELECT_LEVELS: Final = (
    "SELECT on_hand, reserved, particulars, version FROM stocks WHERE stream = ?"
)


def find_stocks(
    connection: apsw.Connection, stock_ids: Sequence[StockId]
) -> Iterator[tuple[StockId, int, Inventory]]:
    """Yield the stocks that have a history, each with its stream number."""
    wanted = [(place, kind_and_name(stock_id)[1]) for place, stock_id in enumerate(stock_ids)]
    for (rows,) in select_with(connection, _SELECT_BY_NAME, wanted):
        for place, stream, *values in loads(rows):
            stock_id = stock_ids[place]
            yield stock_id, stream, stock(stock_id, *values)


def newest_stock(connection: apsw.Connection, stock_id: StockId) -> Reading[Inventory | None]:
    """Return a stock and the head by one statement, so that both reflect the same state."""
    key = kind_and_name(stock_id)
    row = connection.execute(_SELECT_ONE, key).fetchone()
    if row is None:
        # read once more together with the head, since the stock may have been added meanwhile
        head, missing = connection.execute(_SELECT_MISSING, key).get
        return Reading(None, head or 0) if missing else newest_stock(connection, stock_id)
    head, *values = row
    return Reading(stock(stock_id, *values), head)


def levels_of(connection: apsw.Connection, stream: int) -> tuple[Levels, int]:
    """Return the levels and the version of a stock; 0 without a history."""
    row = connection.execute(_SELECT_LEVELS, (stream,)).fetchone()
    if row is None:
        return Levels(0, 0), 0
    on_hand, reserved, particulars, version = row
    return read_levels(on_hand, reserved, particulars), version
