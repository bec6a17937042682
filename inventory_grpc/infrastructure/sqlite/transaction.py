"""What does the writer see and do inside one transaction?"""

from collections.abc import Collection, Sequence
from typing import Final

import apsw

from inventory_grpc.application.ledger.states import reservation_fact
from inventory_grpc.application.ports import Answered, Head, KeptTime, RequestKey
from inventory_grpc.domain.event import Event
from inventory_grpc.domain.reservation import Reservation, StockReserved
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import Instant, ReservationId, StockId
from inventory_grpc.infrastructure.log import states_json
from inventory_grpc.infrastructure.sqlite import events as log
from inventory_grpc.infrastructure.sqlite import kept_time
from inventory_grpc.infrastructure.sqlite.numbers import Numbers, NumbersGiven
from inventory_grpc.infrastructure.sqlite.rows import select_with
from inventory_grpc.infrastructure.sqlite.stocks import find_stocks
from inventory_grpc.infrastructure.sqlite.unwritten import Unwritten

SNAPSHOT_EVERY: Final = 500
"""A fold of a reservation that read more events leaves a snapshot."""

_NO_END: Final = 2**62
_ANSWERED: Final = (
    "WITH asked (actor, request_id) AS ({}) "
    "SELECT actor, request_id, fingerprint, position, outcome, record_time "
    "FROM asked CROSS JOIN requests USING (actor, request_id)"
)


