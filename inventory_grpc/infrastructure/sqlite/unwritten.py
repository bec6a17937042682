"""What has a transaction still to write?

Rows are gathered while commands are decided, and written together: before somebody reads
what they change, and before the commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import apsw

from inventory_grpc.domain.values import ReservationId, StockId
from inventory_grpc.infrastructure.sqlite.events import Recorded
from inventory_grpc.infrastructure.sqlite.read_models import Movements
from inventory_grpc.infrastructure.sqlite.rows import Row, execute_with

_STREAMS: Final = "INSERT INTO streams {}"
_EVENTS: Final = "INSERT INTO events {}"
_REQUESTS: Final = (
    "INSERT INTO requests (actor, request_id, fingerprint, position, outcome, record_time) {}"
)


@dataclass(slots=True)
class Unwritten:
    """Rows, by the table they belong into, and whose they are."""

    names: set[StockId | ReservationId] = field(default_factory=set)
    """The stocks and reservations that the rows are of."""
    _streams: list[Row] = field(default_factory=list)
    _events: list[Row] = field(default_factory=list)
    _requests: list[Row] = field(default_factory=list)
    _movements: Movements = field(default_factory=Movements)

    def __bool__(self) -> bool:
        return bool(self._events or self._requests)

    def add(self, recorded: Sequence[Recorded], rows: Sequence[Row]) -> None:
        """Take in one command's events, and their rows in the log."""
        for event, stream, _ in recorded:
            self.names.add(event.stock_id)
            if event.version == 1:
                self._streams.append((stream, *event.stock_id))
        self._events += rows
        self._movements.gather(recorded)

    def remember(self, request: Row) -> None:
        """Take in a request that was answered."""
        self._requests.append(request)

    def write(self, connection: apsw.Connection) -> None:
        """Write all of it; whoever goes on starts with nothing unwritten."""
        execute_with(connection, _STREAMS, self._streams)
        execute_with(connection, _EVENTS, self._events)
        self._movements.write(connection)
        execute_with(connection, _REQUESTS, self._requests)
