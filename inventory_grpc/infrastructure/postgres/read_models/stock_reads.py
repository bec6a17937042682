"""Reads stocks from the rows of their table."""

from collections.abc import Iterable, Sequence
from typing import Final

from inventory_grpc.application.ports import Reading
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import StockId
from inventory_grpc.infrastructure.log.ids import STOCK, kind_and_name
from inventory_grpc.infrastructure.postgres.read_models.read_model import Find, Found
from inventory_grpc.infrastructure.postgres.statement import Bound, Statement
from inventory_grpc.infrastructure.postgres.wire import Row, Wire
from inventory_grpc.infrastructure.rows.stocks import stock

COLUMNS: Final = "SELECT product_id, store_id, on_hand, reserved, version, update_time, particulars"
SELECT: Final = f"{COLUMNS} FROM streams JOIN stocks USING (stream)"

_SELECT_BY_NAME: Final = Statement(
    "SELECT place, stream, on_hand, reserved, version, update_time, particulars "
    "FROM unnest($names::text[]) WITH ORDINALITY AS wanted (name, place) "
    f"JOIN streams ON kind = {STOCK} AND streams.name = wanted.name JOIN stocks USING (stream)"
)
_SELECT_ONE: Final = Statement(
    "SELECT head, on_hand, reserved, version, update_time, particulars "
    "FROM (SELECT coalesce(max(position), 0) FROM events) AS log (head) LEFT JOIN "
    "(streams JOIN stocks USING (stream)) ON kind = $kind::int2 AND name = $name::text"
)


def _ask(stock_ids: Sequence[StockId]) -> Bound:
    return _SELECT_BY_NAME.bind(names=[kind_and_name(stock_id)[1] for stock_id in stock_ids])


def _read(stock_ids: Sequence[StockId], rows: Iterable[Row]) -> Found:
    for place, stream, *values in rows:
        stock_id = stock_ids[place - 1]
        yield stock_id, stream, stock(stock_id, *values)


FIND: Final = Find(_ask, _read)


def newest_stock(wire: Wire, stock_id: StockId) -> Reading[Inventory | None]:
    """Return a stock and the head by one statement, so that both reflect the same state."""
    kind, name = kind_and_name(stock_id)
    [(head, on_hand, *values)] = wire.query(_SELECT_ONE, kind=kind, name=name)
    return Reading(None if on_hand is None else stock(stock_id, on_hand, *values), head)
