"""What follows from a command? Pure functions from a wish and the book to facts.

No clock, no randomness, no awaiting: the book says what time it is. Doing again what
is already so yields no facts, so a retry is not a special case. A refusal is raised
before there are any facts.
"""

from collections.abc import Sequence
from typing import Protocol, assert_never

from inventory_grpc.domain.commands import (
    AddStock,
    AdjustStock,
    ChangeBy,
    Command,
    CommitReservation,
    CountedAs,
    ExtendReservation,
    ReleaseReservation,
    RemoveStock,
    ReserveStock,
)
from inventory_grpc.domain.events import (
    Movement,
    ReservationCommitted,
    ReservationExpired,
    ReservationExtended,
    ReservationReleased,
    StockAdded,
    StockAdjusted,
    StockRemoved,
    StockReserved,
)
from inventory_grpc.domain.inventory import Inventory
from inventory_grpc.domain.refusals import (
    ExceedsReservation,
    InsufficientStock,
    InvalidValue,
    LevelTooHigh,
    ReservationClosed,
    ReservationExists,
    ReservationNotFound,
    ShortLine,
    VersionConflict,
    Violation,
)
from inventory_grpc.domain.reservation import Reservation, ReservationState
from inventory_grpc.domain.values import (
    MAX_LEVEL,
    MAX_TTL,
    MIN_TTL,
    Cart,
    Expiration,
    Instant,
    Never,
    ReservationId,
    StockId,
    Ttl,
    Until,
)


class Book(Protocol):
    """What a decision may read: the state folded from the log, and the time."""

    @property
    def now(self) -> Instant: ...

    def inventory(self, stock_id: StockId) -> Inventory: ...

    def reservation(self, reservation_id: ReservationId) -> Reservation | None: ...


def decide(command: Command, book: Book) -> Sequence[Movement]:
    """Return what *command* makes happen, or raise the refusal that says why nothing does."""
    match command:
        case AddStock():
            return add_stock(command, book)
        case RemoveStock():
            return remove_stock(command, book)
        case AdjustStock():
            return adjust_stock(command, book)
        case ReserveStock():
            return reserve_stock(command, book)
        case CommitReservation():
            return commit_reservation(command, book)
        case ReleaseReservation():
            return release_reservation(command, book)
        case ExtendReservation():
            return extend_reservation(command, book)
        case _:
            assert_never(command)


def add_stock(command: AddStock, book: Book) -> Sequence[Movement]:
    """Put units on hand."""
    inventory = _expected(command, book)
    _check_level(inventory, command.quantity)
    return [Movement(command.stock_id, StockAdded(command.quantity))]


def remove_stock(command: RemoveStock, book: Book) -> Sequence[Movement]:
    """Take units off hand that are promised to nobody."""
    inventory = _expected(command, book)
    if command.quantity > inventory.available:
        short = ShortLine(command.stock_id, command.quantity, inventory.available)
        raise InsufficientStock([short])
    return [Movement(command.stock_id, StockRemoved(command.quantity))]


def adjust_stock(command: AdjustStock, book: Book) -> Sequence[Movement]:
    """Record physical truth, also where it breaks promises; then the shortfall says so.

    A count that agrees with the book is recorded too: that somebody looked is a fact.
    """
    inventory = _expected(command, book)
    match command.adjustment:
        case ChangeBy(delta):
            fact = StockAdjusted(delta, counted=None)
        case CountedAs(on_hand):
            fact = StockAdjusted(on_hand - inventory.on_hand, counted=on_hand)
    if inventory.on_hand + fact.delta < 0:
        short = ShortLine(command.stock_id, -fact.delta, inventory.on_hand)
        raise InsufficientStock([short], counted="on hand")
    _check_level(inventory, fact.delta)
    return [Movement(command.stock_id, fact)]


