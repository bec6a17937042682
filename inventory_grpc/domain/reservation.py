"""The aggregate of a promise: a cart that is kept for a customer."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple, Self, assert_never

from inventory_grpc.domain.events import (
    Event,
    ReservationCommitted,
    ReservationExpired,
    ReservationExtended,
    ReservationFact,
    ReservationReleased,
    StockReserved,
)
from inventory_grpc.domain.values import CustomerId, Instant, OrderId, ReservationId, StockId


class ReservationState(Enum):
    """What became of the last units that were held."""

    ACTIVE = "active"
    COMMITTED = "committed"
    RELEASED = "released"
    EXPIRED = "expired"


class ReservedLine(NamedTuple):
    """One stock's part of a promise: every unit is held, or has met one of three ends."""

    quantity: int
    committed: int = 0
    released: int = 0
    expired: int = 0

    @property
    def held(self) -> int:
        return self.quantity - self.committed - self.released - self.expired


@dataclass(slots=True)
class Reservation:
    """A cart that is kept for a customer, until it is paid, given up, or over time.

    It has no stream of its own: it is the fold of the events that carry its id, each
    of which is an event of a stock.
    """

    reservation_id: ReservationId
    customer_id: CustomerId
    reserved_for: OrderId | None
    """The order named when it was made."""
    committed_for: OrderId | None
    """The order named by the first commit that named one."""
    reference: str
    create_time: Instant
    expire_time: Instant | None
    state: ReservationState
    lines: dict[StockId, ReservedLine]
    held: int
    """Units held over all lines."""
    position: int
    """Of the last event folded in."""

    @classmethod
    def begin(cls, first: Event) -> Self:
        """Return the reservation that *first*, a `StockReserved`, begins; nothing is held yet."""
        assert isinstance(first.fact, StockReserved)
        return cls(
            reservation_id=first.fact.reservation_id,
            customer_id=first.fact.customer_id,
            reserved_for=first.fact.order_id,
            committed_for=None,
            reference=first.cause.reference,
            create_time=first.record_time,
            expire_time=first.fact.expire_time,
            state=ReservationState.ACTIVE,
            lines={},
            held=0,
            position=0,
        )

    @property
    def order_id(self) -> OrderId | None:
        return self.reserved_for or self.committed_for

    def holds(self) -> Mapping[StockId, int]:
        """Return the units still held, by stock, of the lines that hold any."""
        return {stock_id: line.held for stock_id, line in self.lines.items() if line.held}

    def is_untouched(self) -> bool:
        """Tell whether all that was promised is still held."""
        return self.held == sum(line.quantity for line in self.lines.values())

    def is_due(self, now: Instant) -> bool:
        """Tell whether its holds no longer count: a hold counts strictly before its time."""
        return self.held > 0 and self.expire_time is not None and self.expire_time <= now

    def evolve(self, event: Event, fact: ReservationFact) -> None:
        """Become what it is once *fact*, of *event*, has happened."""
        stock_id = event.stock_id
        match fact:
            case StockReserved(quantity=units):
                self.lines[stock_id] = ReservedLine(units)
                self.held += units
            case ReservationCommitted(quantity=units, order_id=order_id):
                line = self.lines[stock_id]
                self.lines[stock_id] = line._replace(committed=line.committed + units)
                self.committed_for = self.committed_for or order_id
                self._let_go(units, ReservationState.COMMITTED)
            case ReservationReleased(quantity=units):
                line = self.lines[stock_id]
                self.lines[stock_id] = line._replace(released=line.released + units)
                self._let_go(units, ReservationState.RELEASED)
            case ReservationExpired(quantity=units):
                line = self.lines[stock_id]
                self.lines[stock_id] = line._replace(expired=line.expired + units)
                self._let_go(units, ReservationState.EXPIRED)
            case ReservationExtended(expire_time=expire_time):
                self.expire_time = expire_time
            case _:
                assert_never(fact)
        self.position = event.position

    def _let_go(self, units: int, how: ReservationState) -> None:
        self.held -= units
        if not self.held:
            self.state = how

    def copy(self) -> Self:
        """Return it as it is now, for keeps."""
        return replace(self, lines=dict(self.lines))
