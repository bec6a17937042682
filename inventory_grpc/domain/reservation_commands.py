"""The commands on reservations: reserve a cart, commit, release and extend it."""

from collections.abc import Sequence
from typing import assert_never

from inventory_grpc.domain.book import Book
from inventory_grpc.domain.event import Change
from inventory_grpc.domain.refusals import (
    ExceedsReservation,
    InsufficientStock,
    InvalidValue,
    ReservationClosed,
    ReservationExists,
    ReservationNotFound,
    ShortLine,
    Violation,
)
from inventory_grpc.domain.reservation import (
    Reservation,
    ReservationCommitted,
    ReservationExtended,
    ReservationReleased,
    ReservationState,
    StockReserved,
)
from inventory_grpc.domain.values import (
    MAX_TTL,
    MIN_TTL,
    Cart,
    CustomerId,
    Expiration,
    Instant,
    Never,
    OrderId,
    ReservationId,
    StockId,
    Ttl,
    Until,
    immutable,
)


@immutable
class ReserveStock:
    """Promise every line of the cart to its customer, or none of them."""

    reservation_id: ReservationId
    customer_id: CustomerId
    order_id: OrderId | None
    cart: Cart
    expiration: Expiration

    @property
    def touches(self) -> Sequence[ReservationId | StockId]:
        return (self.reservation_id, *self.cart)

    @property
    def about(self) -> None:
        """Return nothing: the reservation is yet to be made."""

    def decide(self, book: Book) -> Sequence[Change]:
        reservation: Reservation | None = book.get(self.reservation_id)
        if reservation is not None:
            return self._reserved_before(reservation)
        time = _expire_time(self.expiration, book.now)
        short = [
            ShortLine(stock_id, quantity, available)
            for stock_id, quantity in self.cart.items()
            if quantity > (available := book.get(stock_id).levels.available)
        ]
        if short:
            raise InsufficientStock(short)
        name, customer, order = self.reservation_id, self.customer_id, self.order_id
        return [
            (stock_id, StockReserved(name, customer, order, quantity, time))
            for stock_id, quantity in self.cart.items()
        ]

    def _reserved_before(self, reservation: Reservation) -> Sequence[Change]:
        """Succeed without facts if *reservation* is the one asked for, and all there."""
        promised = {stock_id: line.quantity for stock_id, line in reservation.lines.items()}
        if (self.customer_id, self.order_id, dict(self.cart)) != (
            reservation.customer_id,
            reservation.reserved_for,
            promised,
        ):
            raise ReservationExists(self.reservation_id)
        if not reservation.is_untouched():
            raise ReservationClosed(self.reservation_id, reservation.state)
        return []


@immutable
class _OnReservation:
    reservation_id: ReservationId

    @property
    def touches(self) -> Sequence[ReservationId]:
        return (self.reservation_id,)

    @property
    def about(self) -> ReservationId:
        return self.reservation_id

    def _known(self, book: Book) -> Reservation:
        reservation: Reservation | None = book.get(self.reservation_id)
        if reservation is None:
            raise ReservationNotFound(self.reservation_id)
        return reservation


@immutable
class CommitReservation(_OnReservation):
    """Let promised goods leave, for the cart was paid. An empty cart means all that is held.

    First come, first served, also while there is a shortfall.
    """

    cart: Cart
    order_id: OrderId | None

    def decide(self, book: Book) -> Sequence[Change]:
        reservation = self._known(book)
        if not self.cart and reservation.state is ReservationState.COMMITTED:
            return []
        taken = _taken(self.cart, reservation)
        short = [
            ShortLine(stock_id, quantity, on_hand)
            for stock_id, quantity in taken.items()
            if quantity > (on_hand := book.get(stock_id).levels.on_hand)
        ]
        if short:
            raise InsufficientStock(short, counted="on hand")
        name, order = self.reservation_id, self.order_id
        return [
            (stock_id, ReservationCommitted(name, order, quantity))
            for stock_id, quantity in taken.items()
        ]


@immutable
class ReleaseReservation(_OnReservation):
    """Give back promised goods, for the cart was given up. An empty cart means all that is held."""

    cart: Cart

    def decide(self, book: Book) -> Sequence[Change]:
        reservation = self._known(book)
        if not self.cart and reservation.state in {
            ReservationState.RELEASED,
            ReservationState.EXPIRED,
        }:
            return []
        return [
            (stock_id, ReservationReleased(self.reservation_id, quantity))
            for stock_id, quantity in _taken(self.cart, reservation).items()
        ]


@immutable
class ExtendReservation(_OnReservation):
    """Keep what is still held until another time, earlier or later."""

    expiration: Expiration

    def decide(self, book: Book) -> Sequence[Change]:
        reservation = self._known(book)
        if not reservation.held:
            raise ReservationClosed(self.reservation_id, reservation.state)
        time = _expire_time(self.expiration, book.now)
        if time == reservation.expire_time:
            return []
        return [
            (stock_id, ReservationExtended(self.reservation_id, held, time))
            for stock_id, held in reservation.holds().items()
        ]


def _taken(cart: Cart, reservation: Reservation) -> dict[StockId, int]:
    """Return the units that *cart* takes out of *reservation*, by stock; an empty one takes all."""
    held = dict(reservation.holds())
    if not held:
        raise ReservationClosed(reservation.reservation_id, reservation.state)
    exceeding = [
        ShortLine(stock_id, quantity, held.get(stock_id, 0))
        for stock_id, quantity in cart.items()
        if quantity > held.get(stock_id, 0)
    ]
    if exceeding:
        raise ExceedsReservation(exceeding, reservation.reservation_id)
    return dict(cart) if cart else held


def _expire_time(expiration: Expiration, now: Instant) -> Instant | None:
    match expiration:
        case Never():
            return None
        case Ttl(span):
            return Instant(now + span)
        case Until(expire_time):
            if not MIN_TTL <= expire_time - now <= MAX_TTL:
                problem = (
                    "must be from 1 second to 30 days ahead of the server's time, "
                    f"which is {now.isoformat()}"
                )
                raise InvalidValue([Violation("expire_time", problem)])
            return expire_time
        case _:
            assert_never(expiration)
