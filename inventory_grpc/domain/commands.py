"""What may be asked of the inventory?

A command is one caller's wish, already well formed: which stock, how much, for whom.
Who sent it and why is its `Cause`, which travels beside it into the events.
"""

from dataclasses import dataclass

from inventory_grpc.domain.values import (
    Cart,
    CustomerId,
    Expiration,
    OrderId,
    Quantity,
    ReservationId,
    StockId,
)


@dataclass(frozen=True, slots=True)
class AddStock:
    """Goods have arrived."""

    stock_id: StockId
    quantity: Quantity
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class RemoveStock:
    """Goods leave, without having been promised to anybody."""

    stock_id: StockId
    quantity: Quantity
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class ChangeBy:
    """Correct what is on hand by so much; not zero."""

    delta: int


@dataclass(frozen=True, slots=True)
class CountedAs:
    """Set what is on hand to what was counted."""

    on_hand: int


@dataclass(frozen=True, slots=True)
class AdjustStock:
    """What is on hand is not what the book says."""

    stock_id: StockId
    adjustment: ChangeBy | CountedAs
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class ReserveStock:
    """A customer wants a cart kept, all of it or nothing."""

    reservation_id: ReservationId
    customer_id: CustomerId
    order_id: OrderId | None
    cart: Cart
    expiration: Expiration


@dataclass(frozen=True, slots=True)
class CommitReservation:
    """The cart was paid: its goods leave. An empty cart means all that is held."""

    reservation_id: ReservationId
    cart: Cart
    order_id: OrderId | None


@dataclass(frozen=True, slots=True)
class ReleaseReservation:
    """The cart was given up. An empty cart means all that is held."""

    reservation_id: ReservationId
    cart: Cart


@dataclass(frozen=True, slots=True)
class ExtendReservation:
    """The cart is to be kept until another time, earlier or later."""

    reservation_id: ReservationId
    expiration: Expiration


StockCommand = AddStock | RemoveStock | AdjustStock
ReservationCommand = ReserveStock | CommitReservation | ReleaseReservation | ExtendReservation
Command = StockCommand | ReservationCommand
