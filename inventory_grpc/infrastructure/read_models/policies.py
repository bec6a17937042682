"""Policies by scope, after their last events."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import apsw

from inventory_grpc.application.ports import Listing
from inventory_grpc.application.queries.policy import (
    FoundPolicy,
    PolicyByScope,
    PolicyQuery,
)
from inventory_grpc.application.queries.settled import Shown, UnsettledChanges
from inventory_grpc.domain.policy import (
    FACTS,
    PolicyScope,
    ScopedPolicy,
    effective,
    scopes_of,
)
from inventory_grpc.domain.values import StockId
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.read_models.read_model import ReadModel, is_settled, newest_by
from inventory_grpc.infrastructure.rows import bounds
from inventory_grpc.infrastructure.rows.policies import policy_of, rows_of
from inventory_grpc.infrastructure.sqlite.multirow import execute_with, select_with

_DDL: Final = """
CREATE TABLE policies (
  stream           INTEGER PRIMARY KEY,
  product_id       TEXT    NOT NULL,  -- empty for all products
  store_id         TEXT    NOT NULL,  -- empty for all stores
  safety_stock     INTEGER,
  backorder_limit  INTEGER,
  low_stock_at     INTEGER,
  alert_hysteresis INTEGER,
  sets             INTEGER,           -- 1, or NULL if it sets nothing
  version          INTEGER NOT NULL,
  update_time      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX policies_by_scope ON policies (product_id, store_id);
CREATE INDEX policies_that_set ON policies (product_id, store_id) WHERE sets IS NOT NULL;
"""

ANY_SETS: Final = "EXISTS (SELECT 1 FROM policies WHERE sets IS NOT NULL)"
"""The SQL condition that a policy sets something."""

_UPSERT: Final = (
    "INSERT INTO policies {} ON CONFLICT (stream) DO UPDATE SET "
    "safety_stock = excluded.safety_stock, backorder_limit = excluded.backorder_limit, "
    "low_stock_at = excluded.low_stock_at, alert_hysteresis = excluded.alert_hysteresis, "
    "sets = excluded.sets, version = excluded.version, update_time = excluded.update_time"
)
_VALUES: Final = (
    "safety_stock, backorder_limit, low_stock_at, alert_hysteresis, version, update_time"
)
_SELECT: Final = (
    "WITH wanted (place, product_id, store_id) AS ({}) "  # noqa: S608  made of constants, values are bound
    f"SELECT place, stream, {_VALUES} FROM wanted CROSS JOIN policies USING (product_id, store_id)"
)


def _project(connection: apsw.Connection, recorded: Sequence[NumberedEvent]) -> None:
    execute_with(connection, _UPSERT, rows_of(recorded))


def find_policies(
    connection: apsw.Connection, keys: Sequence[PolicyScope]
) -> Iterator[tuple[PolicyScope, int, ScopedPolicy]]:
    """Yield the policies that were set, each with its stream number."""
    wanted = [(place, *key.covers) for place, key in enumerate(keys)]
    for place, stream, *values in select_with(connection, _SELECT, wanted):
        yield keys[place], stream, policy_of(keys[place], *values)


def _find(connection: apsw.Connection, query: PolicyByScope) -> FoundPolicy:
    """Return the policy of a scope, and the values in force for a stock."""
    scope = query.scope
    scopes = [scope]
    if scope.product_id is not None and scope.store_id is not None:
        scopes = [*scopes_of(StockId(scope.product_id, scope.store_id))]
    found = {key: scoped for key, _, scoped in find_policies(connection, scopes)}
    scoped = [found.get(key, ScopedPolicy(key)) for key in scopes]
    settled = connection.execute(f"SELECT {is_settled(PolicyScope, '?')}", (scope.id,)).get
    in_force = effective([each.policy for each in scoped]) if len(scoped) > 1 else None
    return FoundPolicy(Shown(scoped[0], bool(settled)), in_force)


def _list(
    connection: apsw.Connection, query: PolicyQuery
) -> Listing[Shown[ScopedPolicy], tuple[str, str]]:
    """Return a page of policies by product and store, with a bounded scan."""
    terms, bindings = ["sets IS NOT NULL"], list[str]()
    if query.product_id:
        terms.append("product_id = ?")
        bindings.append(query.product_id)
    if query.after is not None:
        terms.append("(product_id, store_id) > (?, ?)")
        bindings += query.after
    scanned = f"SELECT product_id, store_id FROM policies WHERE {' AND '.join(terms)} ORDER BY 1, 2"  # noqa: S608  as above
    edge: Any = connection.execute(
        f"{scanned} LIMIT 1 OFFSET ?", (*bindings, bounds.POLICIES_SCANNED - 1)
    ).get
    if edge is not None:
        terms.append("(product_id, store_id) <= (?, ?)")
        bindings += edge
    if query.store_id:
        terms.append("store_id = ?")
        bindings.append(query.store_id)
    if query.scope.stores is not None:
        terms.append(f"store_id IN ('', {', '.join('?' * len(query.scope.stores))})")
        bindings += sorted(query.scope.stores)
    rows: Sequence[Any] = connection.execute(
        f"SELECT product_id, store_id, {is_settled(PolicyScope, _NAME)}, {_VALUES} FROM policies "  # noqa: S608  as above
        f"WHERE {' AND '.join(terms)} ORDER BY product_id, store_id LIMIT ?",
        (*bindings, query.limit + 1),
    ).fetchall()
    shown = [
        Shown(policy_of(PolicyScope.of(product_id, store_id), *values), bool(settled))
        for product_id, store_id, settled, *values in rows[: query.limit]
    ]
    if len(rows) > query.limit:
        edge = shown[-1].entry.key.covers
    return Listing(shown, edge)


def _unsettled(connection: apsw.Connection, query: UnsettledChanges) -> int:
    count: int = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM unsettled LIMIT ?)", (query.limit,)
    ).get
    return count


_NAME: Final = "policies.product_id || '@' || policies.store_id"

READ_MODEL: Final[ReadModel] = ReadModel(
    _DDL,
    _project,
    frozenset(FACTS),
    find={PolicyScope: find_policies},
    states={PolicyScope: newest_by(find_policies)},
    answers={PolicyByScope: _find, PolicyQuery: _list, UnsettledChanges: _unsettled},
)
