"""Reads stocks from the rows of their table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from inventory_grpc.domain.values import StockId
from inventory_grpc.infrastructure.log.ids import STOCK, kind_and_name
from inventory_grpc.infrastructure.postgres.read_models.read_model import Find, Found
from inventory_grpc.infrastructure.postgres.wire import Row
from inventory_grpc.infrastructure.rows.stocks import stock

COLUMNS: Final = "SELECT product_id, store_id, on_hand, reserved, version, update_time, particulars"
SELECT: Final = f"{COLUMNS} FROM streams JOIN stocks USING (stream)"

_SELECT_BY_NAME: Final = (
    "SELECT place, stream, on_hand, reserved, version, update_time, particulars "
    "FROM unnest($names::text[]) WITH ORDINALITY AS wanted (name, place) "
    f"JOIN streams ON kind = {STOCK} AND streams.name = wanted.name JOIN stocks USING (stream)"
)


def _names(stock_ids: Sequence[StockId]) -> Mapping[str, object]:
    return {"names": [kind_and_name(stock_id)[1] for stock_id in stock_ids]}


def _read(stock_ids: Sequence[StockId], rows: Iterable[Row]) -> Found:
    for place, stream, *values in rows:
        stock_id = stock_ids[place - 1]
        yield stock_id, stream, stock(stock_id, *values)


FIND: Final = Find(_SELECT_BY_NAME, _names, _read)