class SqliteTransaction:
    """A `Transaction` on the writer's connection."""

    def __init__(
        self, connection: apsw.Connection, log_id: str, numbers: Numbers, *, writable: bool
    ) -> None:
        self._connection = connection
        self._log_id = log_id
        self._numbers = NumbersGiven(connection, numbers)
        self._writable = writable
        self._tail = log.read_tail(connection, log_id)
        self._unwritten = Unwritten()
        self._looked_up: dict[StockId, Inventory] = {}
        self._answered: dict[RequestKey, Answered | None] = {}
        self._earliest_expiry: Instant | None = None
        self._knows_expiry = False
        self.appended = False

    def head(self) -> Head:
        self.write()
        return Head(self._tail.position, self._tail.record_time)

    @property
    def end(self) -> tuple[int, bytes]:
        """Return where the log ends in the tables, and the hash there."""
        return self._tail.position, self._tail.hash

    def write(self) -> None:
        """Have everything in the tables that was appended and remembered."""
        if self._unwritten:
            unwritten, self._unwritten = self._unwritten, Unwritten()
            self._tail = unwritten.write(self._connection, self._log_id, self._tail)

    def committed(self) -> None:
        """Stand by the numbers that were given: they are those of the file now."""
        self._numbers.keep()

    def kept_time(self) -> KeptTime | None:
        return kept_time.read(self._connection)

    def keep_time(self, time: KeptTime) -> None:
        if self._writable:
            kept_time.write(self._connection, time)

    def events_after(self, position: int, limit: int) -> Sequence[Event]:
        self.write()
        return list(log.events_after(self._connection, position, limit))

    def command(self, position: int) -> Sequence[Event]:
        self.write()
        return log.events_of_command(self._connection, position)

    def inventory(self, stock_id: StockId) -> Inventory:
        """Return a stock as its last event has left it."""
        if stock_id not in self._looked_up:
            self._write_if_of(stock_id)
            self._look_up([stock_id])
        return self._looked_up.pop(stock_id)

    def _look_up(self, stock_ids: Sequence[StockId]) -> None:
        """Have these stocks at hand, for whoever asks for one of them next."""
        self._looked_up.update((stock_id, Inventory(stock_id)) for stock_id in stock_ids)
        for stream, stock in find_stocks(self._connection, stock_ids):
            self._numbers.found(stock.stock_id, stream)
            self._looked_up[stock.stock_id] = stock

    def reservation(
        self, reservation_id: ReservationId, upto: int | None = None
    ) -> Reservation | None:
        """Fold a reservation from its latest snapshot, if that is not too late, and on."""
        self._write_if_of(reservation_id)
        number = self._numbers.reservation(reservation_id)
        if number is None:
            return None
        end = _NO_END if upto is None else upto
        state = self._connection.execute(
            "SELECT state FROM reservation_snapshots WHERE reservation = ? AND position <= ?",
            (number, end),
        ).get
        reservation = states_json.load_reservation(state) if state else None
        after = reservation.position if reservation else 0
        folded = 0
        for event in log.events_of_subject(self._connection, number, after, end):
            reservation = (reservation or Reservation.begin(event)).evolve([event])
            folded += 1
        if folded > SNAPSHOT_EVERY and upto is None and reservation and self._writable:
            self._connection.execute(
                "INSERT OR REPLACE INTO reservation_snapshots VALUES (?, ?, ?)",
                (number, reservation.position, states_json.dump_reservation(reservation)),
            )
        return reservation

    def _write_if_of(self, name: StockId | ReservationId) -> None:
        """Have everything in the tables if something of this is not."""
        if name in self._unwritten.names:
            self.write()

    def append(self, events: Sequence[Event]) -> None:
        """Add one command's events to the log, and move the read models."""
        number = self._number(events[0])
        self._unwritten.add([log.Recorded(event, self._stream(event), number) for event in events])
        self.appended = True

    def _stream(self, event: Event) -> int:
        if event.version == 1:
            self._numbers.streams[event.key] = event.position
            return event.position
        stream = self._numbers.stream(event.key)
        assert stream is not None
        return stream

    def _number(self, first: Event) -> int | None:
        """Return the number of the reservation that a command is about, if it is."""
        fact = reservation_fact(first)
        if fact is None:
            return None
        self._unwritten.names.add(fact.reservation_id)
        self._knows_expiry = False
        if isinstance(fact, StockReserved):
            self._numbers.reservations[fact.reservation_id] = first.position
            return first.position
        return self._numbers.reservation(fact.reservation_id)

    def expect(
        self,
        requests: Collection[RequestKey],
        stock_ids: Collection[StockId] = (),
        reservation_ids: Collection[ReservationId] = (),
    ) -> None:
        self._look_up([*stock_ids])
        self._numbers.expect(reservation_ids)
        self._answered.update(dict.fromkeys(requests))
        for *key, fingerprint, position, text, record_time in select_with(
            self._connection, _ANSWERED, [*requests]
        ):
            outcome = states_json.load_outcome(text) if text else None
            answered = Answered(fingerprint, position, outcome, Instant(record_time))
            self._answered[RequestKey(*key)] = answered

    def answered(self, request: RequestKey) -> Answered | None:
        if request not in self._answered:
            self.expect([request])
        return self._answered[request]

    def remember(self, request: RequestKey, answered: Answered) -> None:
        fingerprint, position, outcome, record_time = answered
        text = states_json.dump_outcome(outcome) if outcome else None
        self._unwritten.remember((*request, fingerprint, position, text, record_time))
        self._answered[request] = answered

    def forget(self, before: Instant, limit: int) -> int:
        self.write()
        self._answered.clear()
        self._connection.execute(
            "DELETE FROM requests WHERE request IN "
            "(SELECT request FROM requests ORDER BY request LIMIT ?) AND record_time < ?",
            (limit, before),
        )
        return self._connection.changes()

    def earliest_expiry(self) -> Instant | None:
        if not self._knows_expiry:
            self.write()
            time: int | None = self._connection.execute(
                "SELECT min(expire_time) FROM reservations "
                "WHERE state = 'active' AND expire_time IS NOT NULL"
            ).get
            self._earliest_expiry = None if time is None else Instant(time)
            self._knows_expiry = True
        return self._earliest_expiry

    def due(self, now: Instant, limit: int) -> Sequence[ReservationId]:
        self.write()
        rows = self._connection.execute(
            "SELECT name FROM reservations CROSS JOIN subjects ON subject = reservation "
            "WHERE state = 'active' "
            "AND expire_time IS NOT NULL AND expire_time <= ? "
            "ORDER BY expire_time, reservation LIMIT ?",
            (now, limit),
        )
        return [ReservationId(name) for (name,) in rows]

    def due_on(self, stock_id: StockId, now: Instant, limit: int) -> Sequence[ReservationId]:
        self.write()
        stream = self._numbers.stream(stock_id)
        rows = self._connection.execute(
            "SELECT name FROM reservation_lines CROSS JOIN subjects ON subject = reservation "
            "WHERE stream = ? AND held > 0 AND expire_time IS NOT NULL AND expire_time <= ? "
            "ORDER BY expire_time, reservation LIMIT ?",
            (stream, now, limit),
        )
        return [ReservationId(name) for (name,) in rows]
