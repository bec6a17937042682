"""The commands that reserve a cart, and that commit, release and extend a reservation."""

from collections.abc import Mapping, Sequence
from typing import assert_never

from inventory_grpc.domain.book import Book
from inventory_grpc.domain.catalogue import check_catalogue
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
    SELLABLE,
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
    """Reserve every line of the cart for the customer, or none of them."""

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
        """Return None: the command makes the reservation."""

    def decide(self, book: Book) -> Sequence[Change]:
        reservation: Reservation | None = book.get(self.reservation_id)
        if reservation is not None:
            return self._accept_existing(reservation)
        time = _expire_time(self.expiration, book.now)
        check_catalogue(book, self.cart)
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

    def _accept_existing(self, reservation: Reservation) -> Sequence[Change]:
        """Succeed without facts if *reservation* equals the requested one, and holds all of it."""
        reserved = {stock_id: line.quantity for stock_id, line in reservation.lines.items()}
        existing = reservation.customer_id, reservation.reserved_for, reserved
        if existing != (self.customer_id, self.order_id, dict(self.cart)):
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

    def _reservation(self, book: Book) -> Reservation:
        reservation: Reservation | None = book.get(self.reservation_id)
        if reservation is None:
            raise ReservationNotFound(self.reservation_id)
        return reservation


@immutable
class CommitReservation(_OnReservation):
    """Take paid units off hand. An empty cart means all held units.

    Commits are served in the order of arrival, even during a shortfall.
    """

    cart: Cart
    order_id: OrderId | None

    def decide(self, book: Book) -> Sequence[Change]:
        reservation = self._reservation(book)
        if not self.cart and reservation.state is ReservationState.COMMITTED:
            return []
        taken = _taken(self.cart, reservation)
        short = [
            ShortLine(stock_id, quantity, sellable)
            for stock_id, quantity in taken.items()
            if quantity > (sellable := book.get(stock_id).levels.sellable)
        ]
        if short:
            raise InsufficientStock(short, SELLABLE)
        name, order = self.reservation_id, self.order_id
        return [
            (stock_id, ReservationCommitted(name, order, quantity))
            for stock_id, quantity in taken.items()
        ]


@immutable
class ReleaseReservation(_OnReservation):
    """Make the units of an abandoned cart available again. An empty cart means all held units."""

    cart: Cart

    def decide(self, book: Book) -> Sequence[Change]:
        reservation = self._reservation(book)
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
    """Move the expire time of the held units, to an earlier or a later time."""

    expiration: Expiration

    def decide(self, book: Book) -> Sequence[Change]:
        reservation = self._reservation(book)
        if not reservation.held:
            raise ReservationClosed(self.reservation_id, reservation.state)
        time = _expire_time(self.expiration, book.now)
        if time == reservation.expire_time:
            return []
        return [
            (stock_id, ReservationExtended(self.reservation_id, held, time))
            for stock_id, held in reservation.holds().items()
        ]


def _taken(cart: Cart, reservation: Reservation) -> Mapping[StockId, int]:
    """Return the units by stock that *cart* takes from *reservation*; an empty cart takes all."""
    held = reservation.holds()
    if not held:
        raise ReservationClosed(reservation.reservation_id, reservation.state)
    exceeding = [
        ShortLine(stock_id, quantity, held.get(stock_id, 0))
        for stock_id, quantity in cart.items()
        if quantity > held.get(stock_id, 0)
    ]
    if exceeding:
        raise ExceedsReservation(exceeding, reservation.reservation_id)
    return cart or held


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
