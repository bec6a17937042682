"""What may have happened?

The names of the facts and of their fields are what is stored, for ever: a fact or a
field is only ever added, and a new meaning is a new fact.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple, get_args

from inventory_grpc.domain.values import (
    CustomerId,
    Instant,
    OrderId,
    ReservationId,
    StockId,
)

Moves = tuple[int, int]
"""By how much a fact moves what is on hand, and what is reserved."""


@dataclass(frozen=True, slots=True)
class StockAdded:
    quantity: int

    @property
    def moves(self) -> Moves:
        return self.quantity, 0


@dataclass(frozen=True, slots=True)
class StockRemoved:
    quantity: int

    @property
    def moves(self) -> Moves:
        return -self.quantity, 0


@dataclass(frozen=True, slots=True)
class StockAdjusted:
    """`counted` is the on hand that was asked for, where one was."""

    delta: int
    counted: int | None

    @property
    def moves(self) -> Moves:
        return self.delta, 0


@dataclass(frozen=True, slots=True)
class StockReserved:
    """`expire_time` is the first moment at which the hold no longer counts."""

    reservation_id: ReservationId
    customer_id: CustomerId
    order_id: OrderId | None
    quantity: int
    expire_time: Instant | None

    @property
    def moves(self) -> Moves:
        return 0, self.quantity


@dataclass(frozen=True, slots=True)
class ReservationCommitted:
    reservation_id: ReservationId
    order_id: OrderId | None
    quantity: int

    @property
    def moves(self) -> Moves:
        return -self.quantity, -self.quantity


@dataclass(frozen=True, slots=True)
class ReservationReleased:
    reservation_id: ReservationId
    quantity: int

    @property
    def moves(self) -> Moves:
        return 0, -self.quantity


@dataclass(frozen=True, slots=True)
class ReservationExpired:
    reservation_id: ReservationId
    quantity: int

    @property
    def moves(self) -> Moves:
        return 0, -self.quantity


@dataclass(frozen=True, slots=True)
class ReservationExtended:
    """`quantity` is what the line still held."""

    reservation_id: ReservationId
    quantity: int
    expire_time: Instant | None

    @property
    def moves(self) -> Moves:
        return 0, 0


StockFact = StockAdded | StockRemoved | StockAdjusted
ReservationFact = (
    StockReserved
    | ReservationCommitted
    | ReservationReleased
    | ReservationExpired
    | ReservationExtended
)
Fact = StockFact | ReservationFact
FACTS: Final[tuple[type[Fact], ...]] = get_args(Fact)


class Movement(NamedTuple):
    """What a decision says should be recorded: one fact of one stock."""

    stock_id: StockId
    fact: Fact


class Cause(NamedTuple):
    """Who asked, under which request, and why. Empty where nobody said."""

    request_id: str = ""
    actor: str = ""
    reason: str = ""
    reference: str = ""
    occur_time: Instant | None = None


class Levels(NamedTuple):
    """How much of a stock there is, and how much of it is promised."""

    on_hand: int
    reserved: int

    @property
    def available(self) -> int:
        """What a reserve may take now."""
        spare = self.on_hand - self.reserved
        return spare if spare > 0 else 0  # noqa: FURB136  half the time, at every event

    @property
    def shortfall(self) -> int:
        """What is promised and cannot be met."""
        lacking = self.reserved - self.on_hand
        return lacking if lacking > 0 else 0  # noqa: FURB136  as above


class Event(NamedTuple):
    """A fact in its place in the log: what happened, when, why, and what was so after it."""

    position: int
    command_position: int
    stock_id: StockId
    version: int
    record_time: Instant
    cause: Cause
    fact: Fact
    after: Levels
