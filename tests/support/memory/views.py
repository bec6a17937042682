"""State now or at a position, from the last events up to there."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, Final

from inventory_grpc.application.ports import K, Listing, PastSnapshot, Query, Reading, T
from inventory_grpc.application.queries.at_risk import AtRiskQuery
from inventory_grpc.application.queries.policy import (
    FoundPolicy,
    PolicyByScope,
    PolicyQuery,
)
from inventory_grpc.application.queries.product import ProductByKey, ProductQuery
from inventory_grpc.application.queries.reservation import ReservationQuery
from inventory_grpc.application.queries.settled import Shown, UnsettledChanges
from inventory_grpc.application.queries.stock import (
    ProductInventory,
    ProductInventoryById,
    RecentlyMoved,
    StockKey,
    StockQuery,
    Stocks,
    StocksById,
)
from inventory_grpc.application.queries.store import StoreByKey, StoreQuery
from inventory_grpc.domain.event import Key
from inventory_grpc.domain.levels import FenceUnits, Levels, ShownLevels, StateUnits
from inventory_grpc.domain.policy import NOTHING, ScopedPolicy, effective, scopes_of, sources_of
from inventory_grpc.domain.product import Product, ProductKey
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.store import Store, StoreKey
from inventory_grpc.domain.values import Channel, ReservationId, StockId, UnitState
from tests.support.memory.at_risk import list_at_risk
from tests.support.memory.tables import Numbered, Tables


class MemoryViews:
    """`Views`, and their newest `Snapshot`, that look into the log itself.

    So nothing can be out of step with it.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @property
    def latest(self) -> "MemoryViews":
        return self

    def at(self, position: int) -> PastSnapshot:
        return _Past(self._tables, position)

    async def get(self, key: Key) -> Reading[Any]:
        find = _STATES.get(type(key), Tables.newest_of)
        return Reading(find(self._tables, key), self._tables.head)

    async def read(self, query: Query[T], at_least: int = 0) -> Reading[T]:  # noqa: ARG002  memory is never behind
        await asyncio.sleep(0)
        return Reading(_ANSWERS[type(query)](self._tables, query), self._tables.head)


class _Past:
    def __init__(self, tables: Tables, position: int) -> None:
        self._tables = tables
        self._position = position

    async def get(self, key: Key) -> Reading[Any]:
        await asyncio.sleep(0)
        return Reading(self._tables.state_at(key, self._position), self._position)


def _stock(tables: Tables, stock_id: StockId) -> Inventory | None:
    stock: Inventory | None = tables.newest_of(stock_id)
    return stock


def _all_stocks(tables: Tables) -> Iterable[Inventory]:
    return filter(None, (_stock(tables, stock_id) for stock_id in sorted(tables.stock_ids())))


def _stocks(tables: Tables, query: StocksById) -> Stocks:
    found = {key: stock for key in query.stock_ids if (stock := _stock(tables, key))}
    own = tables.reservation(query.reservation_id) if query.reservation_id is not None else None
    unbegun = [key for key in query.stock_ids if key not in found] if query.with_sources else []
    keys = {key for stock_id in unbegun for key in sources_of(stock_id)}
    sources = {key: state for key in keys if (state := tables.newest_of(key))}
    return Stocks(found, own, sources)


def _product(tables: Tables, query: ProductInventoryById) -> ProductInventory:
    stocks = [
        stock
        for stock in _all_stocks(tables)
        if stock.stock_id.product_id == query.product_id and query.scope.covers([stock.stock_id])
    ]
    levels = [stock.levels for stock in stocks]
    following = [stock for stock in stocks if stock.stock_id.store_id > query.after_store]
    return ProductInventory(_total(levels), _listing(following, query.limit, _key))


def _total(levels: Sequence[Levels]) -> ShownLevels:
    """Return the sums of numbers, and of states and fences by name; there are no flags."""
    states, fences, numbers = Counter[UnitState](), Counter[Channel](), Counter[str]()
    for level in levels:
        states.update(dict(level.states))
        fences.update(dict(level.fences))
        shown = level.shown._asdict()
        numbers.update({name: units for name, units in shown.items() if type(units) is int})
    return ShownLevels(
        on_hand=numbers["on_hand"],
        reserved=numbers["reserved"],
        available=numbers["available"],
        shortfall=numbers["shortfall"],
        states=tuple(StateUnits(*each) for each in sorted(states.items())),
        backordered=numbers["backordered"],
        backorderable=numbers["backorderable"],
        ring_fenced=numbers["ring_fenced"],
        safety_stock=numbers["safety_stock"],
        fences=tuple(FenceUnits(*each) for each in sorted(fences.items())),
    )


def _list_stock(tables: Tables, query: StockQuery) -> Listing[Inventory, StockKey]:
    rows = (stock for stock in _all_stocks(tables) if _is_wanted(stock, query))
    return _listing(rows, query.limit, _key)


def _list_reservations(
    tables: Tables, query: ReservationQuery
) -> Listing[tuple[int, Reservation], int]:
    rows = (
        (numbered.number, numbered.reservation)
        for numbered in tables.newest()
        if _is_asked_for(numbered, query)
    )
    return _listing(rows, query.limit, itemgetter(0))


