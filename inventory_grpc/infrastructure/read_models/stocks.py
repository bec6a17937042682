"""Stocks by product and store, after their last events.

The writer continues from the row of a stock, and updates it in the transaction that records an
event. If a row were behind, the next event would reuse a version, which the log refuses. If its
levels were wrong, `verify` would report them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import starmap
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
from inventory_grpc.domain.event import Event
from inventory_grpc.domain.levels import (
    FenceUnits,
    Levels,
    Particulars,
    ShownLevels,
    StateUnits,
    Terms,
)
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import Channel, Instant, ProductId, StockId, StoreId, UnitState
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
  available   INTEGER NOT NULL,  -- this and the next three follow from the others
  shortfall   INTEGER,  -- NULL if there is none, as in the next ones
  low_stock   INTEGER,
  fills_due   INTEGER,
  particulars TEXT      -- as `Particulars` has them; seldom not NULL
) STRICT;
CREATE INDEX stocks_short ON stocks (stream) WHERE shortfall IS NOT NULL;
CREATE INDEX stocks_low ON stocks (stream) WHERE low_stock IS NOT NULL;
CREATE INDEX stocks_filled ON stocks (stream) WHERE fills_due IS NOT NULL
"""

_UPSERT: Final = (
    "INSERT INTO stocks {} ON CONFLICT (stream) DO UPDATE SET "
    "on_hand = excluded.on_hand, reserved = excluded.reserved, "
    "version = excluded.version, update_time = excluded.update_time, "
    "available = excluded.available, shortfall = excluded.shortfall, "
    "low_stock = excluded.low_stock, fills_due = excluded.fills_due, "
    "particulars = excluded.particulars"
)

# in one row, because each fetch of a row releases the GIL, see multirow.py
_SELECT_BY_NAME: Final = (
    "WITH wanted (place, name) AS ({}) SELECT json_group_array(json_array("  # noqa: S608  made of constants, values are bound
    "place, stream, on_hand, reserved, version, update_time, particulars)) "
    f"FROM wanted CROSS JOIN streams ON kind = {STOCK} AND streams.name = wanted.name "
    "JOIN stocks USING (stream)"
)

_SELECT: Final = (
    "SELECT product_id, store_id, on_hand, reserved, version, update_time, particulars "
    "FROM streams JOIN stocks USING (stream)"
)
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
    "SELECT on_hand, reserved, particulars FROM streams JOIN stocks USING (stream) "
    "WHERE particulars IS NOT NULL"
)

_Source = tuple[str, list[int | str], str]
"""A condition that an index of streams serves, its bindings, and its order."""


def _project(connection: apsw.Connection, recorded: Sequence[NumberedEvent]) -> None:
    rows: dict[int, Row] = {}
    for event, stream, _ in recorded:
        if event.after is not None:
            rows[stream] = _row(stream, event)
    execute_with(connection, _UPSERT, [*rows.values()])


def _row(stream: int, event: Event) -> Row:
    on_hand, reserved, particulars = after = event.after
    version, time = event.version, event.record_time
    if particulars is None:
        spare = on_hand - reserved
        available, shortfall = (spare, None) if spare >= 0 else (0, -spare)
        return stream, on_hand, reserved, version, time, available, shortfall, None, None, None
    seldom = after.shortfall or None, after.low_stock or None, after.fills_due or None
    stored = _stored(particulars)
    return stream, on_hand, reserved, version, time, after.available, *seldom, stored


def _stored(particulars: Particulars) -> str:
    return dumps(particulars, default=list).decode()


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
    on_hand, reserved, particulars, version = row
    return _levels(on_hand, reserved, particulars), version


def _product(connection: apsw.Connection, query: ProductInventoryById) -> ProductInventory:
    visible, stores = in_scope(query.scope)
    where, bindings = f"product_id = ? AND {visible}", (query.product_id, *stores)
    has_particulars, *halves = connection.execute(f"{_SELECT_SUMS} WHERE {where}", bindings).get
    sums = [(high << _HALF) + low for high, low in zip(halves[::2], halves[1::2], strict=True)]
    others = _other_sums(connection, where, bindings) if has_particulars else ()
    rows = connection.execute(
        f"{_SELECT} WHERE product_id = ? AND {visible} AND store_id > ? ORDER BY store_id LIMIT ?",
        (query.product_id, *stores, query.after_store, query.limit + 1),
    ).fetchall()
    stocks = [_stock_of(row) for row in rows[: query.limit]]
    after = stocks[-1].stock_id if len(rows) > query.limit else None
    return ProductInventory(ShownLevels(*sums, *others), Listing(stocks, after))


def _other_sums(
    connection: apsw.Connection, where: str, bindings: Sequence[str]
) -> tuple[tuple[StateUnits, ...], int, int, int, int, bool, bool, tuple[FenceUnits, ...]]:
    """Return the sums of what few stocks have, in the order of `ShownLevels`; it has no flags."""
    states, fences, numbers = Counter[UnitState](), Counter[Channel](), [0, 0, 0, 0]
    for row in connection.execute(f"{_SELECT_PARTICULARS} AND {where}", bindings):
        levels = _levels(*row)
        states.update(dict(levels.states))
        fences.update(dict(levels.fences))
        added = levels.backordered, levels.backorderable, levels.ring_fenced, levels.safety_stock
        numbers = [total + units for total, units in zip(numbers, added, strict=True)]
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
        terms.append("available <= ?")
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
    particulars: str | None,
) -> Inventory:
    levels = _levels(on_hand, reserved, particulars)
    return Inventory(stock_id, levels, version, Instant(update_time))


def _levels(on_hand: int, reserved: int, particulars: str | None) -> Levels:
    if particulars is None:
        return Levels(on_hand, reserved)
    states, fences, waiting, terms, is_low, is_still_out = loads(particulars)
    read = Particulars(
        tuple(StateUnits(UnitState(state), units) for state, units in states),
        tuple(FenceUnits(Channel(channel), units) for channel, units in fences),
        waiting,
        Terms(*terms),
        is_low,
        is_still_out,
    )
    return Levels(on_hand, reserved, read)


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
    states={StockId: _newest},
    answers={ProductInventoryById: _product, StockQuery: _list, RecentlyMoved: _recently_moved},
)
