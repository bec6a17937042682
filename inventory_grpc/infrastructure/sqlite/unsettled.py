"""The walks of changed terms to their stocks, in the table `unsettled`."""

from collections.abc import Mapping, Sequence
from typing import Final

import apsw

from inventory_grpc.application.ports import Walk
from inventory_grpc.domain.event import Key
from inventory_grpc.domain.values import ProductId, StockId, StoreId
from inventory_grpc.infrastructure.log.ids import KEY_OF_KIND, kind_and_name
from inventory_grpc.infrastructure.sqlite.multirow import execute_with

_WALKS: Final = (
    "SELECT kind, name, since, product_id, store_id FROM unsettled ORDER BY since LIMIT ?"
)
_KEEP: Final = (
    "INSERT INTO unsettled (kind, name, since, product_id, store_id) {} "
    "ON CONFLICT (kind, name) DO UPDATE SET since = excluded.since, "
    "product_id = excluded.product_id, store_id = excluded.store_id"
)


def walks(connection: apsw.Connection, limit: int) -> Sequence[Walk]:
    """Return the walks that have not ended, oldest first."""
    return [
        Walk(KEY_OF_KIND[kind](name), since, _stock_id(*after) if after[0] else None)
        for kind, name, since, *after in connection.execute(_WALKS, (limit,))
    ]


def keep(connection: apsw.Connection, moved: Mapping[Key, Walk | None]) -> None:
    """Store how far walks are; delete those that have ended."""
    rows = [
        (*kind_and_name(subject), walk.since, *(walk.after or (None, None)))
        for subject, walk in moved.items()
        if walk is not None
    ]
    execute_with(connection, _KEEP, rows)
    for subject, walk in moved.items():
        if walk is None:
            connection.execute(
                "DELETE FROM unsettled WHERE kind = ? AND name = ?", kind_and_name(subject)
            )


def stocks_of(connection: apsw.Connection, walk: Walk, limit: int) -> Sequence[StockId]:
    """Return the next stocks of a walk, by product and store, with a scan of an index."""
    product_id, store_id = walk.subject.covers
    last_product, last_store = walk.after or ("", "")
    if product_id and store_id:
        where, bindings = "product_id = ? AND store_id = ?", [product_id, store_id]
        if walk.after:
            return []
    elif product_id:
        where, bindings = "product_id = ? AND store_id > ?", [product_id, last_store]
    elif store_id:
        where, bindings = "store_id = ? AND product_id > ?", [store_id, last_product]
    else:
        where, bindings = "(product_id, store_id) > (?, ?)", [last_product, last_store]
    rows = connection.execute(
        f"SELECT product_id, store_id FROM streams WHERE {where} "  # noqa: S608  made of constants, values are bound
        "ORDER BY product_id, store_id LIMIT ?",
        (*bindings, limit),
    )
    return [_stock_id(*row) for row in rows]


def _stock_id(product_id: str, store_id: str) -> StockId:
    return StockId(ProductId(product_id), StoreId(store_id))
