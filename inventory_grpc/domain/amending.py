"""The command that changes what a reservation holds."""

from collections.abc import Sequence

from inventory_grpc.domain.book import Book
from inventory_grpc.domain.catalogue import check_catalogue
from inventory_grpc.domain.event import Change
from inventory_grpc.domain.promises import Asked, Promise, promises
from inventory_grpc.domain.refusals import CommandTooLarge, ReservationClosed
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.reservation_commands import OnReservation
from inventory_grpc.domain.reservation_facts import ReservationReleased, StockReserved
from inventory_grpc.domain.values import MAX_LINES, Cart, ReservationId, StockId, immutable


@immutable
class AmendReservation(OnReservation):
    """Have the reservation hold the units of the cart, and nothing else.

    Only the difference is taken or given back, all or nothing. What was committed stays so.
    """

    cart: Cart
    in_stock_only: bool = False
    """Whether no unit that is added may wait for goods."""

    @property
    def touches(self) -> Sequence[ReservationId | StockId]:
        return (self.reservation_id, *self.cart)

    def decide(self, book: Book) -> Sequence[Change]:
        reservation = self.reservation(book)
        if not reservation.held:
            raise ReservationClosed(self.reservation_id, reservation.state)
        held = reservation.holds()
        wanted = {**self.cart, **{stock_id: 0 for stock_id in held if stock_id not in self.cart}}
        changes = {
            stock_id: units - held.get(stock_id, 0)
            for stock_id, units in wanted.items()
            if units != held.get(stock_id, 0)
        }
        book.require(changes)
        more = {stock_id: units for stock_id, units in changes.items() if units > 0}
        check_catalogue(book, more)
        lines = reservation.lines
        waiting = [each for each in changes if each in lines and lines[each].backordered]
        book.fill_due(changes, waiting)
        found = promises(book, more, Asked(reservation.channel, self.in_stock_only), held)
        if (number := len(lines.keys() | more.keys())) > MAX_LINES:
            raise CommandTooLarge(number, MAX_LINES, "lines")
        return [
            (
                stock_id,
                self._added(reservation, found[stock_id])
                if units > 0
                else reservation.give_back(ReservationReleased, lines[stock_id], -units),
            )
            for stock_id, units in changes.items()
        ]

    def _added(self, reservation: Reservation, promise: Promise) -> StockReserved:
        units, backordered, fenced = promise
        return StockReserved(
            self.reservation_id,
            reservation.customer_id,
            reservation.reserved_for,
            units,
            reservation.expire_time,
            backordered,
            reservation.channel,
            fenced,
        )
