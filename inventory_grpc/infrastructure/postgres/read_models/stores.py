"""Stores of the catalogue by id, after their last events."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from inventory_grpc.application.ports import Listing
from inventory_grpc.application.queries.settled import Shown
from inventory_grpc.application.queries.store import StoreByKey, StoreQuery
from inventory_grpc.domain.store import FACTS, Store, StoreKey
from inventory_grpc.domain.values import EntryState
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.postgres.read_models.read_model import (
    Answers,
    Find,
    Found,
    Point,
    ReadModel,
    in_scope,
    is_settled,
)
from inventory_grpc.infrastructure.postgres.statement import Bound, upsert
from inventory_grpc.infrastructure.postgres.wire import Row, Wire
from inventory_grpc.infrastructure.rows import bounds
from inventory_grpc.infrastructure.rows.stores import rows_of, store_of

_DDL: Final = """
CREATE TABLE stores (
  stream      int8 PRIMARY KEY,
  store_id    text COLLATE "C" NOT NULL,
  name        text NOT NULL,
  kind        int2 NOT NULL,
  groups      text NOT NULL,
  version     int8 NOT NULL,
  create_time int8 NOT NULL,
  update_time int8 NOT NULL,
  state       int2 NOT NULL
);
CREATE UNIQUE INDEX stores_by_id ON stores (store_id);
CREATE INDEX stores_by_state ON stores (state, store_id);
"""

_UPSERT: Final = upsert(
    "stores",
    {
        "stream": "int8",
        "store_id": "text",
        "name": "text",
        "kind": "int2",
        "groups": "text",
        **dict.fromkeys(("version", "create_time", "update_time"), "int8"),
        "state": "int2",
    },
    ["stream", "store_id", "create_time"],
)
_COLUMNS: Final = "store_id, name, kind, groups, version, create_time, update_time, state"
_SELECT: Final = f"SELECT stream, {_COLUMNS} FROM stores WHERE store_id = ANY($ids::text[])"
_SELECT_SHOWN: Final = f"SELECT {is_settled(StoreKey, 'stores.store_id')}, {_COLUMNS} FROM stores"
_SELECT_SOME: Final = f"{_SELECT_SHOWN} WHERE store_id = ANY($ids::text[])"

_READ_TOGETHER: Final = 32
"""The most stores that are read by one statement for as many calls: they can be large."""

ANY_RETIRED: Final = f"EXISTS (SELECT 1 FROM stores WHERE state = {EntryState.RETIRED:d})"
"""The SQL condition that a store is retired."""


def _project(recorded: Sequence[NumberedEvent]) -> Iterator[Bound]:
    if rows := rows_of(recorded):
        yield _UPSERT.bind_rows(rows)


def _ids_of(keys: Sequence[StoreKey]) -> Mapping[str, object]:
    return {"ids": [key.id for key in keys]}


def _read(_keys: Sequence[StoreKey], rows: Iterable[Row]) -> Found:
    for stream, *columns in rows:
        store = store_of(columns)
        yield store.key, stream, store


FIND: Final = Find(_SELECT, _ids_of, _read)


def _ids_asked(queries: Sequence[StoreByKey]) -> Mapping[str, object]:
    return {"ids": [query.key.id for query in queries]}


def _read_shown(_queries: Sequence[StoreByKey], rows: Iterable[Row]) -> Answers:
    for settled, *columns in rows:
        store = store_of(columns)
        yield StoreByKey(store.key), Shown(store, settled)


def _list(wire: Wire, query: StoreQuery) -> Listing[Shown[Store], str]:
    """Return a page of stores by id, with a bounded scan."""
    edge: str | None = wire.value(
        "SELECT store_id FROM stores WHERE store_id > $after::text "
        "ORDER BY store_id LIMIT 1 OFFSET $scanned::int8",
        after=query.after,
        scanned=bounds.STORES_SCANNED - 1,
    )
    visible, values = in_scope(query.scope)
    terms = ["store_id > $after::text", visible]
    if edge is not None:
        terms.append("store_id <= $edge::text")
    for column, chosen in (("kind", query.kinds), ("state", query.states)):
        if chosen:
            terms.append(f"{column} IN ({', '.join(str(int(one)) for one in chosen)})")
    if query.groups:
        terms.append("groups::jsonb ?| $groups::text[]")
    rows = wire.query(
        f"{_SELECT_SHOWN} WHERE {' AND '.join(terms)} ORDER BY store_id LIMIT $limit::int8",
        **values,
        after=query.after,
        edge=edge,
        groups=sorted(query.groups),
        limit=query.limit + 1,
    )
    listed: list[Shown[Store]] = []
    size = 0
    for row in rows:
        if len(listed) == query.limit or size >= bounds.LISTED_BYTES:
            return Listing(listed, listed[-1].entry.key.id)
        settled, store_id, name, _, groups, *_ = row
        size += len(store_id) + len(name.encode()) + len(groups)
        listed.append(Shown(store_of(row[1:]), settled))
    return Listing(listed, edge)


READ_MODEL: Final[ReadModel] = ReadModel(
    _DDL,
    _project,
    frozenset(FACTS),
    find={StoreKey: FIND},
    points={
        StoreKey: FIND.point(_READ_TOGETHER),
        StoreByKey: Point(_SELECT_SOME, _ids_asked, _read_shown, _READ_TOGETHER),
    },
    answers={StoreQuery: _list},
)
