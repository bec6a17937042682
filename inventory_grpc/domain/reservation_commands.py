"""The commands that reserve a cart, and that commit, release and extend a reservation."""

from collections.abc import Mapping, Sequence
from typing import assert_never

from inventory_grpc.domain.book import Book
from inventory_grpc.domain.catalogue import check_catalogue
from inventory_grpc.domain.event import Change
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.promises import PLAINLY, Asked, Mode, Promise, promises
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
from inventory_grpc.domain.reservation import Reservation, ReservationState, ReservedLine
from inventory_grpc.domain.reservation_facts import (
    ReservationCommitted,
    ReservationExtended,
    ReservationReacquired,
    ReservationReleased,
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
    asked: Asked = PLAINLY

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
        name, customer, order, channel = (
            self.reservation_id,
            self.customer_id,
            self.order_id,
            self.asked.channel,
        )
        # lines that are promised alike share their fact, which is then encoded once
        facts: dict[Promise, StockReserved] = {}
        changes: list[Change] = []
        for stock_id, promise in promises(book, self.cart, self.asked, {}).items():
            fact = facts.get(promise)
            if fact is None:
                units, backordered, fenced = promise
                fact = facts[promise] = StockReserved(
                    name, customer, order, units, time, backordered, channel, fenced
                )
            changes.append((stock_id, fact))
        return changes

    def _accept_existing(self, reservation: Reservation) -> Sequence[Change]:
        """Succeed without facts if *reservation* equals the requested one, and holds all of it.

        One that was promised in part equals the requested one if no line has more.
        """
        reserved = {stock_id: line.quantity for stock_id, line in reservation.lines.items()}
        existing = reservation.customer_id, reservation.reserved_for, reservation.channel
        same = existing == (self.customer_id, self.order_id, self.asked.channel)
        if self.asked.mode is Mode.ALL_OR_NOTHING:
            same = same and reserved == dict(self.cart)
        else:
            same = same and all(
                units <= self.cart.get(stock_id, 0) for stock_id, units in reserved.items()
            )
        if not same:
            raise ReservationExists(self.reservation_id)
        if not reservation.is_untouched():
            raise ReservationClosed(self.reservation_id, reservation.state)
        return []


@immutable
class OnReservation:
    reservation_id: ReservationId

    @property
    def touches(self) -> Sequence[ReservationId | StockId]:
        return (self.reservation_id,)

    @property
    def about(self) -> ReservationId:
        return self.reservation_id

    def reservation(self, book: Book) -> Reservation:
        reservation: Reservation | None = book.get(self.reservation_id)
        if reservation is None:
            raise ReservationNotFound(self.reservation_id)
        return reservation


@immutable
class CommitReservation(OnReservation):
    """Take paid units off hand. An empty cart means all held units.

    Units that wait for goods cannot be taken. Others are served in the order of arrival, even
    during a shortfall. With `reacquire`, units that have expired are taken if they can still be
    had, and nothing is held.
    """

    cart: Cart
    order_id: OrderId | None
    reacquire: bool = False

    def decide(self, book: Book) -> Sequence[Change]:
        reservation = self.reservation(book)
        if not self.cart and reservation.state is ReservationState.COMMITTED:
            return []
        if self.reacquire and not reservation.held:
            return self._reacquire(book, reservation)
        taken = _taken(self.cart, reservation)
        lines = reservation.lines
        book.require(taken)
        levels = {stock_id: book.get(stock_id).levels for stock_id in taken}
        if others := [one for one in taken if levels[one].particulars is not None]:
            waits = [one for one in others if lines[one].held - lines[one].backordered < taken[one]]
            book.fill_due(others, waits)
        short = [
            ShortLine(stock_id, quantity, there)
            for stock_id, quantity in taken.items()
            if quantity > (there := _committable(lines[stock_id], levels[stock_id]))
        ]
        if short:
            book.let_go_overdue(
                {line.stock_id: line.asked for line in short if _waits(reservation, line.stock_id)}
            )
            raise InsufficientStock(short, SELLABLE)
        name, order, channel = self.reservation_id, self.order_id, reservation.channel
        if channel is None:
            facts = {units: ReservationCommitted(name, order, units) for units in {*taken.values()}}
            return [(stock_id, facts[units]) for stock_id, units in taken.items()]
        fenced = {stock_id: line.fenced for stock_id, line in reservation.lines.items()}
        return [
            (
                stock_id,
                ReservationCommitted(name, order, units, channel, min(units, fenced[stock_id])),
            )
            for stock_id, units in taken.items()
        ]

    def _reacquire(self, book: Book, reservation: Reservation) -> Sequence[Change]:
        lines = reservation.lines.items()
        expired = {stock_id: line.expired for stock_id, line in lines if line.expired}
        if not expired:
            raise ReservationClosed(self.reservation_id, reservation.state)
        _check_held(self.cart, expired, self.reservation_id)
        wanted = self.cart or expired
        book.fill_due(wanted, needed=())
        name, order, channel = self.reservation_id, self.order_id, reservation.channel
        found = promises(book, wanted, Asked(channel, in_stock_only=True), {})
        return [
            (stock_id, ReservationReacquired(name, order, units, channel, fenced))
            for stock_id, (units, _, fenced) in found.items()
        ]


def _committable(line: ReservedLine, levels: Levels) -> int:
    """Return the held units that can be committed: sellable ones that do not wait."""
    if levels.particulars is None:
        return levels.on_hand
    waiting = line.backordered
    return min(line.held - waiting, levels.sellable) if waiting else levels.sellable


def _waits(reservation: Reservation, stock_id: StockId) -> bool:
    return reservation.lines[stock_id].backordered > 0


@immutable
class ReleaseReservation(OnReservation):
    """Make the units of an abandoned cart available again. An empty cart means all held units."""

    cart: Cart

    def decide(self, book: Book) -> Sequence[Change]:
        reservation = self.reservation(book)
        if not self.cart and reservation.state in {
            ReservationState.RELEASED,
            ReservationState.EXPIRED,
        }:
            return []
        lines = reservation.lines
        return [
            (stock_id, reservation.give_back(ReservationReleased, lines[stock_id], quantity))
            for stock_id, quantity in _taken(self.cart, reservation).items()
        ]


@immutable
class ExtendReservation(OnReservation):
    """Move the expire time of the held units, to an earlier or a later time."""

    expiration: Expiration

    def decide(self, book: Book) -> Sequence[Change]:
        reservation = self.reservation(book)
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
    _check_held(cart, held, reservation.reservation_id)
    return cart or held


def _check_held(cart: Cart, held: Mapping[StockId, int], name: ReservationId) -> None:
    """Refuse a *cart* with more units than are *held*."""
    exceeding = [
        ShortLine(stock_id, quantity, held.get(stock_id, 0))
        for stock_id, quantity in cart.items()
        if quantity > held.get(stock_id, 0)
    ]
    if exceeding:
        raise ExceedsReservation(exceeding, name)


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
