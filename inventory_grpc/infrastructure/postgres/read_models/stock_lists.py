"""Lists stocks in pages, each with a bounded scan."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from inventory_grpc.application.ports import Listing
from inventory_grpc.application.queries.stock import StockKey, StockQuery
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.infrastructure.log.merged_scans import Scan, merged, share
from inventory_grpc.infrastructure.postgres.read_models.stock_reads import COLUMNS, SELECT
from inventory_grpc.infrastructure.postgres.wire import Wire
from inventory_grpc.infrastructure.rows import bounds
from inventory_grpc.infrastructure.rows.stocks import page_of, stock_of

_SELECT_MARKED: Final = f"{COLUMNS} FROM stocks JOIN streams USING (stream)"
_AFTER: Final = "(product_id, store_id) > ($after_product::text, $after_store::text)"


class _Source(NamedTuple):
    """A condition that an index of streams serves, and its order."""

    where: str
    values: dict[str, object]
    order: str


def list_stocks(wire: Wire, query: StockQuery) -> Listing[Inventory, StockKey]:
    """Return a page of stocks by product, then store, with a bounded scan."""
    for mark in _marks(query):
        if _is_rare(wire, mark):
            return _list_marked(wire, query, mark)
    limit = query.limit
    sources = _sources(query)
    max_scanned = share(bounds.STOCKS_SCANNED, len(sources))
    scans = (_scan(wire, source, query, max_scanned, limit + 1) for source in sources)
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


def _is_rare(wire: Wire, mark: str) -> bool:
    """Return whether so few stocks have *mark* that all of them can be read for a page."""
    limit = bounds.STOCKS_SCANNED + 1
    some = f"SELECT 1 FROM stocks WHERE {mark} IS NOT NULL LIMIT $limit::int8"
    number: int = wire.value(f"SELECT count(*) FROM ({some}) AS few", limit=limit)
    return number < limit


def _list_marked(wire: Wire, query: StockQuery, mark: str) -> Listing[Inventory, StockKey]:
    """Return a page out of the few stocks that have *mark*."""
    product_id, store_id = query.after or ("", "")
    terms, values = _terms(query)
    rows = wire.query(
        f"{_SELECT_MARKED} WHERE {' AND '.join((f'{mark} IS NOT NULL', _AFTER, *terms))} "
        "ORDER BY product_id, store_id LIMIT $limit::int8",
        **values,
        after_product=product_id,
        after_store=store_id,
        limit=query.limit + 1,
    )
    page = page_of([stock_of(row) for row in rows], query.limit)
    return Listing(page, page[-1].stock_id if len(rows) > len(page) else None)


def _terms(query: StockQuery) -> tuple[list[str], dict[str, object]]:
    """Return the conditions of the query, and their values."""
    terms, values = [f"{mark} IS NOT NULL" for mark in _marks(query)], dict[str, object]()
    if query.product_ids:
        terms.append("product_id = ANY($product_ids::text[])")
        values["product_ids"] = sorted(query.product_ids)
    if query.store_ids:
        terms.append("store_id = ANY($store_ids::text[])")
        values["store_ids"] = sorted(query.store_ids)
    if query.max_available is not None:
        terms.append("available <= $max_available::int8")
        values["max_available"] = query.max_available
    return terms, values


def _sources(query: StockQuery) -> Sequence[_Source]:
    """Return the sources that together have all matching stocks after `query.after`, in order."""
    product, store = query.after or ("", "")
    if query.product_ids:
        return [
            _Source(
                "product_id = $product::text AND store_id > $after_store::text",
                {"product": product_id, "after_store": store if product_id == product else ""},
                "store_id",
            )
            for product_id in sorted(query.product_ids)
            if product_id >= product
        ]
    if query.store_ids:
        return [
            _Source(
                f"store_id = $store::text AND product_id {'>=' if store_id > store else '>'} "
                "$after_product::text",
                {"store": store_id, "after_product": product},
                "product_id",
            )
            for store_id in sorted(query.store_ids)
        ]
    values: dict[str, object] = {"after_product": product, "after_store": store}
    return [_Source(_AFTER, values, "product_id, store_id")]


def _scan(
    wire: Wire, source: _Source, query: StockQuery, max_scanned: int, limit: int
) -> Scan[StockKey, Inventory]:
    found = wire.query(
        f"SELECT product_id, store_id FROM streams WHERE {source.where} "
        f"ORDER BY {source.order} LIMIT 1 OFFSET $scanned::int8",
        **source.values,
        scanned=max_scanned - 1,
    )
    edge: Any = found[0] if found else None
    terms, values = _terms(query)
    terms = [source.where, *terms]
    if edge is not None:
        terms.append("(product_id, store_id) <= ($edge_product::text, $edge_store::text)")
        values |= {"edge_product": edge[0], "edge_store": edge[1]}
    rows = wire.query(
        f"{SELECT} WHERE {' AND '.join(terms)} ORDER BY {source.order} LIMIT $limit::int8",
        **source.values,
        **values,
        limit=limit,
    )
    stocks = [stock_of(row) for row in rows]
    keyed = [(tuple(stock.stock_id), stock) for stock in stocks]
    return Scan(keyed, keyed[-1][0] if len(keyed) == limit else edge)
