"""Reservations and their lines; a reservation is keyed by its subject number."""

from collections.abc import Sequence
from typing import Any, Final

import apsw

from inventory_grpc.application.queries.at_risk import AtRiskQuery
from inventory_grpc.application.queries.reservation import ReservationQuery
from inventory_grpc.application.queries.stock import StocksById
from inventory_grpc.domain.reservation import ReservationState
from inventory_grpc.domain.reservation_facts import (
    FACTS,
    BackorderFilled,
    ReservationCommitted,
    ReservationExpired,
    ReservationExtended,
    ReservationFact,
    ReservationReacquired,
    ReservationReleased,
    StockReserved,
)
from inventory_grpc.domain.values import Instant, OrderId, ReservationId
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.read_models.at_risk import list_at_risk
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
  expire_time INTEGER,
  channel     TEXT
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
  backordered INTEGER NOT NULL DEFAULT 0 CHECK (backordered >= 0),
  fenced      INTEGER NOT NULL DEFAULT 0 CHECK (fenced >= 0),
  first       INTEGER NOT NULL,  -- the position of its first `StockReserved`
  amended     INTEGER,           -- that of its last one, if the reservation is older
  since       INTEGER NOT NULL AS (ifnull(amended, first)),
  expire_time INTEGER,
  PRIMARY KEY (reservation, stream),
  CHECK (quantity = held + committed + released + expired)
) STRICT, WITHOUT ROWID;
CREATE INDEX lines_of_stock ON reservation_lines (stream, reservation);
CREATE INDEX lines_by_expiry ON reservation_lines (stream, expire_time)
  WHERE held > 0 AND expire_time IS NOT NULL;
CREATE INDEX lines_amended ON reservation_lines (stream, amended) WHERE amended IS NOT NULL;
CREATE INDEX lines_waiting ON reservation_lines (stream, since) WHERE backordered > 0;
"""

_INSERT_RESERVATIONS: Final = "INSERT INTO reservations {}"
_ADD_TO_LINES: Final = (
    "INSERT INTO reservation_lines "
    "(reservation, stream, quantity, held, backordered, fenced, first, amended, expire_time) {} "
    "ON CONFLICT (reservation, stream) DO UPDATE SET "
    "quantity = quantity + excluded.quantity, held = held + excluded.held, "
    "backordered = backordered + excluded.backordered, fenced = fenced + excluded.fenced, "
    "amended = ifnull(excluded.amended, excluded.first), expire_time = excluded.expire_time"
)
_UPDATE_LINES: Final = (
    "WITH moved (reservation, stream, held, committed, released, expired, backordered, fenced) "
    "AS ({}) UPDATE reservation_lines AS line SET "
    "held = line.held + moved.held, committed = line.committed + moved.committed, "
    "released = line.released + moved.released, expired = line.expired + moved.expired, "
    "backordered = line.backordered + moved.backordered, fenced = line.fenced + moved.fenced "
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
    ReservationCommitted: ReservationState.COMMITTED.value,
    ReservationReacquired: ReservationState.COMMITTED.value,
    ReservationReleased: ReservationState.RELEASED.value,
    ReservationExpired: ReservationState.EXPIRED.value,
}
"""The state of a reservation that holds nothing after the fact."""


def _project(connection: apsw.Connection, recorded: Sequence[NumberedEvent]) -> None:
    new_reservations = list[Row]()
    added: dict[tuple[int, int], Row] = {}
    moved: dict[tuple[int, int], list[int]] = {}
    ended_reservations: dict[int, tuple[str, OrderId | None]] = {}
    new_times: dict[int, Instant | None] = {}
    new_line_times: dict[tuple[int, int], Instant | None] = {}
    for event, stream, number in recorded:
        if number is None:
            continue
        fact: Any = event.fact  # looked up by class: `match` takes twice as long
        kind = type(fact)
        if kind is StockReserved:
            line = number, stream
            is_first = number in {event.command_position, event.position}
            added[line] = _added(added.get(line), fact, event.position, is_first=is_first)
            if event.position == number:
                about = fact.customer_id, fact.order_id, event.cause.reference
                times = event.record_time, fact.expire_time
                new_reservations.append((number, *about, _ACTIVE, *times, fact.channel))
        elif kind is ReservationExtended:
            new_times[number] = new_line_times[number, stream] = fact.expire_time
        elif isinstance(fact, ReservationFact):
            units = moved.setdefault((number, stream), [0, 0, 0, 0, 0, 0])
            for place, change in enumerate(_moves(fact)):
                units[place] += change
            if kind in _ENDS:
                _, order_id = ended_reservations.get(number, (None, None))
                if isinstance(fact, ReservationCommitted | ReservationReacquired):
                    order_id = order_id or fact.order_id
                ended_reservations[number] = _ENDS[kind], order_id
    execute_with(connection, _INSERT_RESERVATIONS, new_reservations)
    execute_with(connection, _ADD_TO_LINES, [(*line, *row) for line, row in added.items()])
    execute_with(connection, _UPDATE_LINES, [(*line, *units) for line, units in moved.items()])
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


def _added(before: Row | None, fact: StockReserved, position: int, *, is_first: bool) -> Row:
    """Return the values of a line in `_ADD_TO_LINES`, with *fact* added to those *before*.

    Only lines of the reservation's first command are as old as the reservation.
    """
    units, waiting, fenced = fact.quantity, fact.backordered, fact.fenced
    if before is None:
        amended = None if is_first else position
        return units, units, waiting, fenced, position, amended, fact.expire_time
    quantity, held, backordered, taken, first, *_ = before
    sums = quantity + units, held + units, backordered + waiting, taken + fenced
    return *sums, first, position, fact.expire_time


def _moves(fact: ReservationFact) -> Sequence[int]:
    """Return the changes of a line: held, committed, released, expired, backordered, fenced."""
    match fact:
        case ReservationCommitted(_, _, units, _, fenced):
            return -units, units, 0, 0, 0, -fenced
        case ReservationReacquired(_, _, units):
            return 0, units, 0, -units, 0, 0
        case ReservationReleased(_, units, waiting, _, fenced):
            return -units, 0, units, 0, -waiting, -fenced
        case ReservationExpired(_, units, waiting, _, fenced):
            return -units, 0, 0, units, -waiting, -fenced
        case BackorderFilled(_, units):
            return 0, 0, 0, 0, -units, 0
    raise AssertionError(f"{fact} has no projection")


EARLIEST_EXPIRY: Final = (
    "SELECT min(expire_time) FROM reservations WHERE state = 'active' AND expire_time IS NOT NULL"
)
"""Selects the earliest expire time of all holds, including overdue ones."""


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


def waiting_on(connection: apsw.Connection, stream: int, limit: int) -> Sequence[ReservationId]:
    """Return the reservations that wait for goods of a stock, in the order of their lines."""
    rows = connection.execute(
        "SELECT name FROM reservation_lines CROSS JOIN subjects ON subject = reservation "
        "WHERE stream = ? AND backordered > 0 ORDER BY since LIMIT ?",
        (stream, limit),
    )
    return [ReservationId(name) for (name,) in rows]


READ_MODEL: Final[ReadModel] = ReadModel(
    _DDL,
    _project,
    frozenset(FACTS),
    states={ReservationId: reservation_now},
    answers={
        ReservationQuery: list_reservations,
        StocksById: stocks_beside,
        AtRiskQuery: list_at_risk,
    },
)
