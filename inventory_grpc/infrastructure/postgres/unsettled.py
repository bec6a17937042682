"""The walks of changed terms to their stocks, in the table `unsettled`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from inventory_grpc.application.ports import Walk
from inventory_grpc.domain.event import Key
from inventory_grpc.domain.values import ProductId, StockId, StoreId
from inventory_grpc.infrastructure.log.ids import KEY_OF_KIND, kind_and_name
from inventory_grpc.infrastructure.postgres.statement import Bound, Statement, insert
from inventory_grpc.infrastructure.postgres.wire import Wire

_WALKS: Final = Statement(
    "SELECT kind, name, since, product_id, store_id FROM unsettled "
    "ORDER BY since LIMIT $limit::int8"
)
_KEEP: Final = insert(
    "unsettled",
    {"kind": "int2", "name": "text", "since": "int8", "product_id": "text", "store_id": "text"},
    "ON CONFLICT (kind, name) DO UPDATE SET since = excluded.since, "
    "product_id = excluded.product_id, store_id = excluded.store_id",
)
_END: Final = Statement("DELETE FROM unsettled WHERE kind = $kind::int2 AND name = $name::text")


def walks(wire: Wire, limit: int) -> Sequence[Walk]:
    """Return the walks that have not ended, oldest first."""
    return [
        Walk(KEY_OF_KIND[kind](name), since, _stock_id(*after) if after[0] else None)
        for kind, name, since, *after in wire.query(_WALKS, limit=limit)
    ]


def keep(moved: Mapping[Key, Walk | None]) -> Iterator[Bound]:
    """Yield the statements that store how far walks are, and delete those that have ended."""
    rows = [
        (*kind_and_name(subject), walk.since, *(walk.after or (None, None)))
        for subject, walk in moved.items()
        if walk is not None
    ]
    if rows:
        yield _KEEP.bind_rows(rows)
    for subject, walk in moved.items():
        if walk is None:
            kind, name = kind_and_name(subject)
            yield _END.bind(kind=kind, name=name)


def stocks_of(wire: Wire, walk: Walk, limit: int) -> Sequence[StockId]:
    """Return the next stocks of a walk, by product and store, with a scan of an index."""
    product_id, store_id = walk.subject.covers
    last_product, last_store = walk.after or ("", "")
    if product_id and store_id:
        where = "product_id = $product::text AND store_id = $store::text"
        if walk.after:
            return []
    elif product_id:
        where = "product_id = $product::text AND store_id > $last_store::text"
    elif store_id:
        where = "store_id = $store::text AND product_id > $last_product::text"
    else:
        where = "(product_id, store_id) > ($last_product::text, $last_store::text)"
    rows = wire.query(
        f"SELECT product_id, store_id FROM streams WHERE {where} "
        "ORDER BY product_id, store_id LIMIT $limit::int8",
        product=product_id,
        store=store_id,
        last_product=last_product,
        last_store=last_store,
        limit=limit,
    )
    return [_stock_id(*row) for row in rows]


def _stock_id(product_id: str, store_id: str) -> StockId:
    return StockId(ProductId(product_id), StoreId(store_id))