def _find_entry(tables: Tables, query: ProductByKey | StoreByKey) -> Shown[Any] | None:
    entry = tables.newest_of(query.key)
    return None if entry is None else Shown(entry, query.key not in tables.walks)


def _list_products(tables: Tables, query: ProductQuery) -> Listing[Shown[Product], str]:
    keys = sorted(key.id for key in tables.streams if isinstance(key, ProductKey))
    products: Iterable[Shown[Product]] = (
        Shown(product, product.key not in tables.walks)
        for product_id in keys
        if product_id > query.after
        and (product := tables.newest_of(ProductKey(product_id)))
        and (not query.skus or product.sku in query.skus)
        and (not query.states or product.state in query.states)
    )
    return _listing(products, query.limit, lambda product: product.entry.key.id)


def _list_stores(tables: Tables, query: StoreQuery) -> Listing[Shown[Store], str]:
    keys = sorted(key.id for key in tables.streams if isinstance(key, StoreKey))
    stores: Iterable[Shown[Store]] = (
        Shown(store, store.key not in tables.walks)
        for store_id in keys
        if store_id > query.after
        and (store := tables.newest_of(StoreKey(store_id)))
        and (not query.groups or query.groups.intersection(store.groups))
        and (not query.kinds or store.kind in query.kinds)
        and (not query.states or store.state in query.states)
        and query.scope.covers([store.key])
    )
    return _listing(stores, query.limit, lambda store: store.entry.key.id)


def _find_policy(tables: Tables, query: PolicyByScope) -> FoundPolicy:
    scope = query.scope
    scoped = tables.stream(scope)
    shown = Shown(scoped, scope not in tables.walks)
    if scope.product_id is None or scope.store_id is None:
        return FoundPolicy(shown, None)
    scopes = scopes_of(StockId(scope.product_id, scope.store_id))
    return FoundPolicy(shown, effective([tables.stream(key).policy for key in scopes]))


def _list_policies(
    tables: Tables, query: PolicyQuery
) -> Listing[Shown[ScopedPolicy], tuple[str, str]]:
    stores = query.scope.stores
    rows = (
        Shown(scoped, scoped.key not in tables.walks)
        for scoped in sorted(tables.policies(), key=lambda scoped: scoped.key.covers)
        if scoped.policy != NOTHING
        and query.product_id in {"", scoped.key.product_id}
        and query.store_id in {"", scoped.key.store_id}
        and (stores is None or scoped.key.store_id in {None, *stores})
        and (query.after is None or scoped.key.covers > query.after)
    )
    return _listing(rows, query.limit, lambda shown: shown.entry.key.covers)


def _recently_moved(tables: Tables, query: RecentlyMoved) -> Listing[Inventory, int]:
    before = len(tables.events) + 1 if query.before is None else query.before
    first = max(1, before - query.events)
    moved = {event.key for event in tables.events[first - 1 : before - 1] if event.after}
    rows: list[Any] = [tables.state_at(key, tables.head) for key in moved]
    return Listing(rows, first if first > 1 else None)


def _listing(rows: Iterable[T], limit: int, key: Callable[[T], K]) -> Listing[T, K]:
    page = list(islice(rows, limit + 1))
    return Listing(page[:limit], key(page[limit - 1]) if len(page) > limit else None)


def _key(stock: Inventory) -> StockKey:
    return stock.stock_id


def _is_wanted(stock: Inventory, query: StockQuery) -> bool:
    product_id, store_id = stock.stock_id
    return (
        (not query.product_ids or product_id in query.product_ids)
        and (not query.store_ids or store_id in query.store_ids)
        and (query.max_available is None or stock.levels.available <= query.max_available)
        and (stock.levels.low_stock or not query.low_stock)
        and (stock.levels.shortfall > 0 or not query.short)
        and (stock.levels.backordered > 0 or not query.backordered)
        and (query.after is None or (product_id, store_id) > query.after)
    )


def _is_asked_for(numbered: Numbered, query: ReservationQuery) -> bool:
    number, reservation = numbered
    return (
        (query.before is None or number < query.before)
        and query.customer_id in {"", reservation.customer_id}
        and query.order_id in {"", reservation.order_id}
        and (not query.states or reservation.state in query.states)
        and query.scope.covers(reservation.lines)
        and any(
            query.product_id in {"", product_id}
            and query.store_id in {"", store_id}
            and (line.backordered > 0 or not query.backordered)
            for (product_id, store_id), line in reservation.lines.items()
        )
    )


_STATES: Final[Mapping[type[Any], Callable[[Tables, Any], Any]]] = {
    ReservationId: Tables.reservation,
}

_ANSWERS: Final[Mapping[type[Query[Any]], Callable[[Tables, Any], Any]]] = {
    StocksById: _stocks,
    ProductInventoryById: _product,
    StockQuery: _list_stock,
    ReservationQuery: _list_reservations,
    AtRiskQuery: list_at_risk,
    RecentlyMoved: _recently_moved,
    ProductByKey: _find_entry,
    ProductQuery: _list_products,
    StoreByKey: _find_entry,
    StoreQuery: _list_stores,
    PolicyByScope: _find_policy,
    PolicyQuery: _list_policies,
    UnsettledChanges: lambda tables, query: min(len(tables.walks), query.limit),
}
