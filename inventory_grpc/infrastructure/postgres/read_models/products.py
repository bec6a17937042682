"""Products of the catalogue by id, after their last events."""

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from typing import Final

from inventory_grpc.application.ports import Listing
from inventory_grpc.application.queries.product import ProductByKey, ProductQuery
from inventory_grpc.application.queries.settled import Shown
from inventory_grpc.domain.product import FACTS, Product, ProductKey
from inventory_grpc.domain.values import EntryState
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.postgres.read_models.read_model import (
    Find,
    Found,
    ReadModel,
    is_settled,
)
from inventory_grpc.infrastructure.postgres.statement import Bound, Statement, upsert
from inventory_grpc.infrastructure.postgres.wire import Row, Wire
from inventory_grpc.infrastructure.rows import bounds
from inventory_grpc.infrastructure.rows.products import product_of, rows_of

_DDL: Final = """
CREATE TABLE products (
  stream      int8 PRIMARY KEY,
  product_id  text COLLATE "C" NOT NULL,
  sku         text COLLATE "C" NOT NULL,
  name        text NOT NULL,
  attributes  text NOT NULL,
  version     int8 NOT NULL,
  create_time int8 NOT NULL,
  update_time int8 NOT NULL,
  state       int2 NOT NULL
);
CREATE UNIQUE INDEX products_by_id ON products (product_id);
CREATE INDEX products_by_state ON products (state, product_id);
CREATE INDEX products_by_sku ON products (sku, state, product_id);
"""

_UPSERT: Final = upsert(
    "products",
    {
        "stream": "int8",
        **dict.fromkeys(("product_id", "sku", "name", "attributes"), "text"),
        **dict.fromkeys(("version", "create_time", "update_time"), "int8"),
        "state": "int2",
    },
    ["stream", "product_id", "create_time"],
)
_COLUMNS: Final = "product_id, sku, name, attributes, version, create_time, update_time, state"
_SELECT: Final = Statement(
    f"SELECT stream, {_COLUMNS} FROM products WHERE product_id = ANY($ids::text[])"
)
_SELECT_SHOWN: Final = Statement(
    f"SELECT {is_settled(ProductKey, 'products.product_id')}, {_COLUMNS} "
    "FROM products WHERE product_id = ANY($ids::text[]) ORDER BY product_id"
)

ANY_RETIRED: Final = f"EXISTS (SELECT 1 FROM products WHERE state = {EntryState.RETIRED:d})"
"""The SQL condition that a product is retired."""

_READ_TOGETHER: Final = 32
"""Products read by one statement for a page, which may end before the last of them."""


def _project(recorded: Sequence[NumberedEvent]) -> Iterator[Bound]:
    if rows := rows_of(recorded):
        yield _UPSERT.bind_rows(rows)


def _ask(keys: Sequence[ProductKey]) -> Bound:
    return _SELECT.bind(ids=[key.id for key in keys])


def _read(_keys: Sequence[ProductKey], rows: Iterable[Row]) -> Found:
    for stream, *columns in rows:
        product = product_of(columns)
        yield product.key, stream, product


FIND: Final = Find(_ask, _read)


def _find(wire: Wire, query: ProductByKey) -> Shown[Product] | None:
    rows = wire.query(_SELECT_SHOWN, ids=[query.key.id])
    return Shown(product_of(rows[0][1:]), rows[0][0]) if rows else None


def _list(wire: Wire, query: ProductQuery) -> Listing[Shown[Product], str]:
    """Return a page of products, which are read in small groups until the page is full."""
    ids = _ids(wire, query)
    listed: list[Shown[Product]] = []
    size = 0
    for first in range(0, len(ids), _READ_TOGETHER):
        some = ids[first : first + _READ_TOGETHER]
        for settled, *row in wire.query(_SELECT_SHOWN, ids=some):
            if len(listed) == query.limit or size >= bounds.LISTED_BYTES:
                return Listing(listed, listed[-1].entry.key.id)
            size += sum(len(text.encode()) for text in row[:4])
            listed.append(Shown(product_of(row), settled))
    return Listing(listed, None)


def _ids(wire: Wire, query: ProductQuery) -> Sequence[str]:
    """Return the ids of the first matching products in order, one more than the limit."""
    states = sorted(query.states or EntryState)
    scans: list[tuple[str, dict[str, object]]]
    if query.skus:
        where = "sku = $sku::text AND state = $state::int2"
        scans = [(where, {"sku": sku, "state": state}) for sku in query.skus for state in states]
    elif query.states:
        scans = [("state = $state::int2", {"state": state}) for state in states]
    else:
        scans = [("TRUE", {})]
    rows = (
        wire.query(
            f"SELECT product_id FROM products WHERE {where} AND product_id > $after::text "
            "ORDER BY product_id LIMIT $limit::int8",
            **values,
            after=query.after,
            limit=query.limit + 1,
        )
        for where, values in scans
    )
    return [product_id for (product_id,) in merge(*rows)][: query.limit + 1]


READ_MODEL: Final[ReadModel] = ReadModel(
    _DDL,
    _project,
    frozenset(FACTS),
    find={ProductKey: FIND},
    states={ProductKey: FIND.newest},
    answers={ProductByKey: _find, ProductQuery: _list},
)
