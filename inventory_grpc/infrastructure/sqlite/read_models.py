"""What do events change in the tables that queries read?

Made from events alone, so that the same code keeps the tables current, makes them
again, and checks them.
"""

from collections.abc import Sequence
from typing import assert_never

import apsw

from inventory_grpc.application.failpoints import reach
from inventory_grpc.domain.events import (
    Event,
    ReservationCommitted,
    ReservationExpired,
    ReservationExtended,
    ReservationReleased,
    StockAdded,
    StockAdjusted,
    StockRemoved,
    StockReserved,
)
from inventory_grpc.domain.reservation import ReservationState
from inventory_grpc.infrastructure.sqlite.events import Recorded


def project(connection: apsw.Connection, recorded: Sequence[Recorded]) -> None:
    """Move the tables by the events of one command."""
    connection.executemany(
        "INSERT INTO stocks VALUES (?, ?, ?, ?, ?) ON CONFLICT (stream) DO UPDATE SET "
        "on_hand = excluded.on_hand, reserved = excluded.reserved, "
        "version = excluded.version, update_time = excluded.update_time",
        [(stream, *event.after, event.version, event.record_time) for event, stream, _ in recorded],
    )
    reach("projection_step")
    for event, stream, reservation in recorded:
        if reservation is not None:
            _move_line(connection, event, stream, reservation)
    event, _, reservation = recorded[-1]
    if reservation is not None:
        _move_reservation(connection, event, reservation)


def _move_line(connection: apsw.Connection, event: Event, stream: int, reservation: int) -> None:
    line = (reservation, stream)
    match event.fact:
        case StockReserved(quantity=units, expire_time=expire_time):
            connection.execute(
                "INSERT INTO reservation_lines "
                "(reservation, stream, quantity, held, expire_time) VALUES (?, ?, ?, ?, ?)",
                (*line, units, units, expire_time),
            )
        case ReservationCommitted(quantity=units):
            _let_go(connection, "committed", units, line)
        case ReservationReleased(quantity=units):
            _let_go(connection, "released", units, line)
        case ReservationExpired(quantity=units):
            _let_go(connection, "expired", units, line)
        case ReservationExtended(expire_time=expire_time):
            connection.execute(
                "UPDATE reservation_lines SET expire_time = ? WHERE reservation = ? AND stream = ?",
                (expire_time, *line),
            )
        case StockAdded() | StockRemoved() | StockAdjusted():
            raise AssertionError(f"{event.fact} belongs to no reservation")
        case _:
            assert_never(event.fact)


def _let_go(connection: apsw.Connection, end: str, units: int, line: tuple[int, int]) -> None:
    connection.execute(
        f"UPDATE reservation_lines SET held = held - ?, {end} = {end} + ? "  # noqa: S608  one of three words of ours
        "WHERE reservation = ? AND stream = ?",
        (units, units, *line),
    )


def _move_reservation(connection: apsw.Connection, event: Event, reservation: int) -> None:
    """Move the reservation by the last event of a command; all of its events are of one kind."""
    match event.fact:
        case StockReserved() as fact:
            connection.execute(
                "INSERT INTO reservations VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    reservation,
                    fact.reservation_id,
                    fact.customer_id,
                    fact.order_id,
                    event.cause.reference,
                    ReservationState.ACTIVE.value,
                    event.record_time,
                    fact.expire_time,
                ),
            )
        case ReservationCommitted(order_id=order_id):
            if order_id is not None:
                connection.execute(
                    "UPDATE reservations SET order_id = ? "
                    "WHERE reservation = ? AND order_id IS NULL",
                    (order_id, reservation),
                )
            _close_if_empty(connection, ReservationState.COMMITTED, reservation)
        case ReservationReleased():
            _close_if_empty(connection, ReservationState.RELEASED, reservation)
        case ReservationExpired():
            _close_if_empty(connection, ReservationState.EXPIRED, reservation)
        case ReservationExtended(expire_time=expire_time):
            connection.execute(
                "UPDATE reservations SET expire_time = ? WHERE reservation = ?",
                (expire_time, reservation),
            )
        case StockAdded() | StockRemoved() | StockAdjusted():
            raise AssertionError(f"{event.fact} belongs to no reservation")
        case _:
            assert_never(event.fact)


def _close_if_empty(connection: apsw.Connection, state: ReservationState, reservation: int) -> None:
    connection.execute(
        "UPDATE reservations SET state = ? WHERE reservation = ? AND NOT EXISTS "
        "(SELECT 1 FROM reservation_lines WHERE reservation = ? AND held > 0)",
        (state.value, reservation, reservation),
    )
