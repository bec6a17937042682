"""Policies by scope, after their last events."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from inventory_grpc.application.ports import Listing
from inventory_grpc.application.queries.policy import FoundPolicy, PolicyByScope, PolicyQuery
from inventory_grpc.application.queries.settled import Shown, UnsettledChanges
from inventory_grpc.domain.policy import FACTS, PolicyScope, ScopedPolicy, effective, scopes_of
from inventory_grpc.domain.values import StockId
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
from inventory_grpc.infrastructure.rows.policies import policy_of, rows_of

_DDL: Final = """
CREATE TABLE policies (
  stream           int8 PRIMARY KEY,
  product_id       text COLLATE "C" NOT NULL,  -- empty for all products
  store_id         text COLLATE "C" NOT NULL,  -- empty for all stores
  safety_stock     int8,
  backorder_limit  int8,
  low_stock_at     int8,
  alert_hysteresis int8,
  sets             int8,                       -- 1, or NULL if it sets nothing
  version          int8 NOT NULL,
  update_time      int8 NOT NULL
);
CREATE UNIQUE INDEX policies_by_scope ON policies (product_id, store_id);
CREATE INDEX policies_that_set ON policies (product_id, store_id) WHERE sets IS NOT NULL;
"""

ANY_SETS: Final = "EXISTS (SELECT 1 FROM policies WHERE sets IS NOT NULL)"
"""The SQL condition that a policy sets something."""

_TERMS: Final = ("safety_stock", "backorder_limit", "low_stock_at", "alert_hysteresis")
_UPSERT: Final = upsert(
    "policies",
    {
        "stream": "int8",
        "product_id": "text",
        "store_id": "text",
        **dict.fromkeys((*_TERMS, "sets", "version", "update_time"), "int8"),
    },
    ["stream", "product_id", "store_id"],
)
_VALUES: Final = ", ".join((*_TERMS, "version", "update_time"))
READ_TOGETHER: Final = 64
"""The most policies that are read by one statement for as many calls."""

_SELECT: Final = (
    f"SELECT place, stream, {_VALUES} "
    "FROM unnest($products::text[], $stores::text[]) WITH ORDINALITY "
    "AS wanted (product_id, store_id, place) JOIN policies USING (product_id, store_id)"
)
_IS_SETTLED: Final = Statement(f"SELECT {is_settled(PolicyScope, '$name::text')}")
_COUNT_UNSETTLED: Final = Statement(
    "SELECT count(*) FROM (SELECT 1 FROM unsettled LIMIT $limit::int8) AS few"
)
_NAME: Final = "policies.product_id || '@' || policies.store_id"


def _project(recorded: Sequence[NumberedEvent]) -> Iterator[Bound]:
    if rows := rows_of(recorded):
        yield _UPSERT.bind_rows(rows)


def _scopes(keys: Sequence[PolicyScope]) -> Mapping[str, object]:
    products, stores = zip(*(key.covers for key in keys), strict=True)
    return {"products": products, "stores": stores}


def _read(keys: Sequence[PolicyScope], rows: Iterable[Row]) -> Found:
    for place, stream, *values in rows:
        key = keys[place - 1]
        yield key, stream, policy_of(key, *values)


FIND: Final = Find(_SELECT, _scopes, _read)


def _find(wire: Wire, query: PolicyByScope) -> FoundPolicy:
    """Return the policy of a scope, and the values in force for a stock."""
    scope = query.scope
    scopes = [scope]
    if scope.product_id is not None and scope.store_id is not None:
        scopes = [*scopes_of(StockId(scope.product_id, scope.store_id))]
    found = {key: scoped for key, _, scoped in FIND.run(wire, scopes)}
    scoped = [found.get(key, ScopedPolicy(key)) for key in scopes]
    in_force = effective([each.policy for each in scoped]) if len(scoped) > 1 else None
    return FoundPolicy(Shown(scoped[0], wire.value(_IS_SETTLED, name=scope.id)), in_force)


def _list(wire: Wire, query: PolicyQuery) -> Listing[Shown[ScopedPolicy], tuple[str, str]]:
    """Return a page of policies by product and store, with a bounded scan."""
    product_id, store_id = query.after or ("", "")
    terms = ["sets IS NOT NULL"]
    values: dict[str, object] = {"product": query.product_id, "store": query.store_id}
    if query.product_id:
        terms.append("product_id = $product::text")
    if query.after is not None:
        terms.append("(product_id, store_id) > ($after_product::text, $after_store::text)")
        values |= {"after_product": product_id, "after_store": store_id}
    found = wire.query(
        f"SELECT product_id, store_id FROM policies WHERE {' AND '.join(terms)} "
        "ORDER BY product_id, store_id LIMIT 1 OFFSET $scanned::int8",
        **values,
        scanned=bounds.POLICIES_SCANNED - 1,
    )
    edge = None
    if found:
        edge = edge_product, edge_store = found[0]
        terms.append("(product_id, store_id) <= ($edge_product::text, $edge_store::text)")
        values |= {"edge_product": edge_product, "edge_store": edge_store}
    if query.store_id:
        terms.append("store_id = $store::text")
    if query.scope.stores is not None:
        terms.append("store_id = ANY($visible::text[])")
        values["visible"] = ["", *sorted(query.scope.stores)]
    rows = wire.query(
        f"SELECT product_id, store_id, {is_settled(PolicyScope, _NAME)}, {_VALUES} FROM policies "
        f"WHERE {' AND '.join(terms)} ORDER BY product_id, store_id LIMIT $limit::int8",
        **values,
        limit=query.limit + 1,
    )
    shown = [
        Shown(policy_of(PolicyScope.of(product, store), *columns), settled)
        for product, store, settled, *columns in rows[: query.limit]
    ]
    if len(rows) > query.limit:
        edge = shown[-1].entry.key.covers
    return Listing(shown, edge)


def _unsettled(wire: Wire, query: UnsettledChanges) -> int:
    count: int = wire.value(_COUNT_UNSETTLED, limit=query.limit)
    return count


READ_MODEL: Final[ReadModel] = ReadModel(
    _DDL,
    _project,
    frozenset(FACTS),
    find={PolicyScope: FIND},
    points={PolicyScope: FIND.point(READ_TOGETHER)},
    answers={PolicyByScope: _find, PolicyQuery: _list, UnsettledChanges: _unsettled},
)
