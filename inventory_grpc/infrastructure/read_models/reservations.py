"""Reservations and their lines; a reservation is keyed by its subject number."""

from collections.abc import Sequence
from typing import Any, Final

import apsw

from inventory_grpc.application.queries.at_risk import AtRiskQuery
from inventory_grpc.application.queries.reservation import ReservationQuery
from inventory_grpc.application.queries.stock import StocksById
from inventory_grpc.domain.event import Event
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

_ACTIVE: Final = ReservationState.ACTIVE.value
_ENDS: Final = {
    ReservationCommitted: (ReservationState.COMMITTED.value, 1, 0, 0),
    ReservationReacquired: (ReservationState.COMMITTED.value, 1, 0, -1),
    ReservationReleased: (ReservationState.RELEASED.value, 0, 1, 0),
    ReservationExpired: (ReservationState.EXPIRED.value, 0, 0, 1),
}
"""The state of a reservation that holds nothing after the fact, and how many times its units are
committed, released and expired."""


def _project(connection: apsw.Connection, recorded: Sequence[NumberedEvent]) -> None:
    changes = _Changes()
    for event, stream, number in recorded:
        if number is not None:
            changes.note(event, stream, number)
    changes.apply(connection)


class _Changes:
    """The changes of the tables by the events of a batch."""

    def __init__(self) -> None:
        self._reservations = list[Row]()
        self._lines = list[Row]()
        self._waiting_or_fenced = list[Row]()
        """In the order of the events, so that no number falls below 0 meanwhile."""
        self._ended: dict[tuple[int, int], tuple[int, ...]] = {}
        self._ended_reservations: dict[int, tuple[str, OrderId | None]] = {}
        self._extended: dict[int, Instant | None] = {}
        self._extended_lines: dict[tuple[int, int], Instant | None] = {}

    def note(self, event: Event, stream: int, number: int) -> None:
        fact: Any = event.fact  # looked up by class: `match` takes twice as long
        kind = type(fact)
        if kind is StockReserved:
            units, time, position = fact.quantity, fact.expire_time, event.position
            # only lines of the command that made the reservation are as old as it; the parts of an
            # atomic batch have one position of their command, and other lines between theirs
            in_first = number == event.command_position and not event.cause.part
            amended = None if in_first or number == position else position
            self._lines.append((number, stream, units, units, position, amended, time))
            self._extended_lines.pop((number, stream), None)  # the line has the later time
            if fact.backordered or fact.fenced:
                self._waiting_or_fenced.append((fact.backordered, fact.fenced, number, stream))
            if position == number:
                about = fact.customer_id, fact.order_id, event.cause.reference
                times = event.record_time, time
                self._reservations.append((number, *about, _ACTIVE, *times, fact.channel))
        elif kind in _ENDS:
            self._end(fact, stream, number)
        elif kind is ReservationExtended:
            self._extended[number] = self._extended_lines[number, stream] = fact.expire_time
        elif kind is BackorderFilled:
            self._waiting_or_fenced.append((-fact.quantity, 0, number, stream))
        elif isinstance(fact, ReservationFact):
            raise AssertionError(f"{fact} has no projection")

    def _end(self, fact: Any, stream: int, number: int) -> None:  # noqa: ANN401  as above
        kind, line = type(fact), (number, stream)
        state, committed, released, expired = _ENDS[kind]
        units = fact.quantity
        moved = committed * units, released * units, expired * units
        if (before := self._ended.get(line)) is not None:
            moved = before[0] + moved[0], before[1] + moved[1], before[2] + moved[2]
        self._ended[line] = moved
        _, order_id = self._ended_reservations.get(number, (None, None))
        if kind is ReservationCommitted or kind is ReservationReacquired:
            order_id = order_id or fact.order_id
            if kind is ReservationCommitted and fact.fenced:
                self._waiting_or_fenced.append((0, -fact.fenced, number, stream))
        elif fact.backordered or fact.fenced:
            self._waiting_or_fenced.append((-fact.backordered, -fact.fenced, number, stream))
        self._ended_reservations[number] = state, order_id

    def apply(self, connection: apsw.Connection) -> None:
        execute_with(connection, _INSERT_RESERVATIONS, self._reservations)
        execute_with(connection, _ADD_TO_LINES, self._lines)
        connection.executemany(_UPDATE_WAITING_OR_FENCED, self._waiting_or_fenced)
        ended = [(*line, *units) for line, units in self._ended.items()]
        execute_with(connection, _UPDATE_LINES, ended)
        reservations = [(number, *end) for number, end in self._ended_reservations.items()]
        execute_with(connection, _UPDATE_RESERVATIONS, reservations)
        connection.executemany(
            "UPDATE reservations SET expire_time = ? WHERE reservation = ?",
            [(time, number) for number, time in self._extended.items()],
        )
        connection.executemany(
            "UPDATE reservation_lines SET expire_time = ? WHERE reservation = ? AND stream = ?",
            [(time, *line) for line, time in self._extended_lines.items()],
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
