"""A reservation, which keeps a cart for a customer: its facts and its state.

A reservation has no stream. Its state is folded from the stock events that have its id.
"""

from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple, Self

from inventory_grpc.domain.book import Noun
from inventory_grpc.domain.event import Change, Event, Fact, Moves
from inventory_grpc.domain.refusals import ReservationNotFound
from inventory_grpc.domain.values import (
    CustomerId,
    Instant,
    OrderId,
    ReservationId,
    StockId,
    immutable,
    new,
)


@immutable
class ReservationFact(Fact):
    """A fact about one line of a reservation."""

    reservation_id: ReservationId

    @property
    def subject(self) -> ReservationId:
        return self.reservation_id


@immutable
class StockReserved(ReservationFact):
    """`expire_time` is the first moment at which the hold no longer counts."""

    customer_id: CustomerId
    order_id: OrderId | None
    quantity: int
    expire_time: Instant | None

    @property
    def moves(self) -> Moves:
        return 0, self.quantity


@immutable
class ReservationCommitted(ReservationFact):
    order_id: OrderId | None
    quantity: int

    @property
    def moves(self) -> Moves:
        return -self.quantity, -self.quantity


@immutable
class ReservationReleased(ReservationFact):
    quantity: int

    @property
    def moves(self) -> Moves:
        return 0, -self.quantity


@immutable
class ReservationExpired(ReservationFact):
    quantity: int

    @property
    def moves(self) -> Moves:
        return 0, -self.quantity


@immutable
class ReservationExtended(ReservationFact):
    """`quantity` is the number of units that the line still held."""

    quantity: int
    expire_time: Instant | None


FACTS: Final = (
    StockReserved,
    ReservationCommitted,
    ReservationReleased,
    ReservationExpired,
    ReservationExtended,
)


class ReservationState(Enum):
    """ACTIVE while units are held, and then the end of the last held units."""

    ACTIVE = "active"
    COMMITTED = "committed"
    RELEASED = "released"
    EXPIRED = "expired"


class ReservedLine(NamedTuple):
    """One stock of a reservation; each unit is held, committed, released or expired."""

    quantity: int
    committed: int = 0
    released: int = 0
    expired: int = 0

    @property
    def held(self) -> int:
        return self.quantity - self.committed - self.released - self.expired

    def end(self, units: int, how: type[ReservationFact]) -> Self:
        """Return the line after *units* of it were committed, released or expired."""
        quantity, committed, released, expired = self
        if how is ReservationCommitted:
            committed += units
        elif how is ReservationReleased:
            released += units
        else:
            expired += units
        return new(type(self), (quantity, committed, released, expired))


class Reservation(NamedTuple):
    """A cart that is kept for a customer until it is committed, released or expired."""

    reservation_id: ReservationId
    customer_id: CustomerId
    reserved_for: OrderId | None
    """The order that the caller named in `ReserveStock`."""
    committed_for: OrderId | None
    """The order of the first commit that named one."""
    reference: str
    create_time: Instant
    expire_time: Instant | None
    state: ReservationState
    lines: Mapping[StockId, ReservedLine]
    held: int
    """The held units of all lines."""
    position: int
    """The position of the last event folded in."""

    @classmethod
    def begin(cls, first: Event) -> Self:
        """Return the reservation before *first*, a `StockReserved`, is folded in."""
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

    @property
    def streams(self) -> Collection[StockId]:
        return self.lines.keys()

    def holds(self) -> Mapping[StockId, int]:
        """Return the held units by stock, without lines that hold none."""
        return {stock_id: held for stock_id, line in self.lines.items() if (held := line.held)}

    def is_untouched(self) -> bool:
        """Return whether every unit is still held."""
        return self.held == sum(line.quantity for line in self.lines.values())

    def is_due(self, now: Instant) -> bool:
        """Return whether it is overdue: a hold counts until, and not at, its expire time."""
        return self.held > 0 and self.expire_time is not None and self.expire_time <= now

    @staticmethod
    def not_found(reservation_id: ReservationId) -> ReservationNotFound:
        return ReservationNotFound(reservation_id)

    def expire(self) -> Sequence[Change]:
        return [
            (stock_id, ReservationExpired(self.reservation_id, held))
            for stock_id, held in self.holds().items()
        ]

    def evolve(self, events: Sequence[Event]) -> Self:
        lines = dict(self.lines)
        held, state, committed_for = self.held, self.state, self.committed_for
        expire_time = self.expire_time
        for event in events:
            key = event.key
            fact: Any = event.fact  # one of `FACTS`
            kind = type(fact)
            if kind is StockReserved:
                lines[key] = new(ReservedLine, (fact.quantity, 0, 0, 0))
                held += fact.quantity
            elif kind is ReservationExtended:
                expire_time = fact.expire_time
            elif kind in _ENDS:
                if kind is ReservationCommitted:
                    committed_for = committed_for or fact.order_id
                lines[key] = lines[key].end(fact.quantity, kind)
                held -= fact.quantity
                state = state if held else _ENDS[kind]
            else:
                raise AssertionError(f"{fact} has no meaning for a reservation")
        return type(self)(
            self.reservation_id,
            self.customer_id,
            self.reserved_for,
            committed_for,
            self.reference,
            self.create_time,
            expire_time,
            state,
            lines,
            held,
            events[-1].position,
        )


NOUN: Final = Noun(2, "reservation", ReservationId, FACTS, subject=Reservation)

_ENDS: Final = {
    ReservationCommitted: ReservationState.COMMITTED,
    ReservationReleased: ReservationState.RELEASED,
    ReservationExpired: ReservationState.EXPIRED,
}
"""The state of a reservation whose last held units ended with this fact."""
