"""What is so now, or was at a position? Whatever the last events up to there say."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from operator import itemgetter

from inventory_grpc.application.access import Scope
from inventory_grpc.application.ports import T
from inventory_grpc.application.reading import (
    K,
    Listing,
    Product,
    Reading,
    ReservationQuery,
    StockKey,
    StockQuery,
    Stocks,
)
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import ReservationId, StockId
from inventory_grpc.infrastructure.memory.tables import Numbered, Tables


class MemoryViews:
    """`Views` that look into the log itself: nothing can be out of step with it."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def stock(self, stock_id: StockId) -> Reading[Inventory | None]:
        return self._now(self._stock(stock_id))

    def reservation(self, reservation_id: ReservationId) -> Reading[Reservation | None]:
        return self._now(self._tables.reservation(reservation_id))

    async def stocks(
        self, stock_ids: Sequence[StockId], reservation_id: ReservationId | None
    ) -> Reading[Stocks]:
        await asyncio.sleep(0)
        found = {stock_id: stock for stock_id in stock_ids if (stock := self._stock(stock_id))}
        own = self.reservation(reservation_id).value if reservation_id is not None else None
        return self._now(Stocks(found, own))

    async def stock_as_of(self, stock_id: StockId, position: int) -> Reading[Inventory | None]:
        await asyncio.sleep(0)
        return Reading(self._tables.stock(stock_id, position), position)

    async def product(
        self, product_id: str, after_store: str, limit: int, scope: Scope
    ) -> Reading[Product]:
        await asyncio.sleep(0)
        stocks = [
            stock
            for stock in self._stocks()
            if stock.stock_id.product_id == product_id and scope.covers([stock.stock_id])
        ]
        levels = [stock.levels for stock in stocks]
        following = [stock for stock in stocks if stock.stock_id.store_id > after_store]
        return self._now(
            Product(
                on_hand=sum(level.on_hand for level in levels),
                reserved=sum(level.reserved for level in levels),
                available=sum(level.available for level in levels),
                shortfall=sum(level.shortfall for level in levels),
                stocks=_listing(following, limit, _key),
            )
        )

    async def list_stock(
        self, query: StockQuery, limit: int
    ) -> Reading[Listing[Inventory, StockKey]]:
        await asyncio.sleep(0)
        rows = (stock for stock in self._stocks() if _is_wanted(stock, query))
        return self._now(_listing(rows, limit, _key))

    async def list_reservations(
        self, query: ReservationQuery, limit: int
    ) -> Reading[Listing[tuple[int, Reservation], int]]:
        await asyncio.sleep(0)
        rows = (
            (numbered.number, numbered.reservation)
            for numbered in self._tables.newest()
            if _is_asked_for(numbered, query)
        )
        return self._now(_listing(rows, limit, itemgetter(0)))

    async def recently_moved(self, limit: int) -> Reading[Sequence[Inventory]]:
        await asyncio.sleep(0)
        moved: dict[StockId, Inventory] = {}
        for event in reversed(self._tables.events):
            if len(moved) == limit:
                break
            if event.key not in moved:
                stock = Inventory.at(event)
                moved[event.key] = stock
        return self._now(list(moved.values()))

    def _stock(self, stock_id: StockId) -> Inventory | None:
        return self._tables.stock(stock_id, self._tables.head)

    def _stocks(self) -> Iterable[Inventory]:
        return filter(None, map(self._stock, sorted(self._tables.stocks)))

    def _now(self, value: T) -> Reading[T]:
        return Reading(value, self._tables.head)


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
            query.product_id in {"", product_id} and query.store_id in {"", store_id}
            for product_id, store_id in reservation.lines
        )
    )
