"""Reservations and their lines; a reservation is keyed by its subject number."""

from collections.abc import Sequence
from typing import Any, Final

import apsw

from inventory_grpc.application.queries.reservation import ReservationQuery
from inventory_grpc.application.queries.stock import StocksById
from inventory_grpc.domain.reservation import (
    FACTS,
    ReservationCommitted,
    ReservationExpired,
    ReservationExtended,
    ReservationFact,
    ReservationReleased,
    ReservationState,
    StockReserved,
)
from inventory_grpc.domain.values import Instant, OrderId, ReservationId
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.read_models.read_model import ReadModel
from inventory_grpc.infrastructure.read_models.reservation_reads import (
    list_reservations,
    reservation_now,
    stocks_beside,
)
from inventory_grpc.infrastructure.sqlite.multirow import execute_with

Row = tuple[Any, ...]

_DDL: Final = """
CREATE TABLE reservations (
  reservation INTEGER PRIMARY KEY,
  customer_id TEXT    NOT NULL,
  order_id    TEXT,
  reference   TEXT    NOT NULL,
  state       TEXT    NOT NULL,
  create_time INTEGER NOT NULL,
  expire_time INTEGER
) STRICT;
CREATE INDEX reservations_of_customer ON reservations (customer_id);
CREATE INDEX reservations_for_order ON reservations (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX reservations_by_expiry ON reservations (expire_time)
  WHERE state = 'active' AND expire_time IS NOT NULL;

CREATE TABLE reservation_lines (
  reservation INTEGER NOT NULL,
  stream      INTEGER NOT NULL,
  quantity    INTEGER NOT NULL,
  held        INTEGER NOT NULL CHECK (held >= 0),
  committed   INTEGER NOT NULL DEFAULT 0,
  released    INTEGER NOT NULL DEFAULT 0,
  expired     INTEGER NOT NULL DEFAULT 0,
  expire_time INTEGER,
  PRIMARY KEY (reservation, stream),
  CHECK (quantity = held + committed + released + expired)
) STRICT, WITHOUT ROWID;
CREATE INDEX lines_of_stock ON reservation_lines (stream, reservation);
CREATE INDEX lines_by_expiry ON reservation_lines (stream, expire_time)
  WHERE held > 0 AND expire_time IS NOT NULL;
"""

_INSERT_RESERVATIONS: Final = "INSERT INTO reservations {}"
_INSERT_LINES: Final = (
    "INSERT INTO reservation_lines (reservation, stream, quantity, held, expire_time) {}"
)
_UPDATE_LINES: Final = (
    "WITH moved (reservation, stream, committed, released, expired) AS ({}) "
    "UPDATE reservation_lines AS line SET "
    "held = held - moved.committed - moved.released - moved.expired, "
    "committed = line.committed + moved.committed, released = line.released + moved.released, "
    "expired = line.expired + moved.expired "
    "FROM moved WHERE line.reservation = moved.reservation AND line.stream = moved.stream"
)
_UPDATE_RESERVATIONS: Final = (
    "WITH moved (reservation, state, order_id) AS ({}) "
    "UPDATE reservations SET order_id = ifnull(reservations.order_id, moved.order_id), "
    "state = iif(EXISTS (SELECT 1 FROM reservation_lines AS line "
    "WHERE line.reservation = moved.reservation AND held > 0), reservations.state, moved.state) "
    "FROM moved WHERE reservations.reservation = moved.reservation"
)

_ACTIVE: Final = ReservationState.ACTIVE.value
_ENDS: Final = {
    ReservationCommitted: (0, ReservationState.COMMITTED.value),
    ReservationReleased: (1, ReservationState.RELEASED.value),
    ReservationExpired: (2, ReservationState.EXPIRED.value),
}
"""The index of the units in `_UPDATE_LINES`, and the state of a reservation that holds none."""


def _project(connection: apsw.Connection, recorded: Sequence[NumberedEvent]) -> None:
    new_reservations, new_lines = list[Row](), list[Row]()
    ended_units: dict[tuple[int, int], list[int]] = {}
    ended_reservations: dict[int, tuple[str, OrderId | None]] = {}
    new_times: dict[int, Instant | None] = {}
    new_line_times: dict[tuple[int, int], Instant | None] = {}
    for event, stream, number in recorded:
        if number is None:
            continue
        fact: Any = event.fact  # looked up by class: `match` takes twice as long
        kind = type(fact)
        if kind is StockReserved:
            units, time = fact.quantity, fact.expire_time
            new_lines.append((number, stream, units, units, time))
            if event.position == number:
                about = fact.customer_id, fact.order_id, event.cause.reference
                new_reservations.append((number, *about, _ACTIVE, event.record_time, time))
        elif kind in _ENDS:
            place, state = _ENDS[kind]
            ended_units.setdefault((number, stream), [0, 0, 0])[place] += fact.quantity
            _, order_id = ended_reservations.get(number, (state, None))
            if kind is ReservationCommitted:
                order_id = order_id or fact.order_id
            ended_reservations[number] = state, order_id
        elif kind is ReservationExtended:
            new_times[number] = new_line_times[number, stream] = fact.expire_time
        elif isinstance(fact, ReservationFact):
            raise AssertionError(f"{fact} has no projection")
    execute_with(connection, _INSERT_RESERVATIONS, new_reservations)
    execute_with(connection, _INSERT_LINES, new_lines)
    execute_with(
        connection, _UPDATE_LINES, [(*line, *units) for line, units in ended_units.items()]
    )
    execute_with(
        connection,
        _UPDATE_RESERVATIONS,
        [(number, *end) for number, end in ended_reservations.items()],
    )
    connection.executemany(
        "UPDATE reservations SET expire_time = ? WHERE reservation = ?",
        [(time, number) for number, time in new_times.items()],
    )
    connection.executemany(
        "UPDATE reservation_lines SET expire_time = ? WHERE reservation = ? AND stream = ?",
        [(time, *line) for line, time in new_line_times.items()],
    )


def earliest_expiry(connection: apsw.Connection) -> Instant | None:
    """Return the earliest expire time of all holds, including overdue ones."""
    time: int | None = connection.execute(
        "SELECT min(expire_time) FROM reservations "
        "WHERE state = 'active' AND expire_time IS NOT NULL"
    ).get
    return None if time is None else Instant(time)


def due(connection: apsw.Connection, now: Instant, limit: int) -> Sequence[ReservationId]:
    """Return the reservations that are overdue at *now*, oldest first."""
    rows = connection.execute(
        "SELECT name FROM reservations CROSS JOIN subjects ON subject = reservation "
        "WHERE state = 'active' AND expire_time IS NOT NULL AND expire_time <= ? "
        "ORDER BY expire_time, reservation LIMIT ?",
        (now, limit),
    )
    return [ReservationId(name) for (name,) in rows]


def due_on(
    connection: apsw.Connection, stream: int, now: Instant, limit: int
) -> Sequence[ReservationId]:
    """Return the overdue reservations that hold units of a stock, oldest first."""
    rows = connection.execute(
        "SELECT name FROM reservation_lines CROSS JOIN subjects ON subject = reservation "
        "WHERE stream = ? AND held > 0 AND expire_time IS NOT NULL AND expire_time <= ? "
        "ORDER BY expire_time, reservation LIMIT ?",
        (stream, now, limit),
    )
    return [ReservationId(name) for (name,) in rows]


READ_MODEL: Final[ReadModel] = ReadModel(
    _DDL,
    _project,
    frozenset(FACTS),
    states={ReservationId: reservation_now},
    answers={ReservationQuery: list_reservations, StocksById: stocks_beside},
)
