"""Stocks by product and store, after their last events.

The writer continues from the row of a stock, and updates it in the transaction that records an
event. If a row were behind, the next event would reuse a version, which the log refuses. If its
levels were wrong, `verify` would report them.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import starmap
from typing import Final

import apsw
from orjson import dumps

from inventory_grpc.application.ports import Listing
from inventory_grpc.application.queries.stock import (
    ProductInventory,
    ProductInventoryById,
    RecentlyMoved,
    StockQuery,
)
from inventory_grpc.domain.levels import FenceUnits, ShownLevels, StateUnits
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import Channel, ProductId, StockId, StoreId, UnitState
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.read_models.read_model import ReadModel, in_scope
from inventory_grpc.infrastructure.read_models.stock_lists import list_stocks
from inventory_grpc.infrastructure.read_models.stock_reads import (
    SELECT,
    Row,
    find_stocks,
    newest_stock,
    page_of,
    read_levels,
    stock_of,
)
from inventory_grpc.infrastructure.sqlite.multirow import execute_with

EVENTS_PER_STOCK: Final = 20
"""Events scanned for each recently moved stock: few stocks may have moved often."""

_DDL: Final = """
CREATE TABLE stocks (
  stream      INTEGER PRIMARY KEY,
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

_PLAIN: Final = "on_hand", "reserved", "version", "update_time", "available", "shortfall"
_OTHERS: Final = "low_stock", "fills_due", "backordered", "particulars"


def _upsert(bound: Sequence[str], constants: str) -> str:
    sets = ", ".join(f"{name} = excluded.{name}" for name in bound)
    columns = ", ".join(("stream", *bound))
    return (
        f"INSERT INTO stocks ({columns}) {{}} ON CONFLICT (stream) DO UPDATE SET {sets}{constants}"
    )


_UPSERT_PLAIN: Final = _upsert(_PLAIN, "".join(f", {name} = NULL" for name in _OTHERS))
"""Takes a third less time than with the columns that are NULL for nearly all stocks."""
_UPSERT: Final = _upsert((*_PLAIN, *_OTHERS), "")

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
    "SELECT count(*), min(stream), on_hand, reserved, particulars "
    "FROM streams JOIN stocks USING (stream) WHERE particulars IS NOT NULL AND {} "
    "GROUP BY particulars, backordered"
)
"""Selects one stock for all that have the same of what few have: with a policy for all stocks
there are many, and few such groups of them."""


def _project(connection: apsw.Connection, recorded: Sequence[NumberedEvent]) -> None:
    last = {stream: event for event, stream, _ in recorded if event.after is not None}
    plain, others = list[Row](), list[Row]()
    for stream, event in last.items():
        on_hand, reserved, particulars = after = event.after
        spare = on_hand - reserved
        row = (stream, on_hand, reserved, event.version, event.record_time)
        if particulars is None:
            plain.append((*row, spare, None) if spare >= 0 else (*row, 0, -spare))
        else:
            flags = after.shortfall, after.low_stock, after.fills_due, after.backordered
            stored = dumps(particulars, default=list).decode()
            others.append((*row, after.available, *(flag or None for flag in flags), stored))
    execute_with(connection, _UPSERT_PLAIN, plain)
    execute_with(connection, _UPSERT, others)


def _product(connection: apsw.Connection, query: ProductInventoryById) -> ProductInventory:
    visible, stores = in_scope(query.scope)
    where, bindings = f"product_id = ? AND {visible}", (query.product_id, *stores)
    has_particulars, *halves = connection.execute(f"{_SELECT_SUMS} WHERE {where}", bindings).get
    sums = [(high << _HALF) + low for high, low in zip(halves[::2], halves[1::2], strict=True)]
    others = _other_sums(connection, where, bindings) if has_particulars else ()
    rows = connection.execute(
        f"{SELECT} WHERE product_id = ? AND {visible} AND store_id > ? ORDER BY store_id LIMIT ?",
        (query.product_id, *stores, query.after_store, query.limit + 1),
    ).fetchall()
    page = page_of([stock_of(row) for row in rows], query.limit)
    after = page[-1].stock_id if len(rows) > len(page) else None
    return ProductInventory(ShownLevels(*sums, *others), Listing(page, after))


def _other_sums(
    connection: apsw.Connection, where: str, bindings: Sequence[str]
) -> tuple[tuple[StateUnits, ...], int, int, int, int, bool, bool, tuple[FenceUnits, ...]]:
    """Return the sums of what few stocks have, in the order of `ShownLevels`; it has no flags."""
    states, fences, numbers = Counter[UnitState](), Counter[Channel](), [0, 0, 0, 0]
    for stocks, _, *row in connection.execute(_SELECT_PARTICULARS.format(where), bindings):
        levels = read_levels(*row)
        states.update({state: stocks * units for state, units in levels.states})
        fences.update({channel: stocks * units for channel, units in levels.fences})
        each = levels.backordered, levels.backorderable, levels.ring_fenced, levels.safety_stock
        numbers = [total + stocks * units for total, units in zip(numbers, each, strict=True)]
    backordered, backorderable, ring_fenced, safety_stock = numbers
    by_state = tuple(starmap(StateUnits, sorted(states.items())))
    by_channel = tuple(starmap(FenceUnits, sorted(fences.items())))
    return (
        by_state,
        backordered,
        backorderable,
        ring_fenced,
        safety_stock,
        False,
        False,
        by_channel,
    )


def _recently_moved(connection: apsw.Connection, query: RecentlyMoved) -> Sequence[Inventory]:
    rows = connection.execute(
        f"{SELECT} WHERE stream IN (SELECT stream FROM "  # noqa: S608  as above
        "(SELECT stream, position FROM events ORDER BY position DESC LIMIT ?) "
        "GROUP BY stream ORDER BY max(position) DESC LIMIT ?)",
        (query.limit * EVENTS_PER_STOCK, query.limit),
    )
    return [stock_of(row) for row in rows]


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
