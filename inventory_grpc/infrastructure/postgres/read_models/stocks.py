"""Stocks by product and store, after their last events.

The writer continues from the row of a stock, as in SQLite. No index has a level of all stocks,
so an update of levels touches no index.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from inventory_grpc.application.ports import Listing
from inventory_grpc.application.queries.stock import (
    ProductInventory,
    ProductInventoryById,
    RecentlyMoved,
    StockQuery,
)
from inventory_grpc.domain.levels import ShownLevels
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import ProductId, StockId, StoreId
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.postgres.events import read_head
from inventory_grpc.infrastructure.postgres.read_models.read_model import ReadModel, in_scope
from inventory_grpc.infrastructure.postgres.read_models.stock_lists import list_stocks
from inventory_grpc.infrastructure.postgres.read_models.stock_reads import (
    FIND,
    SELECT,
)
from inventory_grpc.infrastructure.postgres.statement import Bound, Statement, upsert
from inventory_grpc.infrastructure.postgres.wire import Wire
from inventory_grpc.infrastructure.rows.stocks import (
    OTHERS,
    PLAIN,
    OtherSums,
    other_sums,
    page_of,
    rows_of,
    stock_of,
)

READ_TOGETHER: Final = 64
"""The most stocks that are read by one statement for as many calls."""

_DDL: Final = """
CREATE TABLE stocks (
  stream      int8 PRIMARY KEY,
  on_hand     int8 NOT NULL CHECK (on_hand >= 0),
  reserved    int8 NOT NULL CHECK (reserved >= 0),
  version     int8 NOT NULL,
  update_time int8 NOT NULL,
  available   int8 NOT NULL,  -- this and the next four follow from the others
  shortfall   int8,           -- NULL if there is none, as in the next ones
  low_stock   int8,
  fills_due   int8,
  backordered int8,
  particulars text            -- as `Particulars` has them; seldom not NULL
) WITH (fillfactor = 70);
CREATE INDEX stocks_short ON stocks (stream) WHERE shortfall IS NOT NULL;
CREATE INDEX stocks_low ON stocks (stream) WHERE low_stock IS NOT NULL;
CREATE INDEX stocks_filled ON stocks (stream) WHERE fills_due IS NOT NULL;
CREATE INDEX stocks_backordered ON stocks (stream) WHERE backordered IS NOT NULL
"""

_PLAIN: Final = {"stream": "int8", **dict.fromkeys(PLAIN, "int8")}
_UPSERT_PLAIN: Final = upsert(
    "stocks", _PLAIN, ["stream"], "".join(f", {name} = NULL" for name in OTHERS)
)
_UPSERT: Final = upsert(
    "stocks", _PLAIN | dict.fromkeys(OTHERS, "int8") | {"particulars": "text"}, ["stream"]
)

_SUMS: Final = ", ".join(
    f"coalesce(sum({level}), 0)" for level in ("on_hand", "reserved", "available", "shortfall")
)
_SELECT_SUMS: Final = f"SELECT count(particulars), {_SUMS} FROM streams JOIN stocks USING (stream)"
_SELECT_PARTICULARS: Final = (
    "SELECT count(*), (array_agg(on_hand ORDER BY stream))[1], "
    "(array_agg(reserved ORDER BY stream))[1], particulars "
    "FROM streams JOIN stocks USING (stream) WHERE particulars IS NOT NULL AND {} "
    "GROUP BY particulars, backordered"
)
"""Selects one stock for all that have the same of what few have: with a policy for all stocks
there are many, and few such groups of them."""
_RECENTLY_MOVED: Final = (
    f"{SELECT} WHERE stream IN "
    "(SELECT stream FROM events WHERE position >= $first::int8 AND position < $before::int8)"
)
_FILLED: Final = Statement(
    "SELECT product_id, store_id FROM stocks JOIN streams USING (stream) "
    "WHERE fills_due IS NOT NULL LIMIT $limit::int8"
)


def _project(recorded: Sequence[NumberedEvent]) -> Iterator[Bound]:
    for statement, rows in zip((_UPSERT_PLAIN, _UPSERT), rows_of(recorded), strict=True):
        if rows:
            yield statement.bind_rows(rows)


def _product(wire: Wire, query: ProductInventoryById) -> ProductInventory:
    visible, values = in_scope(query.scope)
    where = f"product_id = $product::text AND {visible}"
    values |= {"product": query.product_id}
    [(has_particulars, *sums)] = wire.query(f"{_SELECT_SUMS} WHERE {where}", **values)
    numbers: Sequence[Any] = [*map(int, sums)]  # they may be larger than 64 bits
    others: OtherSums | tuple[()] = ()
    if has_particulars:
        others = other_sums(wire.query(_SELECT_PARTICULARS.format(where), **values))
    rows = wire.query(
        f"{SELECT} WHERE {where} AND store_id > $after::text ORDER BY store_id LIMIT $limit::int8",
        **values,
        after=query.after_store,
        limit=query.limit + 1,
    )
    page = page_of([stock_of(row) for row in rows], query.limit)
    after = page[-1].stock_id if len(rows) > len(page) else None
    return ProductInventory(ShownLevels(*numbers, *others), Listing(page, after))


def _recently_moved(wire: Wire, query: RecentlyMoved) -> Listing[Inventory, int]:
    before = read_head(wire) + 1 if query.before is None else query.before
    first = max(1, before - query.events)
    rows = wire.query(_RECENTLY_MOVED, first=first, before=before)
    return Listing([stock_of(row) for row in rows], first if first > 1 else None)


def filled(wire: Wire, limit: int) -> Sequence[StockId]:
    """Return stocks for which goods have come in, and whose fills are not recorded."""
    rows = wire.query(_FILLED, limit=limit)
    return [StockId(ProductId(product_id), StoreId(store_id)) for product_id, store_id in rows]


READ_MODEL: Final[ReadModel] = ReadModel(
    _DDL,
    _project,
    find={StockId: FIND},
    points={StockId: FIND.point(READ_TOGETHER)},
    answers={
        ProductInventoryById: _product,
        StockQuery: list_stocks,
        RecentlyMoved: _recently_moved,
    },
)
