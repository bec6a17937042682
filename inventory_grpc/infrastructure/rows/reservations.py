"""Rows of reservations and of their lines; a reservation is keyed by its subject number."""

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, Final, Self

from inventory_grpc.domain.event import Event
from inventory_grpc.domain.reservation import Reservation, ReservationState, ReservedLine
from inventory_grpc.domain.reservation_facts import (
    BackorderFilled,
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
    ProductId,
    ReservationId,
    StockId,
    StoreId,
)
from inventory_grpc.infrastructure.log.chain import NumberedEvent

Row = tuple[Any, ...]

_ACTIVE: Final = ReservationState.ACTIVE.value
_ENDS: Final = {
    ReservationCommitted: (ReservationState.COMMITTED.value, 1, 0, 0),
    ReservationReacquired: (ReservationState.COMMITTED.value, 1, 0, -1),
    ReservationReleased: (ReservationState.RELEASED.value, 0, 1, 0),
    ReservationExpired: (ReservationState.EXPIRED.value, 0, 0, 1),
}
"""The state of a reservation that holds nothing after the fact, and how many times its units are
committed, released and expired."""


class Changes:
    """The changes of the tables by the events of a batch."""

    def __init__(self) -> None:
        self.reservations = list[Row]()
        self.lines = list[Row]()
        """Units to add: reservation, stream, quantity, held, first, amended, expire time."""
        self.waiting_or_fenced = list[Row]()
        """In the order of the events, so that no number falls below 0 meanwhile."""
        self.ended: dict[tuple[int, int], tuple[int, ...]] = {}
        """The units of lines that are committed, released and expired."""
        self.ended_reservations: dict[int, tuple[str, OrderId | None]] = {}
        self.extended: dict[int, Instant | None] = {}
        self.extended_lines: dict[tuple[int, int], Instant | None] = {}

    @classmethod
    def by(cls, recorded: Sequence[NumberedEvent]) -> Self:
        """Return the changes by the events of whole commands."""
        changes = cls()
        for event, stream, number in recorded:
            if number is not None:
                changes._note(event, stream, number)
        return changes

    def _note(self, event: Event, stream: int, number: int) -> None:
        fact: Any = event.fact  # looked up by class: `match` takes twice as long
        kind = type(fact)
        if kind is StockReserved:
            units, time, position = fact.quantity, fact.expire_time, event.position
            # only lines of the command that made the reservation are as old as it; the parts of an
            # atomic batch have one position of their command, and other lines between theirs
            in_first = number == event.command_position and not event.cause.part
            amended = None if in_first or number == position else position
            self.lines.append((number, stream, units, units, position, amended, time))
            self.extended_lines.pop((number, stream), None)  # the line has the later time
            if fact.backordered or fact.fenced:
                self.waiting_or_fenced.append((fact.backordered, fact.fenced, number, stream))
            if position == number:
                about = fact.customer_id, fact.order_id, event.cause.reference
                times = event.record_time, time
                self.reservations.append((number, *about, _ACTIVE, *times, fact.channel))
        elif kind in _ENDS:
            self._end(fact, stream, number)
        elif kind is ReservationExtended:
            self.extended[number] = self.extended_lines[number, stream] = fact.expire_time
        elif kind is BackorderFilled:
            self.waiting_or_fenced.append((-fact.quantity, 0, number, stream))
        elif isinstance(fact, ReservationFact):
            raise AssertionError(f"{fact} has no projection")

    def _end(self, fact: Any, stream: int, number: int) -> None:  # noqa: ANN401  as above
        kind, line = type(fact), (number, stream)
        state, committed, released, expired = _ENDS[kind]
        units = fact.quantity
        moved = committed * units, released * units, expired * units
        if (before := self.ended.get(line)) is not None:
            moved = before[0] + moved[0], before[1] + moved[1], before[2] + moved[2]
        self.ended[line] = moved
        _, order_id = self.ended_reservations.get(number, (None, None))
        if kind is ReservationCommitted or kind is ReservationReacquired:
            order_id = order_id or fact.order_id
            if kind is ReservationCommitted and fact.fenced:
                self.waiting_or_fenced.append((0, -fact.fenced, number, stream))
        elif fact.backordered or fact.fenced:
            self.waiting_or_fenced.append((-fact.backordered, -fact.fenced, number, stream))
        self.ended_reservations[number] = state, order_id


_ROW_BYTES: Final = 80
"""The size of a reservation in a message, without its texts and lines."""
_LINE_BYTES: Final = 72
"""That of a line, without its product and store."""

LINE: Final = (
    "product_id, store_id, quantity, committed, released, expired, "
    "backordered, fenced, since, first"
)
"""The columns of a line that `reservation_of` reads."""


def reservation_of(row: Row, line_rows: Iterable[Row]) -> Reservation:
    """Return the reservation in a row, with its lines in the order in which they began."""
    number, reservation_id, customer_id, order_id, reference, state, *others = row
    create_time, expire_time, channel = others
    lines = {
        StockId(ProductId(product_id), StoreId(store_id)): ReservedLine(*units)
        for product_id, store_id, *units, _ in sorted(line_rows, key=itemgetter(-1))
    }
    return Reservation(
        reservation_id=ReservationId(reservation_id),
        customer_id=CustomerId(customer_id),
        reserved_for=OrderId(order_id) if order_id else None,
        committed_for=None,
        reference=reference,
        create_time=Instant(create_time),
        expire_time=None if expire_time is None else Instant(expire_time),
        state=ReservationState(state),
        lines=lines,
        held=sum(line.held for line in lines.values()),
        position=number,
        channel=Channel(channel) if channel else None,
    )


def size_of(row: Row, reservation: Reservation) -> int:
    """Return the bytes that *reservation* takes in a message, or somewhat more."""
    size = _ROW_BYTES + sum(len(text.encode()) for text in row if isinstance(text, str))
    ids = sum(len(product_id) + len(store_id) for product_id, store_id in reservation.lines)
    return size + ids + _LINE_BYTES * len(reservation.lines)
