"""Stocks by product and store, after their last events.

The writer continues from the row of a stock, and updates it in the transaction that records an
event. A wrong row is reported by `verify`; see back_links.py for versions that the log refuses.
"""

from collections.abc import Sequence
from typing import Final

import apsw

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
from inventory_grpc.infrastructure.read_models.read_model import ReadModel, in_scope
from inventory_grpc.infrastructure.read_models.stock_lists import list_stocks
from inventory_grpc.infrastructure.read_models.stock_reads import (
    SELECT,
    find_stocks,
    newest_stock,
)
from inventory_grpc.infrastructure.rows.stocks import (
    OTHERS,
    PLAIN,
    OtherSums,
    other_sums,
    page_of,
    rows_of,
    stock_of,
)
from inventory_grpc.infrastructure.sqlite.events import read_head
from inventory_grpc.infrastructure.sqlite.multirow import execute_with

_DDL: Final = """
CREATE TABLE stocks (
  stream      INTEGER PRIMARY KEY,
  position    INTEGER NOT NULL,  -- of the last event, see back_links.py
  on_hand     INTEGER NOT NULL CHECK (on_hand >= 0),
  reserved    INTEGER NOT NULL CHECK (reserved >= 0),
  version     INTEGER NOT NULL,
  update_time INTEGER NOT NULL,
  available   INTEGER NOT NULL,  -- this and the next four follow from the others
  shortfall   INTEGER,  -- NULL if there is none, as in the next ones
  low_stock   INTEGER,
  fills_due   INTEGER,
  backordered INTEGER,
  particulars TEXT      -- as `Particulars` has them; seldom not NULL
) STRICT;
CREATE INDEX stocks_short ON stocks (stream) WHERE shortfall IS NOT NULL;
CREATE INDEX stocks_low ON stocks (stream) WHERE low_stock IS NOT NULL;
CREATE INDEX stocks_filled ON stocks (stream) WHERE fills_due IS NOT NULL;
CREATE INDEX stocks_backordered ON stocks (stream) WHERE backordered IS NOT NULL
"""


def _upsert(bound: Sequence[str], constants: str) -> str:
    sets = ", ".join(f"{name} = excluded.{name}" for name in bound)
    columns = ", ".join(("stream", *bound))
    return (
        f"INSERT INTO stocks ({columns}) {{}} ON CONFLICT (stream) DO UPDATE SET {sets}{constants}"
    )


_UPSERT_PLAIN: Final = _upsert(("position", *PLAIN), "".join(f", {name} = NULL" for name in OTHERS))
"""Takes a third less time than with the columns that are NULL for nearly all stocks."""
_UPSERT: Final = _upsert(("position", *PLAIN, *OTHERS), "")

_HALF: Final = 32
"""The bit at which levels are split: a sum of levels may overflow the 64 bits of SQLite, and sums
of the halves always fit."""

_HALVES: Final = ", ".join(
    f"ifnull(sum({level} >> {_HALF}), 0), ifnull(sum({level} & {2**_HALF - 1}), 0)"
    for level in ("on_hand", "reserved", "available", "ifnull(shortfall, 0)")
)
_SELECT_SUMS: Final = (
    f"SELECT count(particulars), {_HALVES} FROM streams JOIN stocks USING (stream)"  # noqa: S608  as above
)
_SELECT_PARTICULARS: Final = (
    "SELECT count(*), on_hand, reserved, particulars, min(stream) "
    "FROM streams JOIN stocks USING (stream) WHERE particulars IS NOT NULL AND {} "
    "GROUP BY particulars, backordered"
)
"""Selects one stock for all that have the same of what few have: with a policy for all stocks
there are many, and few such groups of them."""


def _project(connection: apsw.Connection, recorded: Sequence[NumberedEvent]) -> None:
    plain, others = rows_of(recorded, positions=True)
    execute_with(connection, _UPSERT_PLAIN, plain)
    execute_with(connection, _UPSERT, others)


def _product(connection: apsw.Connection, query: ProductInventoryById) -> ProductInventory:
    visible, stores = in_scope(query.scope)
    where, bindings = f"product_id = ? AND {visible}", (query.product_id, *stores)
    has_particulars, *halves = connection.execute(f"{_SELECT_SUMS} WHERE {where}", bindings).get
    sums = [(high << _HALF) + low for high, low in zip(halves[::2], halves[1::2], strict=True)]
    others: OtherSums | tuple[()] = ()
    if has_particulars:
        others = other_sums(connection.execute(_SELECT_PARTICULARS.format(where), bindings))
    rows = connection.execute(
        f"{SELECT} WHERE product_id = ? AND {visible} AND store_id > ? ORDER BY store_id LIMIT ?",
        (query.product_id, *stores, query.after_store, query.limit + 1),
    ).fetchall()
    page = page_of([stock_of(row) for row in rows], query.limit)
    after = page[-1].stock_id if len(rows) > len(page) else None
    return ProductInventory(ShownLevels(*sums, *others), Listing(page, after))


def _recently_moved(connection: apsw.Connection, query: RecentlyMoved) -> Listing[Inventory, int]:
    before = read_head(connection) + 1 if query.before is None else query.before
    first = max(1, before - query.events)
    rows = connection.execute(
        f"{SELECT} WHERE stream IN "  # noqa: S608  as above
        "(SELECT stream FROM events WHERE position >= ? AND position < ?)",
        (first, before),
    )
    return Listing([stock_of(row) for row in rows], first if first > 1 else None)


def filled(connection: apsw.Connection, limit: int) -> Sequence[StockId]:
    """Return stocks for which goods have come in, and whose fills are not recorded."""
    rows = connection.execute(
        "SELECT product_id, store_id FROM stocks CROSS JOIN streams USING (stream) "
        "WHERE fills_due IS NOT NULL LIMIT ?",
        (limit,),
    )
    return [StockId(ProductId(product_id), StoreId(store_id)) for product_id, store_id in rows]


READ_MODEL: Final[ReadModel] = ReadModel(
    _DDL,
    _project,
    find={StockId: find_stocks},
    states={StockId: newest_stock},
    answers={
        ProductInventoryById: _product,
        StockQuery: list_stocks,
        RecentlyMoved: _recently_moved,
    },
)
