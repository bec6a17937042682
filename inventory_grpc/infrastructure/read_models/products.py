"""Products of the catalogue by id, after their last events."""

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from typing import Any, Final

import apsw

from inventory_grpc.application.ports import Listing
from inventory_grpc.application.queries.product import ProductByKey, ProductQuery
from inventory_grpc.application.queries.settled import Shown
from inventory_grpc.domain.product import FACTS, Product, ProductKey
from inventory_grpc.domain.values import EntryState
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.read_models.read_model import (
    ReadModel,
    is_settled,
    newest_by,
)
from inventory_grpc.infrastructure.rows import bounds
from inventory_grpc.infrastructure.rows.products import product_of, rows_of
from inventory_grpc.infrastructure.sqlite.multirow import execute_with

Row = tuple[Any, ...]

_DDL: Final = """
CREATE TABLE products (
  stream      INTEGER PRIMARY KEY,
  product_id  TEXT    NOT NULL,
  sku         TEXT    NOT NULL,
  name        TEXT    NOT NULL,
  attributes  TEXT    NOT NULL,
  version     INTEGER NOT NULL,
  create_time INTEGER NOT NULL,
  update_time INTEGER NOT NULL,
  state       INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX products_by_id ON products (product_id);
CREATE INDEX products_by_state ON products (state, product_id);
CREATE INDEX products_by_sku ON products (sku, state, product_id);
"""

_UPSERT: Final = (
    "INSERT INTO products {} ON CONFLICT (stream) DO UPDATE SET "
    "sku = excluded.sku, name = excluded.name, attributes = excluded.attributes, "
    "version = excluded.version, update_time = excluded.update_time, state = excluded.state"
)
_COLUMNS: Final = "product_id, sku, name, attributes, version, create_time, update_time, state"
_SELECT: Final = f"SELECT stream, {_COLUMNS} FROM products WHERE product_id = ?"  # noqa: S608  made of constants
_SELECT_SHOWN: Final = (
    f"SELECT {is_settled(ProductKey, 'products.product_id')}, {_COLUMNS} "  # noqa: S608  made of constants
    "FROM products WHERE product_id = ?"
)

ANY_RETIRED: Final = f"EXISTS (SELECT 1 FROM products WHERE state = {EntryState.RETIRED:d})"  # noqa: S608  as above
"""The SQL condition that a product is retired."""


def _project(connection: apsw.Connection, recorded: Sequence[NumberedEvent]) -> None:
    execute_with(connection, _UPSERT, rows_of(recorded))


def find_products(
    connection: apsw.Connection, keys: Sequence[ProductKey]
) -> Iterator[tuple[ProductKey, int, Product]]:
    """Yield the products that exist, each with its stream number."""
    for key in keys:
        row: Row | None = connection.execute(_SELECT, (key.id,)).get
        if row is not None:
            stream, *columns = row
            yield key, stream, product_of(columns)


def _find(connection: apsw.Connection, query: ProductByKey) -> Shown[Product] | None:
    row: Row | None = connection.execute(_SELECT_SHOWN, (query.key.id,)).get
    return None if row is None else Shown(product_of(row[1:]), bool(row[0]))


def _list(connection: apsw.Connection, query: ProductQuery) -> Listing[Shown[Product], str]:
    """Return a page of products; it reads only those, and the id of the next one."""
    listed: list[Shown[Product]] = []
    size = 0
    for product_id in _ids(connection, query):
        if len(listed) == query.limit or size >= bounds.LISTED_BYTES:
            return Listing(listed, listed[-1].entry.key.id)
        settled, *row = connection.execute(_SELECT_SHOWN, (product_id,)).get
        size += sum(len(text.encode()) for text in row[:4])
        listed.append(Shown(product_of(row), bool(settled)))
    return Listing(listed, None)


def _ids(connection: apsw.Connection, query: ProductQuery) -> Iterable[str]:
    """Return the ids of the matching products in order, each read when it is needed."""
    states = sorted(query.states or EntryState)
    if query.skus:
        scans = [("sku = ? AND state = ?", [sku, state]) for sku in query.skus for state in states]
    elif query.states:
        scans = [("state = ?", [state]) for state in states]
    else:
        scans = [("1", [])]
    rows = (
        connection.execute(
            "SELECT product_id FROM products "  # noqa: S608  made of constants, values are bound
            f"WHERE {where} AND product_id > ? ORDER BY product_id LIMIT ?",
            (*bindings, query.after, query.limit + 1),
        )
        for where, bindings in scans
    )
    return (product_id for (product_id,) in merge(*rows))


READ_MODEL: Final[ReadModel] = ReadModel(
    _DDL,
    _project,
    frozenset(FACTS),
    find={ProductKey: find_products},
    states={ProductKey: newest_by(find_products)},
    answers={ProductByKey: _find, ProductQuery: _list},
)
