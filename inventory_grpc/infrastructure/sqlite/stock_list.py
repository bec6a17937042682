"""Lists stocks by product, then store, looking at a bounded number of them for a page."""

from collections.abc import Sequence
from typing import Any, Final

import apsw

from inventory_grpc.application.ports import Listing
from inventory_grpc.application.queries.stock import StockKey, StockQuery
from inventory_grpc.domain.event import Levels
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import Instant, ProductId, StockId, StoreId
from inventory_grpc.infrastructure.sqlite.looking import Looked, merged, share

MAX_LOOKED_AT: Final = 20_000
"""Stocks looked at for one page, which keeps a thread for some ten milliseconds."""

Row = tuple[Any, ...]

STOCK_ROWS: Final = (
    "SELECT product_id, store_id, on_hand, reserved, version, update_time "
    "FROM streams JOIN stocks USING (stream)"
)

_Source = tuple[str, list[int | str], str]
"""A condition that an index of streams leads to, what is bound in it, and its order."""


def list_stock(connection: apsw.Connection, query: StockQuery) -> Listing[Inventory, StockKey]:
    """Return a page of stocks."""
    limit = query.limit
    sources = _sources(query)
    looked_at = share(MAX_LOOKED_AT, len(sources))
    looked = (_look(connection, source, query, looked_at, limit + 1) for source in sources)
    rows, edge = merged(looked, limit + 1, downwards=False)
    if len(rows) > limit:
        return Listing([stock for _, stock in rows[:limit]], rows[limit - 1][0])
    return Listing([stock for _, stock in rows], edge)


def stock_of(row: Row) -> Inventory:
    """Return the stock in a row of `STOCK_ROWS`."""
    product_id, store_id, on_hand, reserved, version, update_time = row
    stock_id = StockId(ProductId(product_id), StoreId(store_id))
    return Inventory(stock_id, Levels(on_hand, reserved), version, Instant(update_time))


def _sources(query: StockQuery) -> Sequence[_Source]:
    """Return what leads to the stocks that are asked for, in their order, after a key."""
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


def _look(
    connection: apsw.Connection, source: _Source, query: StockQuery, looked_at: int, limit: int
) -> Looked[StockKey, Inventory]:
    where, bindings, order = source
    found = connection.execute(
        f"SELECT product_id, store_id FROM streams WHERE {where} "  # noqa: S608  made of our own words, values are bound
        f"ORDER BY {order} LIMIT 1 OFFSET ?",
        (*bindings, looked_at - 1),
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
        terms.append("max(0, on_hand - reserved) <= ?")
        bound.append(query.max_available)
    rows = connection.execute(
        f"{STOCK_ROWS} WHERE {' AND '.join(terms)} ORDER BY {order} LIMIT ?", (*bound, limit)
    )
    stocks = [stock_of(row) for row in rows]
    keyed = [(tuple(stock.stock_id), stock) for stock in stocks]
    return Looked(keyed, keyed[-1][0] if len(keyed) == limit else edge)
