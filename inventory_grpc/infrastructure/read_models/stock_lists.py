"""Lists stocks in pages, each with a bounded scan."""

from collections.abc import Sequence
from typing import Any, Final

import apsw

from inventory_grpc.application.ports import Listing
from inventory_grpc.application.queries.stock import StockKey, StockQuery
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.infrastructure.log.merged_scans import Scan, merged, share
from inventory_grpc.infrastructure.read_models.stock_reads import COLUMNS, SELECT
from inventory_grpc.infrastructure.rows import bounds
from inventory_grpc.infrastructure.rows.stocks import page_of, stock_of

_SELECT_MARKED: Final = (
    f"{COLUMNS} FROM stocks CROSS JOIN streams USING (stream) WHERE {{}} IS NOT NULL"
)
"""Reads the index of the mark, not all streams."""

_Terms = tuple[list[str], list[int | str]]
_Source = tuple[str, list[int | str], str]
"""A condition that an index of streams serves, its bindings, and its order."""


def list_stocks(connection: apsw.Connection, query: StockQuery) -> Listing[Inventory, StockKey]:
    """Return a page of stocks by product, then store, with a bounded scan."""
    for mark in _marks(query):
        if _is_rare(connection, mark):
            return _list_marked(connection, query, mark)
    limit = query.limit
    sources = _sources(query)
    max_scanned = share(bounds.STOCKS_SCANNED, len(sources))
    scans = (_scan(connection, source, query, max_scanned, limit + 1) for source in sources)
    rows, edge = merged(scans, limit + 1, downwards=False)
    page = page_of([stock for _, stock in rows], limit)
    return Listing(page, rows[len(page) - 1][0] if len(rows) > len(page) else edge)


def _marks(query: StockQuery) -> Sequence[str]:
    """Return the columns that must not be NULL, all of which have an index."""
    asked = {
        "shortfall": query.short,
        "backordered": query.backordered,
        "low_stock": query.low_stock,
    }
    return [mark for mark, is_asked in asked.items() if is_asked]


def _is_rare(connection: apsw.Connection, mark: str) -> bool:
    """Return whether so few stocks have *mark* that all of them can be read for a page."""
    number: int = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM stocks WHERE {mark} IS NOT NULL LIMIT ?)",  # noqa: S608  as above
        (bounds.STOCKS_SCANNED + 1,),
    ).get
    return number <= bounds.STOCKS_SCANNED


def _list_marked(
    connection: apsw.Connection, query: StockQuery, mark: str
) -> Listing[Inventory, StockKey]:
    """Return a page out of the few stocks that have *mark*."""
    product_id, store_id = query.after or ("", "")
    terms, bound = ["(product_id, store_id) > (?, ?)"], list[int | str]([product_id, store_id])
    for more_terms, more in (_named(query), _levels(query)):
        terms += more_terms
        bound += more
    rows = connection.execute(
        f"{_SELECT_MARKED.format(mark)} AND {' AND '.join(terms)} "
        "ORDER BY product_id, store_id LIMIT ?",
        (*bound, query.limit + 1),
    ).fetchall()
    page = page_of([stock_of(row) for row in rows], query.limit)
    return Listing(page, page[-1].stock_id if len(rows) > len(page) else None)


def _named(query: StockQuery) -> _Terms:
    """Return the conditions on the ids, and their bindings."""
    terms, bound = list[str](), list[int | str]()
    for column, values in (("product_id", query.product_ids), ("store_id", query.store_ids)):
        if values:
            terms.append(f"{column} IN ({', '.join('?' * len(values))})")
            bound += sorted(values)
    return terms, bound


def _levels(query: StockQuery) -> _Terms:
    """Return the conditions on the levels, and their bindings."""
    terms = [f"{mark} IS NOT NULL" for mark in _marks(query)]
    if query.max_available is None:
        return terms, []
    return [*terms, "available <= ?"], [query.max_available]


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
    for more_terms, more in (_named(query), _levels(query)):
        terms += more_terms
        bound += more
    rows = connection.execute(
        f"{SELECT} WHERE {' AND '.join(terms)} ORDER BY {order} LIMIT ?", (*bound, limit)
    )
    stocks = [stock_of(row) for row in rows]
    keyed = [(tuple(stock.stock_id), stock) for stock in stocks]
    return Scan(keyed, keyed[-1][0] if len(keyed) == limit else edge)
