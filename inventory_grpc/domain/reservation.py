"""A reservation, which keeps a cart for a customer: its state.

A reservation has no stream. Its state is folded from the stock events that have its id.
"""

from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple, Self, cast

from inventory_grpc.domain.book import Noun
from inventory_grpc.domain.event import Change, Event
from inventory_grpc.domain.refusals import ReservationNotFound
from inventory_grpc.domain.reservation_facts import (
    FACTS,
    BackorderFilled,
    GivenBack,
    ReservationCommitted,
    ReservationExpired,
    ReservationExtended,
    ReservationFact,
    ReservationReacquired,
    ReservationReleased,
    StockReserved,
)
from inventory_grpc.domain.values import (
    Channel,
    CustomerId,
    Instant,
    OrderId,
    ReservationId,
    StockId,
    new,
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
    backordered: int = 0
    """The held units that are recorded as waiting for goods."""
    fenced: int = 0
    """The held units that came out of the fence of the channel; none of them waits."""
    since: int = 0
    """The position of its last `StockReserved`: the older line is served first."""

    @property
    def held(self) -> int:
        return self.quantity - self.committed - self.released - self.expired

    def after(self, fact: ReservationFact, position: int) -> Self:
        """Return the line after *fact*, which has a meaning for it."""
        quantity, committed, released, expired, backordered, fenced, since = self
        kind, change = type(fact), cast("Any", fact)  # `match` takes twice as long
        if kind is ReservationCommitted:
            committed += change.quantity
            fenced -= change.fenced
        elif kind is ReservationReleased:
            released += change.quantity
            backordered -= change.backordered
            fenced -= change.fenced
        elif kind is ReservationExpired:
            expired += change.quantity
            backordered -= change.backordered
            fenced -= change.fenced
        elif kind is StockReserved:
            quantity += change.quantity
            backordered += change.backordered
            fenced += change.fenced
            since = position
        elif kind is ReservationReacquired:
            committed += change.quantity
            expired -= change.quantity
        elif kind is BackorderFilled:
            backordered -= change.quantity
        else:
            raise AssertionError(f"{fact} has no meaning for a line")
        values = (quantity, committed, released, expired, backordered, fenced, since)
        return new(type(self), values)

    def given_back(self, units: int) -> tuple[int, int]:
        """Return how many of *units* given back waited for goods, and how many were fenced.

        Those that wait go first, then the free ones, then the fenced ones.
        """
        backordered = min(units, self.backordered)
        free = self.held - self.backordered - self.fenced
        return backordered, max(0, units - backordered - free)


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
    channel: Channel | None = None
    """The channel for which the units were reserved, and whose fence they come from first."""

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
            channel=first.fact.channel,
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
            (stock_id, self.give_back(ReservationExpired, line, line.held))
            for stock_id, line in self.lines.items()
            if line.held
        ]

    def waiting(self, stream: StockId) -> tuple[int, int]:
        line = self.lines.get(stream)
        return (line.backordered, line.since) if line else (0, 0)

    def fill(self, stream: StockId, units: int) -> Sequence[Change]:
        return [(stream, BackorderFilled(self.reservation_id, units))]

    def give_back(self, kind: type[GivenBack], line: ReservedLine, units: int) -> GivenBack:
        """Return the fact that gives back *units* of *line*."""
        if line.backordered or self.channel is not None:
            backordered, fenced = line.given_back(units)
            return kind(self.reservation_id, units, backordered, self.channel, fenced)
        return kind(self.reservation_id, units)

    def evolve(self, events: Sequence[Event]) -> Self:
        lines = dict(self.lines)
        held, state, committed_for = self.held, self.state, self.committed_for
        expire_time = self.expire_time
        for event in events:
            key = event.key
            fact: Any = event.fact  # one of `FACTS`
            kind = type(fact)
            if kind is ReservationExtended:
                expire_time = fact.expire_time
                continue
            line = lines.get(key)
            if kind is StockReserved:
                if line is None:
                    units, waiting, fenced = fact.quantity, fact.backordered, fact.fenced
                    line = new(ReservedLine, (units, 0, 0, 0, waiting, fenced, event.position))
                else:
                    line = line.after(fact, event.position)
                held += fact.quantity
            else:
                assert line is not None, f"{fact} is of no line"
                line = line.after(fact, event.position)
                if kind is ReservationCommitted or kind is ReservationReacquired:
                    committed_for = committed_for or fact.order_id
                if kind in _ENDS:
                    held -= 0 if kind is ReservationReacquired else fact.quantity
                    state = state if held else _ENDS[kind]
            lines[key] = line
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
            self.channel,
        )


NOUN: Final = Noun(2, "reservation", ReservationId, FACTS, subject=Reservation)

_ENDS: Final = {
    ReservationCommitted: ReservationState.COMMITTED,
    ReservationReacquired: ReservationState.COMMITTED,
    ReservationReleased: ReservationState.RELEASED,
    ReservationExpired: ReservationState.EXPIRED,
}
"""The state of a reservation whose last held units ended with this fact."""
