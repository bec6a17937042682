"""Stores of the catalogue by id, after their last events."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import apsw

from inventory_grpc.application.ports import Listing
from inventory_grpc.application.queries.settled import Shown
from inventory_grpc.application.queries.store import StoreByKey, StoreQuery
from inventory_grpc.domain.store import FACTS, Store, StoreKey
from inventory_grpc.domain.values import EntryState
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.read_models.read_model import (
    ReadModel,
    in_scope,
    is_settled,
    newest_by,
)
from inventory_grpc.infrastructure.rows import bounds
from inventory_grpc.infrastructure.rows.stores import rows_of, store_of
from inventory_grpc.infrastructure.sqlite.multirow import execute_with

Row = tuple[Any, ...]

_DDL: Final = """
CREATE TABLE stores (
  stream      INTEGER PRIMARY KEY,
  store_id    TEXT    NOT NULL,
  name        TEXT    NOT NULL,
  kind        INTEGER NOT NULL,
  groups      TEXT    NOT NULL,
  version     INTEGER NOT NULL,
  create_time INTEGER NOT NULL,
  update_time INTEGER NOT NULL,
  state       INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX stores_by_id ON stores (store_id);
CREATE INDEX stores_by_state ON stores (state, store_id);
"""

_UPSERT: Final = (
    "INSERT INTO stores {} ON CONFLICT (stream) DO UPDATE SET "
    "name = excluded.name, kind = excluded.kind, groups = excluded.groups, "
    "version = excluded.version, update_time = excluded.update_time, state = excluded.state"
)
_COLUMNS: Final = "store_id, name, kind, groups, version, create_time, update_time, state"
_SELECT: Final = f"SELECT stream, {_COLUMNS} FROM stores"  # noqa: S608  made of constants
_SELECT_SHOWN: Final = f"SELECT {is_settled(StoreKey, 'stores.store_id')}, {_COLUMNS} FROM stores"  # noqa: S608  as above

ANY_RETIRED: Final = f"EXISTS (SELECT 1 FROM stores WHERE state = {EntryState.RETIRED:d})"  # noqa: S608  as above
"""The SQL condition that a store is retired."""


def _project(connection: apsw.Connection, recorded: Sequence[NumberedEvent]) -> None:
    execute_with(connection, _UPSERT, rows_of(recorded))


def find_stores(
    connection: apsw.Connection, keys: Sequence[StoreKey]
) -> Iterator[tuple[StoreKey, int, Store]]:
    """Yield the stores that exist, each with its stream number."""
    for key in keys:
        row: Row | None = connection.execute(f"{_SELECT} WHERE store_id = ?", (key.id,)).get
        if row is not None:
            yield key, row[0], store_of(row[1:])


def _find(connection: apsw.Connection, query: StoreByKey) -> Shown[Store] | None:
    row: Row | None = connection.execute(f"{_SELECT_SHOWN} WHERE store_id = ?", (query.key.id,)).get
    return None if row is None else Shown(store_of(row[1:]), bool(row[0]))


def _list(connection: apsw.Connection, query: StoreQuery) -> Listing[Shown[Store], str]:
    """Return a page of stores by id, with a bounded scan."""
    edge: str | None = connection.execute(
        "SELECT store_id FROM stores WHERE store_id > ? ORDER BY store_id LIMIT 1 OFFSET ?",
        (query.after, bounds.STORES_SCANNED - 1),
    ).get
    visible, bindings = in_scope(query.scope)
    terms, bound = ["store_id > ?", visible], [query.after, *bindings]
    if edge is not None:
        terms.append("store_id <= ?")
        bound.append(edge)
    if query.kinds:
        terms.append(f"kind IN ({', '.join(str(int(kind)) for kind in query.kinds)})")
    if query.states:
        terms.append(f"state IN ({', '.join(str(int(state)) for state in query.states)})")
    if query.groups:
        wanted = ", ".join("?" * len(query.groups))
        terms.append(f"EXISTS (SELECT 1 FROM json_each(groups) WHERE value IN ({wanted}))")  # noqa: S608  made of constants, values are bound
        bound += sorted(query.groups)
    rows = connection.execute(
        f"{_SELECT_SHOWN} WHERE {' AND '.join(terms)} ORDER BY store_id LIMIT ?",
        (*bound, query.limit + 1),
    )
    listed: list[Shown[Store]] = []
    size = 0
    for row in rows:
        if len(listed) == query.limit or size >= bounds.LISTED_BYTES:
            return Listing(listed, listed[-1].entry.key.id)
        settled, store_id, name, _, groups, *_ = row
        size += len(store_id) + len(name.encode()) + len(groups)
        listed.append(Shown(store_of(row[1:]), bool(settled)))
    return Listing(listed, edge)


READ_MODEL: Final[ReadModel] = ReadModel(
    _DDL,
    _project,
    frozenset(FACTS),
    find={StoreKey: find_stores},
    states={StoreKey: newest_by(find_stores)},
    answers={StoreByKey: _find, StoreQuery: _list},
)
