"""Reads stocks from the rows of their table."""

from collections.abc import Iterable, Sequence
from typing import Final

from inventory_grpc.domain.values import StockId
from inventory_grpc.infrastructure.postgres.read_models.read_model import Find, Found
from inventory_grpc.infrastructure.postgres.wanted import WANTED, wanted
from inventory_grpc.infrastructure.postgres.wire import Row
from inventory_grpc.infrastructure.rows.stocks import stock

COLUMNS: Final = "SELECT product_id, store_id, on_hand, reserved, version, update_time, particulars"
SELECT: Final = f"{COLUMNS} FROM streams JOIN stocks USING (stream)"

_SELECT_BY_NAME: Final = (
    "SELECT place, stream, on_hand, reserved, version, update_time, particulars "
    f"FROM {WANTED} JOIN streams USING (kind, name) JOIN stocks USING (stream)"
)


def _read(stock_ids: Sequence[StockId], rows: Iterable[Row]) -> Found:
    for place, stream, *values in rows:
        stock_id = stock_ids[place - 1]
        yield stock_id, stream, stock(stock_id, *values)


FIND: Final = Find(_SELECT_BY_NAME, wanted, _read)
