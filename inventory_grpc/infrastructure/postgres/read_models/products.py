"""Products of the catalogue by id, after their last events."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from typing import Final

from inventory_grpc.application.ports import Listing
from inventory_grpc.application.queries.product import ProductByKey, ProductQuery
from inventory_grpc.application.queries.settled import Shown
from inventory_grpc.domain.product import FACTS, Product, ProductKey
from inventory_grpc.domain.values import EntryState
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.postgres.read_models.read_model import (
    Answers,
    Find,
    Found,
    Point,
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
_SELECT: Final = f"SELECT stream, {_COLUMNS} FROM products WHERE product_id = ANY($ids::text[])"
_SELECT_SHOWN: Final = (
    f"SELECT {is_settled(ProductKey, 'products.product_id')}, {_COLUMNS} "
    "FROM products WHERE product_id = ANY($ids::text[]) ORDER BY product_id"
)
_SELECT_LISTED: Final = Statement(_SELECT_SHOWN)

ANY_RETIRED: Final = f"EXISTS (SELECT 1 FROM products WHERE state = {EntryState.RETIRED:d})"
"""The SQL condition that a product is retired."""

_READ_TOGETHER: Final = 32
"""Products read by one statement: they can be large, and a page may end before the last."""


def _project(recorded: Sequence[NumberedEvent]) -> Iterator[Bound]:
    if rows := rows_of(recorded):
        yield _UPSERT.bind_rows(rows)


def _ids_of(keys: Sequence[ProductKey]) -> Mapping[str, object]:
    return {"ids": [key.id for key in keys]}


def _read(_keys: Sequence[ProductKey], rows: Iterable[Row]) -> Found:
    for stream, *columns in rows:
        product = product_of(columns)
        yield product.key, stream, product


FIND: Final = Find(_SELECT, _ids_of, _read)


def _ids_asked(queries: Sequence[ProductByKey]) -> Mapping[str, object]:
    return {"ids": [query.key.id for query in queries]}


def _read_shown(_queries: Sequence[ProductByKey], rows: Iterable[Row]) -> Answers:
    for settled, *columns in rows:
        product = product_of(columns)
        yield ProductByKey(product.key), Shown(product, settled)


def _list(wire: Wire, query: ProductQuery) -> Listing[Shown[Product], str]:
    """Return a page of products, which are read in small groups until the page is full."""
    ids = _ids(wire, query)
    listed: list[Shown[Product]] = []
    size = 0
    for first in range(0, len(ids), _READ_TOGETHER):
        some = ids[first : first + _READ_TOGETHER]
        for settled, *row in wire.query(_SELECT_LISTED, ids=some):
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
    points={
        ProductKey: FIND.point(_READ_TOGETHER),
        ProductByKey: Point(_SELECT_SHOWN, _ids_asked, _read_shown, _READ_TOGETHER),
    },
    answers={ProductQuery: _list},
)
