"""Stocks by product and store, after their last events.

The writer continues from the row of a stock, and updates it in the transaction that records an
event. If a row were behind, the next event would reuse a version, which the log refuses. If its
levels were wrong, `verify` would report them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import apsw
from orjson import dumps, loads

from inventory_grpc.application.ports import Listing, Reading
from inventory_grpc.application.queries.stock import (
    ProductInventory,
    ProductInventoryById,
    RecentlyMoved,
    StockKey,
    StockQuery,
)
from inventory_grpc.domain.event import Levels, StateUnits
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import Instant, ProductId, StockId, StoreId, UnitState
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.log.ids import STOCK, kind_and_name
from inventory_grpc.infrastructure.read_models.read_model import ReadModel, in_scope
from inventory_grpc.infrastructure.sqlite.merged_scans import Scan, merged, share
from inventory_grpc.infrastructure.sqlite.multirow import execute_with, select_with

Row = tuple[Any, ...]

MAX_SCANNED: Final = 20_000
"""Stocks scanned for one page, which takes about ten milliseconds on a thread."""

EVENTS_PER_STOCK: Final = 20
"""Events scanned for each recently moved stock: few stocks may have moved often."""

_DDL: Final = """
CREATE TABLE stocks (
  stream      INTEGER PRIMARY KEY,
  on_hand     INTEGER NOT NULL CHECK (on_hand >= 0),
  reserved    INTEGER NOT NULL CHECK (reserved >= 0),
  version     INTEGER NOT NULL,
  update_time INTEGER NOT NULL,
  states      TEXT  -- an object of units by state, of those other than sellable; seldom not NULL
) STRICT
"""

_UPSERT: Final = (
    "INSERT INTO stocks {} ON CONFLICT (stream) DO UPDATE SET "
    "on_hand = excluded.on_hand, reserved = excluded.reserved, "
    "version = excluded.version, update_time = excluded.update_time, states = excluded.states"
)

# in one row, because each fetch of a row releases the GIL, see multirow.py
_SELECT_BY_NAME: Final = (
    "WITH wanted (place, name) AS ({}) SELECT json_group_array(json_array("  # noqa: S608  made of constants, values are bound
    "place, stream, on_hand, reserved, version, update_time, states)) "
    f"FROM wanted CROSS JOIN streams ON kind = {STOCK} AND streams.name = wanted.name "
    "JOIN stocks USING (stream)"
)

_SELECT: Final = (
    "SELECT product_id, store_id, on_hand, reserved, version, update_time, states "
    "FROM streams JOIN stocks USING (stream)"
)
_HEAD: Final = "(SELECT max(position) FROM events)"
_IS_NAMED: Final = "kind = ? AND name = ?"
_SELECT_ONE: Final = (
    f"SELECT {_HEAD}, on_hand, reserved, version, update_time, states "  # noqa: S608  as above
    f"FROM streams JOIN stocks USING (stream) WHERE {_IS_NAMED}"
)
_SELECT_MISSING: Final = f"SELECT {_HEAD}, NOT EXISTS (SELECT 1 FROM streams WHERE {_IS_NAMED})"  # noqa: S608  as above

_SELECT_LEVELS: Final = "SELECT on_hand, reserved, states, version FROM stocks WHERE stream = ?"

_AVAILABLE: Final = (
    "max(0, on_hand - reserved - CASE WHEN states IS NULL THEN 0 "
    "ELSE (SELECT sum(value) FROM json_each(states)) END)"
)

_HALF: Final = 32
"""The bit at which levels are split: a sum of levels may overflow the 64 bits of SQLite, and sums
of the halves always fit."""

_HALVES: Final = ", ".join(
    f"ifnull(sum({level} >> {_HALF}), 0), ifnull(sum({level} & {2**_HALF - 1}), 0)"
    for level in ("on_hand", "reserved", _AVAILABLE)
)
_SELECT_SUMS: Final = f"SELECT count(states), {_HALVES} FROM streams JOIN stocks USING (stream)"  # noqa: S608  as above
_SELECT_STATES: Final = (
    "SELECT states FROM streams JOIN stocks USING (stream) WHERE states IS NOT NULL"
)

_Source = tuple[str, list[int | str], str]
"""A condition that an index of streams serves, its bindings, and its order."""


def _project(connection: apsw.Connection, recorded: Sequence[NumberedEvent]) -> None:
    rows: dict[int, Row] = {}
    for event, stream, _ in recorded:
        if event.after is not None:
            on_hand, reserved, states = event.after
            stored = _stored(states) if states else None
            rows[stream] = (stream, on_hand, reserved, event.version, event.record_time, stored)
    execute_with(connection, _UPSERT, [*rows.values()])


def _stored(states: Sequence[StateUnits]) -> str:
    return dumps({str(state): units for state, units in states}).decode()


def find_stocks(
    connection: apsw.Connection, stock_ids: Sequence[StockId]
) -> Iterator[tuple[StockId, int, Inventory]]:
    """Yield the stocks that have a history, each with its stream number."""
    wanted = [(place, kind_and_name(stock_id)[1]) for place, stock_id in enumerate(stock_ids)]
    for (rows,) in select_with(connection, _SELECT_BY_NAME, wanted):
        for place, stream, *values in loads(rows):
            stock_id = stock_ids[place]
            yield stock_id, stream, _stock(stock_id, *values)


def _newest(connection: apsw.Connection, stock_id: StockId) -> Reading[Inventory | None]:
    """Return a stock and the head by one statement, so that both reflect the same state."""
    key = kind_and_name(stock_id)
    row = connection.execute(_SELECT_ONE, key).fetchone()
    if row is None:
        # read once more together with the head, since the stock may have been added meanwhile
        head, missing = connection.execute(_SELECT_MISSING, key).get
        return Reading(None, head or 0) if missing else _newest(connection, stock_id)
    head, *values = row
    return Reading(_stock(stock_id, *values), head)


def levels_of(connection: apsw.Connection, stream: int) -> tuple[Levels, int]:
    """Return the levels and the version of a stock; 0 without a history."""
    row = connection.execute(_SELECT_LEVELS, (stream,)).fetchone()
    if row is None:
        return Levels(0, 0), 0
    on_hand, reserved, states, version = row
    return _levels(on_hand, reserved, states), version


def _product(connection: apsw.Connection, query: ProductInventoryById) -> ProductInventory:
    visible, stores = in_scope(query.scope)
    where, bindings = f"product_id = ? AND {visible}", (query.product_id, *stores)
    has_states, *halves = connection.execute(f"{_SELECT_SUMS} WHERE {where}", bindings).get
    states = _sums_of_states(connection, where, bindings) if has_states else ()
    rows = connection.execute(
        f"{_SELECT} WHERE product_id = ? AND {visible} AND store_id > ? ORDER BY store_id LIMIT ?",
        (query.product_id, *stores, query.after_store, query.limit + 1),
    ).fetchall()
    on_hand, reserved, available = (
        (high << _HALF) + low for high, low in zip(halves[::2], halves[1::2], strict=True)
    )
    # for each stock, available less shortfall is sellable less reserved
    shortfall = available + reserved - Levels(on_hand, reserved, states).sellable
    stocks = [_stock_of(row) for row in rows[: query.limit]]
    after = stocks[-1].stock_id if len(rows) > query.limit else None
    return ProductInventory(on_hand, reserved, available, shortfall, states, Listing(stocks, after))


def _sums_of_states(
    connection: apsw.Connection, where: str, bindings: Sequence[str]
) -> tuple[StateUnits, ...]:
    sums = Counter[str]()
    for (states,) in connection.execute(f"{_SELECT_STATES} AND {where}", bindings):
        sums.update(loads(states))
    return tuple(StateUnits(UnitState(state), units) for state, units in sorted(sums.items()))


def _recently_moved(connection: apsw.Connection, query: RecentlyMoved) -> Sequence[Inventory]:
    rows = connection.execute(
        f"{_SELECT} WHERE stream IN (SELECT stream FROM "  # noqa: S608  as above
        "(SELECT stream, position FROM events ORDER BY position DESC LIMIT ?) "
        "GROUP BY stream ORDER BY max(position) DESC LIMIT ?)",
        (query.limit * EVENTS_PER_STOCK, query.limit),
    )
    return [_stock_of(row) for row in rows]


def _list(connection: apsw.Connection, query: StockQuery) -> Listing[Inventory, StockKey]:
    """Return a page of stocks by product, then store, with a bounded scan."""
    limit = query.limit
    sources = _sources(query)
    max_scanned = share(MAX_SCANNED, len(sources))
    scans = (_scan(connection, source, query, max_scanned, limit + 1) for source in sources)
    rows, edge = merged(scans, limit + 1, downwards=False)
    after = rows[limit - 1][0] if len(rows) > limit else edge
    return Listing([stock for _, stock in rows[:limit]], after)


def _sources(query: StockQuery) -> Sequence[_Source]:
    """Return the sources that together have all matching stocks after `query.after`, in order."""
    product, store = query.after or ("", "")
    if query.product_ids:
        return [
            (
                "product_id = ? AND store_id > ?",
                [product_id, store if product_id == product else ""],
                "store_id",
            )
            for product_id in sorted(query.product_ids)
            if product_id >= product
        ]
    if query.store_ids:
        return [
            (
                f"store_id = ? AND product_id {'>=' if store_id > store else '>'} ?",
                [store_id, product],
                "product_id",
            )
            for store_id in sorted(query.store_ids)
        ]
    return [("(product_id, store_id) > (?, ?)", [product, store], "product_id, store_id")]


def _scan(
    connection: apsw.Connection, source: _Source, query: StockQuery, max_scanned: int, limit: int
) -> Scan[StockKey, Inventory]:
    where, bindings, order = source
    found = connection.execute(
        f"SELECT product_id, store_id FROM streams WHERE {where} "  # noqa: S608  as above
        f"ORDER BY {order} LIMIT 1 OFFSET ?",
        (*bindings, max_scanned - 1),
    ).fetchone()
    edge: Any = found
    terms, bound = [where], [*bindings]
    if edge is not None:
        terms.append("(product_id, store_id) <= (?, ?)")
        bound += edge
    if query.store_ids and query.product_ids:
        terms.append(f"store_id IN ({', '.join('?' * len(query.store_ids))})")
        bound += sorted(query.store_ids)
    if query.max_available is not None:
        terms.append(f"{_AVAILABLE} <= ?")
        bound.append(query.max_available)
    rows = connection.execute(
        f"{_SELECT} WHERE {' AND '.join(terms)} ORDER BY {order} LIMIT ?", (*bound, limit)
    )
    stocks = [_stock_of(row) for row in rows]
    keyed = [(tuple(stock.stock_id), stock) for stock in stocks]
    return Scan(keyed, keyed[-1][0] if len(keyed) == limit else edge)


def _stock_of(row: Row) -> Inventory:
    """Return the stock in a row of `_SELECT`."""
    product_id, store_id, *values = row
    return _stock(StockId(ProductId(product_id), StoreId(store_id)), *values)


def _stock(  # noqa: PLR0913, PLR0917  the columns
    stock_id: StockId,
    on_hand: int,
    reserved: int,
    version: int,
    update_time: int,
    states: str | None,
) -> Inventory:
    levels = _levels(on_hand, reserved, states)
    return Inventory(stock_id, levels, version, Instant(update_time))


def _levels(on_hand: int, reserved: int, states: str | None) -> Levels:
    if states is None:
        return Levels(on_hand, reserved)
    units = loads(states).items()
    return Levels(on_hand, reserved, tuple(StateUnits(UnitState(name), n) for name, n in units))


READ_MODEL: Final[ReadModel] = ReadModel(
    _DDL,
    _project,
    find={StockId: find_stocks},
    states={StockId: _newest},
    answers={ProductInventoryById: _product, StockQuery: _list, RecentlyMoved: _recently_moved},
)
