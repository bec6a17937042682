"""What is so, as far as the log says, at a position the answer names?"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from inventory_grpc.application.access import EVERYWHERE, Scope
from inventory_grpc.application.failures import PositionAhead
from inventory_grpc.application.reading import (
    EventLog,
    Listing,
    Product,
    Reading,
    ReservationQuery,
    StockKey,
    StockQuery,
    T,
    Views,
)
from inventory_grpc.domain.refusals import LevelTooHigh, ReservationNotFound, StockNotFound
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import MAX_TOTAL, Cart, Instant, ProductId, ReservationId, StockId


class StockCache(Protocol):
    """Stocks as they were read, until an event says that they have moved."""

    def get(self, stock_id: StockId) -> Reading[Inventory | None] | None: ...

    def put(self, stock_id: StockId, reading: Reading[Inventory | None]) -> None: ...


class Availability(NamedTuple):
    """How one line of a cart could be met."""

    stock_id: StockId
    requested: int
    available: int

    @property
    def shortfall(self) -> int:
        return max(0, self.requested - self.available)


class Queries:
    """The reading side. Every answer is the log as recorded at `as_of`.

    Every method takes `min_position`, and answers from a state at least that new. What was
    answered last also bounds from below what is answered next: nobody sees time go back.

    Raises:
        PositionAhead: the log does not reach to `min_position`.
    """

    def __init__(self, views: Views, log: EventLog, cache: StockCache) -> None:
        self._views = views
        self._log = log
        self._cache = cache
        self._shown = 0
        """The newest state an answer has shown. Right after a commit storage is ahead of the
        cache: who has read the one must not be answered from the other."""

    def stock(self, stock_id: StockId, min_position: int) -> Reading[Inventory]:
        """Return one stock, without awaiting anything.

        Raises:
            StockNotFound: it has no history.
        """
        reading = self._cache.get(stock_id)
        if reading is None or reading.as_of < max(min_position, self._shown):
            reading = self._at_least(min_position, self._views.stock(stock_id))
            self._cache.put(stock_id, reading)
        return _found(stock_id, reading)

    async def stock_at_position(
        self, stock_id: StockId, position: int, min_position: int
    ) -> Reading[Inventory]:
        """Return one stock as it was right after *position*.

        Raises:
            StockNotFound: it had no history then.
            PositionAhead: that is still to come.
        """
        self._reach(max(position, min_position))
        return _found(stock_id, await self._views.stock_as_of(stock_id, position), then=True)

    async def stock_at_time(
        self, stock_id: StockId, time: Instant, min_position: int
    ) -> Reading[Inventory]:
        """Return one stock as it was at *time*, what was recorded at that instant included.

        Raises:
            StockNotFound: it had no history then.
        """
        self._reach(min_position)
        position = await self._log.position_before(Instant(time + 1))
        return _found(stock_id, await self._views.stock_as_of(stock_id, position), then=True)

    async def stocks(
        self, stock_ids: Sequence[StockId], min_position: int
    ) -> Reading[Mapping[StockId, Inventory]]:
        """Return those of the stocks that have a history, all as of one position."""
        (stocks, _), as_of = await self._views.stocks(stock_ids, None)
        return self._at_least(min_position, Reading(stocks, as_of))

    async def availability(
        self,
        cart: Cart,
        reservation_id: ReservationId | None,
        min_position: int,
        scope: Scope = EVERYWHERE,
    ) -> Reading[Sequence[Availability]]:
        """Return what of *cart* could be had, the holds of a reservation of one's own included.

        Raises:
            ReservationNotFound: there is no such reservation in *scope*.
        """
        reading = self._at_least(min_position, await self._views.stocks(list(cart), reservation_id))
        stocks, own = reading.value
        if reservation_id is not None and (own is None or not scope.covers(own.lines)):
            raise ReservationNotFound(reservation_id)
        held = own.holds() if own else {}
        lines = []
        for stock_id, requested in cart.items():
            stock = stocks.get(stock_id)
            available = 0
            if stock is not None:
                promised = stock.levels.reserved - held.get(stock_id, 0)
                available = max(0, stock.levels.on_hand - promised)
            lines.append(Availability(stock_id, requested, available))
        return Reading(lines, reading.as_of)

    async def product(
        self,
        product_id: str,
        after_store: str,
        limit: int,
        min_position: int,
        scope: Scope = EVERYWHERE,
    ) -> Reading[Product]:
        """Return a product's stocks in scope, by store, from one on, and the sums over them all.

        Raises:
            LevelTooHigh: a sum does not fit into an answer.
        """
        reading = await self._views.product(product_id, after_store, limit, scope)
        highest = max(reading.value[:4])
        if highest > MAX_TOTAL:
            raise LevelTooHigh(ProductId(product_id), highest)
        return self._at_least(min_position, reading)

    async def list_stock(
        self, query: StockQuery, limit: int, min_position: int
    ) -> Reading[Listing[Inventory, StockKey]]:
        """Return stocks by product, then store."""
        return self._at_least(min_position, await self._views.list_stock(query, limit))

    def reservation(
        self, reservation_id: ReservationId, min_position: int, scope: Scope = EVERYWHERE
    ) -> Reading[Reservation]:
        """Return one reservation, without awaiting anything.

        Raises:
            ReservationNotFound: there is none in *scope*.
        """
        reservation, as_of = self._at_least(min_position, self._views.reservation(reservation_id))
        if reservation is None or not scope.covers(reservation.lines):
            raise ReservationNotFound(reservation_id)
        return Reading(reservation, as_of)

    async def list_reservations(
        self, query: ReservationQuery, limit: int, min_position: int
    ) -> Reading[Listing[tuple[int, Reservation], int]]:
        """Return reservations, newest first, each with the number to go on from."""
        return self._at_least(min_position, await self._views.list_reservations(query, limit))

    def _reach(self, position: int) -> None:
        """Refuse a position that is still to come; the head is read from storage to be sure."""
        if position > (head := self._log.head()):
            raise PositionAhead(position, head)

    def _at_least(self, min_position: int, reading: Reading[T]) -> Reading[T]:
        """Return *reading*: read from storage, it is as new as the log, or the log ends before."""
        if min_position > reading.as_of:
            raise PositionAhead(min_position, reading.as_of)
        self._shown = max(self._shown, reading.as_of)
        return reading


def _found(
    stock_id: StockId, reading: Reading[Inventory | None], *, then: bool = False
) -> Reading[Inventory]:
    if reading.value is None:
        raise StockNotFound(stock_id, then)
    return Reading(reading.value, reading.as_of)
