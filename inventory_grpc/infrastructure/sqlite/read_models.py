"""What do events change in the tables that queries read?

Made from events alone, so that the same code keeps the tables current, makes them
again, and checks them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import apsw

from inventory_grpc.application.failpoints import reach
from inventory_grpc.domain.event import Event
from inventory_grpc.domain.reservation import (
    ReservationCommitted,
    ReservationExpired,
    ReservationExtended,
    ReservationReleased,
    ReservationState,
    StockReserved,
)
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.sqlite.events import Recorded
from inventory_grpc.infrastructure.sqlite.rows import Row, execute_with

_STOCKS: Final = (
    "INSERT INTO stocks {} ON CONFLICT (stream) DO UPDATE SET "
    "on_hand = excluded.on_hand, reserved = excluded.reserved, "
    "version = excluded.version, update_time = excluded.update_time"
)
_NEW_RESERVATIONS: Final = "INSERT INTO reservations {}"
_NEW_LINES: Final = (
    "INSERT INTO reservation_lines (reservation, stream, quantity, held, expire_time) {}"
)
_MOVED_LINES: Final = (
    "WITH moved (reservation, stream, committed, released, expired) AS ({}) "
    "UPDATE reservation_lines AS line SET "
    "held = held - moved.committed - moved.released - moved.expired, "
    "committed = line.committed + moved.committed, released = line.released + moved.released, "
    "expired = line.expired + moved.expired "
    "FROM moved WHERE line.reservation = moved.reservation AND line.stream = moved.stream"
)
_MOVED_RESERVATIONS: Final = (
    "WITH moved (reservation, state, order_id) AS ({}) "
    "UPDATE reservations SET order_id = ifnull(reservations.order_id, moved.order_id), "
    "state = iif(EXISTS (SELECT 1 FROM reservation_lines AS line "
    "WHERE line.reservation = moved.reservation AND held > 0), reservations.state, moved.state) "
    "FROM moved WHERE reservations.reservation = moved.reservation"
)


@dataclass(slots=True)
class _Ends:
    """How many units of a line have met which end."""

    committed: int = 0
    released: int = 0
    expired: int = 0


@dataclass(slots=True)
class _Closing:
    """What a reservation becomes if it holds nothing any more, and the order it was first for."""

    state: ReservationState
    order_id: str | None


@dataclass(slots=True)
class Movements:
    """What events change, gathered to be written at once."""

    _stocks: dict[int, Row] = field(default_factory=dict)
    _new_reservations: list[Row] = field(default_factory=list)
    _new_lines: list[Row] = field(default_factory=list)
    _ends: dict[tuple[int, int], _Ends] = field(default_factory=dict)
    _closing: dict[int, _Closing] = field(default_factory=dict)
    _extended: dict[int, Instant | None] = field(default_factory=dict)
    _extended_lines: dict[tuple[int, int], Instant | None] = field(default_factory=dict)

    def gather(self, recorded: Sequence[Recorded]) -> None:
        """Take in the events of commands; those of one on a reservation are all of one kind."""
        on_reservations: dict[int, tuple[Event, int]] = {}
        for event, stream, reservation in recorded:
            self._stocks[stream] = (stream, *event.after, event.version, event.record_time)
            if reservation is not None:
                self._move_line(event, stream, reservation)
                on_reservations[event.command_position] = event, reservation
        for event, reservation in on_reservations.values():
            self._move_reservation(event, reservation)

    def _move_line(self, event: Event, stream: int, reservation: int) -> None:
        match event.fact:
            case StockReserved(quantity=units, expire_time=expire_time):
                self._new_lines.append((reservation, stream, units, units, expire_time))
            case ReservationCommitted(quantity=units):
                self._ends_of(reservation, stream).committed += units
            case ReservationReleased(quantity=units):
                self._ends_of(reservation, stream).released += units
            case ReservationExpired(quantity=units):
                self._ends_of(reservation, stream).expired += units
            case ReservationExtended(expire_time=expire_time):
                self._extended_lines[reservation, stream] = expire_time
            case _:
                raise AssertionError(f"{event.fact} belongs to no reservation")

    def _ends_of(self, reservation: int, stream: int) -> _Ends:
        return self._ends.setdefault((reservation, stream), _Ends())

    def _move_reservation(self, event: Event, reservation: int) -> None:
        match event.fact:
            case StockReserved() as fact:
                self._new_reservations.append(
                    (
                        reservation,
                        fact.customer_id,
                        fact.order_id,
                        event.cause.reference,
                        ReservationState.ACTIVE.value,
                        event.record_time,
                        fact.expire_time,
                    )
                )
            case ReservationCommitted(order_id=order_id):
                self._let_go(reservation, ReservationState.COMMITTED, order_id)
            case ReservationReleased():
                self._let_go(reservation, ReservationState.RELEASED)
            case ReservationExpired():
                self._let_go(reservation, ReservationState.EXPIRED)
            case ReservationExtended(expire_time=expire_time):
                self._extended[reservation] = expire_time
            case _:
                raise AssertionError(f"{event.fact} belongs to no reservation")

    def _let_go(
        self, reservation: int, state: ReservationState, order_id: str | None = None
    ) -> None:
        closing = self._closing.setdefault(reservation, _Closing(state, order_id))
        closing.state = state
        closing.order_id = closing.order_id or order_id

    def write(self, connection: apsw.Connection) -> None:
        """Move the tables."""
        execute_with(connection, _STOCKS, [*self._stocks.values()])
        reach("projection_step")
        execute_with(connection, _NEW_RESERVATIONS, self._new_reservations)
        execute_with(connection, _NEW_LINES, self._new_lines)
        moved = [
            (*line, ends.committed, ends.released, ends.expired)
            for line, ends in self._ends.items()
        ]
        execute_with(connection, _MOVED_LINES, moved)
        closing = [
            (reservation, closing.state.value, closing.order_id)
            for reservation, closing in self._closing.items()
        ]
        execute_with(connection, _MOVED_RESERVATIONS, closing)
        connection.executemany(
            "UPDATE reservations SET expire_time = ? WHERE reservation = ?",
            [(time, reservation) for reservation, time in self._extended.items()],
        )
        connection.executemany(
            "UPDATE reservation_lines SET expire_time = ? WHERE reservation = ? AND stream = ?",
            [(time, *line) for line, time in self._extended_lines.items()],
        )