def reserve_stock(command: ReserveStock, book: Book) -> Sequence[Movement]:
    """Promise every line of the cart to its customer, or none of them."""
    if reservation := book.reservation(command.reservation_id):
        return _reserved_before(command, reservation)
    expire_time = _expire_time(command.expiration, book.now)
    short = [
        ShortLine(stock_id, quantity, available)
        for stock_id, quantity in command.cart.items()
        if quantity > (available := book.inventory(stock_id).available)
    ]
    if short:
        raise InsufficientStock(short)
    name, customer, order = command.reservation_id, command.customer_id, command.order_id
    return [
        Movement(stock_id, StockReserved(name, customer, order, quantity, expire_time))
        for stock_id, quantity in command.cart.items()
    ]


def _reserved_before(command: ReserveStock, reservation: Reservation) -> Sequence[Movement]:
    """Succeed without facts if *reservation* is what *command* asks for, and all there."""
    asked = dict(command.cart)
    promised = {stock_id: line.quantity for stock_id, line in reservation.lines.items()}
    if (command.customer_id, command.order_id, asked) != (
        reservation.customer_id,
        reservation.reserved_for,
        promised,
    ):
        raise ReservationExists(command.reservation_id)
    if not reservation.is_untouched():
        raise ReservationClosed(command.reservation_id, reservation.state)
    return []


def commit_reservation(command: CommitReservation, book: Book) -> Sequence[Movement]:
    """Let what is promised leave: all that is held, or the lines that are named.

    First come, first served, also while there is a shortfall.
    """
    reservation = _known(command.reservation_id, book)
    if not command.cart and reservation.state is ReservationState.COMMITTED:
        return []
    taken = _taken(command.cart, reservation)
    short = [
        ShortLine(stock_id, quantity, on_hand)
        for stock_id, quantity in taken.items()
        if quantity > (on_hand := book.inventory(stock_id).on_hand)
    ]
    if short:
        raise InsufficientStock(short, counted="on hand")
    name, order = command.reservation_id, command.order_id
    return [
        Movement(stock_id, ReservationCommitted(name, order, quantity))
        for stock_id, quantity in taken.items()
    ]


def release_reservation(command: ReleaseReservation, book: Book) -> Sequence[Movement]:
    """Give back what is promised: all that is held, or the lines that are named."""
    reservation = _known(command.reservation_id, book)
    if not command.cart and reservation.state in {
        ReservationState.RELEASED,
        ReservationState.EXPIRED,
    }:
        return []
    return [
        Movement(stock_id, ReservationReleased(command.reservation_id, quantity))
        for stock_id, quantity in _taken(command.cart, reservation).items()
    ]


def extend_reservation(command: ExtendReservation, book: Book) -> Sequence[Movement]:
    """Keep what is still held until another time, earlier or later."""
    reservation = _known(command.reservation_id, book)
    if not reservation.held:
        raise ReservationClosed(command.reservation_id, reservation.state)
    expire_time = _expire_time(command.expiration, book.now)
    if expire_time == reservation.expire_time:
        return []
    return [
        Movement(stock_id, ReservationExtended(command.reservation_id, held, expire_time))
        for stock_id, held in reservation.holds().items()
    ]


def expire(reservation: Reservation) -> Sequence[Movement]:
    """Let go of all that *reservation* still holds: its time is over."""
    return [
        Movement(stock_id, ReservationExpired(reservation.reservation_id, held))
        for stock_id, held in reservation.holds().items()
    ]


def _expected(command: AddStock | RemoveStock | AdjustStock, book: Book) -> Inventory:
    """Return the stock, if it is at the version the caller has seen or did not name."""
    inventory = book.inventory(command.stock_id)
    expected = command.expected_version
    if expected is not None and expected != inventory.version:
        raise VersionConflict(expected, inventory.stock)
    return inventory


def _check_level(inventory: Inventory, delta: int) -> None:
    if inventory.on_hand + delta > MAX_LEVEL:
        raise LevelTooHigh(inventory.stock_id, inventory.on_hand + delta)


def _known(reservation_id: ReservationId, book: Book) -> Reservation:
    reservation = book.reservation(reservation_id)
    if reservation is None:
        raise ReservationNotFound(reservation_id)
    return reservation


def _taken(cart: Cart, reservation: Reservation) -> dict[StockId, int]:
    """Return what *cart* takes out of *reservation*, by stock; an empty one takes all."""
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
