"""Which aggregates does the writer have at hand?"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

from inventory_grpc.domain.event import Event
from inventory_grpc.domain.reservation import (
    Reservation,
    ReservationCommitted,
    ReservationExpired,
    ReservationExtended,
    ReservationFact,
    ReservationReleased,
    StockReserved,
)
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import ReservationId, StockId

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_RESERVATION_FACTS: Final = (
    StockReserved,
    ReservationCommitted,
    ReservationReleased,
    ReservationExpired,
    ReservationExtended,
)


def reservation_fact(event: Event) -> ReservationFact | None:
    """Return the fact of *event* if it is one of a reservation."""
    fact = event.fact
    return fact if isinstance(fact, _RESERVATION_FACTS) else None


class Recent(Generic[K, V]):
    """At most so many values, those used last."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[K, V] = OrderedDict()
        """Not a `dict`: to find the first in one whose first were taken out takes long."""

    def get(self, key: K) -> V | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._limit:
            self._values.popitem(last=False)

    def __contains__(self, key: K) -> bool:
        return key in self._values

    def evict(self, key: K) -> None:
        self._values.pop(key, None)

    def clear(self) -> None:
        self._values.clear()

    def __len__(self) -> int:
        return len(self._values)


class States:
    """Aggregates folded from the log, kept current event by event.

    What a transaction changes is remembered until it is kept or undone: after a
    rollback the changed ones are folded anew when they are next needed.
    """

    def __init__(self, max_stocks: int, max_reservations: int) -> None:
        self.position = 0
        """Everything up to here has been applied."""
        self._stocks: Recent[StockId, Inventory] = Recent(max_stocks)
        self._reservations: Recent[ReservationId, Reservation] = Recent(max_reservations)
        self._touched: set[StockId | ReservationId] = set()

    def inventory(self, stock_id: StockId, fold: Callable[[StockId], Inventory]) -> Inventory:
        inventory = self._stocks.get(stock_id)
        if inventory is None:
            inventory = fold(stock_id)
            self._stocks.put(stock_id, inventory)
        return inventory

    def missing(
        self, stock_ids: Iterable[StockId], reservation_ids: Iterable[ReservationId]
    ) -> tuple[Sequence[StockId], Sequence[ReservationId]]:
        """Return those of them that would have to be looked up."""
        return (
            [stock_id for stock_id in stock_ids if stock_id not in self._stocks],
            [name for name in reservation_ids if name not in self._reservations],
        )

    def reservation(
        self,
        reservation_id: ReservationId,
        fold: Callable[[ReservationId], Reservation | None],
    ) -> Reservation | None:
        reservation = self._reservations.get(reservation_id)
        if reservation is None:
            reservation = fold(reservation_id)
            if reservation is not None:
                self._reservations.put(reservation_id, reservation)
        return reservation

    def apply(self, event: Event) -> None:
        """Bring what is at hand up to date with *event*, which was recorded elsewhere."""
        inventory = self._stocks.get(event.key)
        if inventory is not None:
            self.put(event.key, inventory.evolve(event))
        if fact := reservation_fact(event):
            reservation = self._reservations.get(fact.reservation_id)
            if reservation is not None:
                self.put(fact.reservation_id, reservation.evolve([event]))
        self.position = event.position

    def put(self, key: StockId | ReservationId, state: Any) -> None:  # noqa: ANN401  of the kind of its key
        """Take in a state that the transaction at hand has changed."""
        self._touched.add(key)
        if isinstance(key, StockId):
            self._stocks.put(key, state)
        else:
            self._reservations.put(key, state)

    def keep(self, position: int) -> None:
        """Stand by what the transaction changed: it was committed, and the log ends here."""
        self._touched.clear()
        self.position = position

    def undo(self) -> None:
        """Let go of what the transaction changed: it was rolled back."""
        for key in self._touched:
            if isinstance(key, StockId):
                self._stocks.evict(key)
            else:
                self._reservations.evict(key)
        self._touched.clear()

    def clear(self) -> None:
        """Forget everything; it is folded anew when it is needed."""
        self._stocks.clear()
        self._reservations.clear()
        self._touched.clear()
