"""Reservations and their lines; a reservation is keyed by its subject number."""

from collections.abc import Sequence
from typing import Final

import apsw

from inventory_grpc.application.queries.at_risk import AtRiskQuery
from inventory_grpc.application.queries.reservation import ReservationQuery
from inventory_grpc.application.queries.stock import StocksById
from inventory_grpc.domain.reservation_facts import FACTS
from inventory_grpc.domain.values import Instant, ReservationId
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.read_models.at_risk import list_at_risk
from inventory_grpc.infrastructure.read_models.read_model import ReadModel
from inventory_grpc.infrastructure.read_models.reservation_reads import (
    list_reservations,
    reservation_now,
    stocks_beside,
)
from inventory_grpc.infrastructure.rows.reservations import Changes
from inventory_grpc.infrastructure.sqlite.multirow import execute_with

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
  amended     INTEGER,           -- that of its last one, unless the reservation began with it
  since       INTEGER NOT NULL AS (ifnull(amended, first)),
  expire_time INTEGER,
  PRIMARY KEY (reservation, stream),
  CHECK (quantity = held + committed + released + expired)
) STRICT, WITHOUT ROWID;
CREATE INDEX lines_by_expiry ON reservation_lines (stream, expire_time)
  WHERE held > 0 AND expire_time IS NOT NULL;
CREATE INDEX lines_amended ON reservation_lines (stream, reservation) WHERE amended IS NOT NULL;
CREATE INDEX lines_waiting ON reservation_lines (stream, since) WHERE backordered > 0;
"""

_INSERT_RESERVATIONS: Final = "INSERT INTO reservations {}"
_ADD_TO_LINES: Final = (
    "INSERT INTO reservation_lines "
    "(reservation, stream, quantity, held, first, amended, expire_time) {} "
    "ON CONFLICT (reservation, stream) DO UPDATE SET "
    "quantity = quantity + excluded.quantity, held = held + excluded.held, "
    "amended = excluded.first, expire_time = excluded.expire_time"
)
_UPDATE_LINES: Final = (
    "WITH moved (reservation, stream, committed, released, expired) AS ({}) "
    "UPDATE reservation_lines AS line SET "
    "held = held - moved.committed - moved.released - moved.expired, "
    "committed = line.committed + moved.committed, released = line.released + moved.released, "
    "expired = line.expired + moved.expired "
    "FROM moved WHERE line.reservation = moved.reservation AND line.stream = moved.stream"
)
_UPDATE_WAITING_OR_FENCED: Final = (
    "UPDATE reservation_lines SET backordered = backordered + ?, fenced = fenced + ? "
    "WHERE reservation = ? AND stream = ?"
)
_UPDATE_RESERVATIONS: Final = (
    "WITH moved (reservation, state, order_id) AS ({}) "
    "UPDATE reservations SET order_id = ifnull(reservations.order_id, moved.order_id), "
    "state = iif(EXISTS (SELECT 1 FROM reservation_lines AS line "
    "WHERE line.reservation = moved.reservation AND held > 0), reservations.state, moved.state) "
    "FROM moved WHERE reservations.reservation = moved.reservation"
)


def _project(connection: apsw.Connection, recorded: Sequence[NumberedEvent]) -> None:
    changes = Changes.by(recorded)
    execute_with(connection, _INSERT_RESERVATIONS, changes.reservations)
    execute_with(connection, _ADD_TO_LINES, changes.lines)
    connection.executemany(_UPDATE_WAITING_OR_FENCED, changes.waiting_or_fenced)
    ended = [(*line, *units) for line, units in changes.ended.items()]
    execute_with(connection, _UPDATE_LINES, ended)
    reservations = [(number, *end) for number, end in changes.ended_reservations.items()]
    execute_with(connection, _UPDATE_RESERVATIONS, reservations)
    connection.executemany(
        "UPDATE reservations SET expire_time = ? WHERE reservation = ?",
        [(time, number) for number, time in changes.extended.items()],
    )
    connection.executemany(
        "UPDATE reservation_lines SET expire_time = ? WHERE reservation = ? AND stream = ?",
        [(time, *line) for line, time in changes.extended_lines.items()],
    )


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
