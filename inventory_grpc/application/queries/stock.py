"""Queries of stocks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from inventory_grpc.application.access import EVERYWHERE, Scope
from inventory_grpc.application.outcomes import State
from inventory_grpc.application.ports import PAGE_LIMIT, Listing, PastSnapshot, Query, Reading
from inventory_grpc.application.queries.snapshot import Latest
from inventory_grpc.domain.event import SubjectKey
from inventory_grpc.domain.levels import Levels, ShownLevels
from inventory_grpc.domain.policy import sources_of, terms_in_force
from inventory_grpc.domain.promises import PLAINLY, Asked
from inventory_grpc.domain.refusals import LevelTooHigh, ReservationNotFound, StockNotFound
from inventory_grpc.domain.registry import STREAMS
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.stock import Inventory, StockTermsChanged
from inventory_grpc.domain.values import MAX_TOTAL, Cart, ProductId, ReservationId, StockId

StockKey = tuple[str, str]
"""Product and store."""


class Stocks(NamedTuple):
    """Several stocks, and a reservation, at one position."""

    stocks: Mapping[StockId, Inventory]
    reservation: Reservation | None
    sources: Mapping[SubjectKey, State]
    """The policies and entries of the catalogue that set the terms of stocks without history."""


@dataclass(frozen=True, slots=True)
class StocksById(Query[Stocks]):
    """The stocks with these ids that have a history, and one reservation."""

    stock_ids: Sequence[StockId]
    reservation_id: ReservationId | None = None
    with_sources: bool = False
    """Whether the sources of the terms of the other stocks are asked for."""


class ProductInventory(NamedTuple):
    """The sums of a product over all stores, and some of its stocks; the sums are exact."""

    total: ShownLevels
    """Its flags have no meaning."""
    stocks: Listing[Inventory, StockKey]


@dataclass(frozen=True, slots=True)
class ProductInventoryById(Query[ProductInventory]):
    """A product's stocks after a store, in order of stores, and the sums over the scope."""

    product_id: str
    after_store: str = ""
    scope: Scope = EVERYWHERE
    limit: int = PAGE_LIMIT


@dataclass(frozen=True, slots=True)
class StockQuery(Query[Listing[Inventory, StockKey]]):
    """A list of stocks after a key, in order of product and store; an empty field matches all."""

    product_ids: frozenset[str] = frozenset()
    store_ids: frozenset[str] = frozenset()
    max_available: int | None = None
    low_stock: bool = False
    """Whether only stocks are listed that are low; likewise the next two."""
    short: bool = False
    backordered: bool = False
    after: StockKey | None = None
    limit: int = PAGE_LIMIT


@dataclass(frozen=True, slots=True)
class RecentlyMoved(Query[Listing[Inventory, int]]):
    """The stocks of the last events, or of those before a position, to warm a cache.

    The key of the next page is the position of the first of the events. A stock with several
    events may be on several pages.
    """

    events: int
    before: int | None = None


class Availability(NamedTuple):
    """The availability of one line of a cart."""

    stock_id: StockId
    requested: int
    available: int
    """The units that can be had from stock, with those that the reservation holds."""
    backorderable: int = 0
    """The units that can be had beyond these, as backordered."""

    @property
    def shortfall(self) -> int:
        return max(0, self.requested - self.available - self.backorderable)


async def find_stock(snapshot: Latest | PastSnapshot, stock_id: StockId) -> Reading[Inventory]:
    """Return one stock.

    Raises:
        StockNotFound: it has no history in this snapshot.
    """
    reading = await snapshot.get(stock_id)
    if reading.value is None:
        raise StockNotFound(stock_id, not isinstance(snapshot, Latest))
    return reading


async def availability(
    snapshot: Latest,
    cart: Cart,
    reservation_id: ReservationId | None = None,
    scope: Scope = EVERYWHERE,
    asked: Asked = PLAINLY,
) -> Reading[Sequence[Availability]]:
    """Return the availability of each line of *cart*, judged as a reserve would be.

    With a reservation it is judged as an amendment: what that holds can be had, and its channel
    counts. A stock without history is judged by the terms in force; if its product or store is
    unknown and the catalogue is required, it has nothing.

    Raises:
        ReservationNotFound: there is no such reservation in *scope*.
    """
    query = StocksById(list(cart), reservation_id, with_sources=True)
    (stocks, own, sources), as_of = await snapshot.read(query)
    if reservation_id is not None and (own is None or not scope.covers(own.lines)):
        raise ReservationNotFound(reservation_id)
    held = own.holds() if own else {}
    channel = own.channel if own else asked.channel
    lines = []
    for stock_id, requested in cart.items():
        stock = stocks.get(stock_id)
        levels = stock.levels if stock else _begun(stock_id, sources, snapshot)
        available = levels.own(channel) + held.get(stock_id, 0)
        backorderable = 0 if asked.in_stock_only else levels.backorderable
        lines.append(Availability(stock_id, requested, available, backorderable))
    return Reading(lines, as_of)


def _begun(stock_id: StockId, sources: Mapping[SubjectKey, State], snapshot: Latest) -> Levels:
    """Return the levels that a stock without history has once its terms are recorded."""

    def state_of(key: SubjectKey) -> State:
        make: Any = STREAMS[type(key)]
        return sources.get(key) or make(key)

    *policies, product, store = map(state_of, sources_of(stock_id))
    if snapshot.needs_catalogue and not (product.version and store.version):
        return Levels(0, 0)
    terms = terms_in_force(policies, product, store)
    return Levels(0, 0).after(StockTermsChanged.to(terms))


async def find_product_inventory(
    snapshot: Latest, query: ProductInventoryById
) -> Reading[ProductInventory]:
    """Return a product.

    Raises:
        LevelTooHigh: a sum does not fit into the response.
    """
    reading = await snapshot.read(query)
    highest = max(value for value in reading.value.total if isinstance(value, int))
    if highest > MAX_TOTAL:
        raise LevelTooHigh(ProductId(query.product_id), highest)
    return reading
