"""Rows of products of the catalogue."""

from collections.abc import Sequence
from typing import Any

from orjson import OPT_SORT_KEYS, dumps, loads

from inventory_grpc.domain.product import Product, ProductChanged, ProductKey
from inventory_grpc.domain.values import EntryState, Instant, ProductId
from inventory_grpc.infrastructure.log.chain import NumberedEvent

Row = tuple[Any, ...]


def rows_of(recorded: Sequence[NumberedEvent]) -> list[Row]:
    """Return the rows of the products that *recorded* changes, after the last change of each."""
    rows: dict[int, Row] = {}
    create_times: dict[int, Instant] = {}  # of new products: an update leaves them as they are
    for event, stream, _ in recorded:
        fact = event.fact
        if type(fact) is ProductChanged:
            create_time = create_times.setdefault(stream, event.record_time)
            attributes = dumps(fact.attributes, option=OPT_SORT_KEYS).decode()
            content = fact.product_id, fact.sku, fact.name, attributes
            times = create_time, event.record_time
            rows[stream] = (stream, *content, event.version, *times, int(fact.state))
    return [*rows.values()]


def product_of(row: Sequence[Any]) -> Product:
    """Return the product in a row, without its stream number."""
    product_id, sku, name, attributes, version, create_time, update_time, state = row
    return Product(
        ProductKey(ProductId(product_id)),
        sku,
        name,
        loads(attributes),
        version,
        Instant(create_time),
        Instant(update_time),
        EntryState(state),
    )
