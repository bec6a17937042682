"""What has a transaction still to write?

It is gathered while commands are decided, and chained and written together: before somebody
reads what it changes, and before the commit. Measured in one process that does nothing else, a
command in bulk takes 28.7 µs so, and 30.4 with its events chained as soon as it is decided.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import apsw

from inventory_grpc.domain.values import ReservationId, StockId
from inventory_grpc.infrastructure.log.ids import stored, stream_row
from inventory_grpc.infrastructure.sqlite.events import Recorded, Tail, chained
from inventory_grpc.infrastructure.sqlite.read_models import Movements
from inventory_grpc.infrastructure.sqlite.rows import Row, execute_with

_STREAMS: Final = "INSERT INTO streams {}"
_SUBJECTS: Final = "INSERT INTO subjects {}"
_EVENTS: Final = (
    "INSERT INTO events (position, stream, version, ordinal, kind, subject, event, hash) {}"
)
_REQUESTS: Final = (
    "INSERT INTO requests (actor, request_id, fingerprint, position, outcome, record_time) {}"
)


@dataclass(slots=True)
class Unwritten:
    """Events and answers, in order, and whose they are."""

    names: set[StockId | ReservationId] = field(default_factory=set)
    """The stocks and reservations that the events are of."""
    _recorded: list[Recorded] = field(default_factory=list)
    _requests: list[Row] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self._recorded or self._requests)

    def add(self, recorded: Sequence[Recorded]) -> None:
        """Take in one command's events."""
        for event, _, _ in recorded:
            self.names.add(event.key)
        self._recorded += recorded

    def remember(self, request: Row) -> None:
        """Take in a request that was answered."""
        self._requests.append(request)

    def write(self, connection: apsw.Connection, log_id: str, tail: Tail) -> Tail:
        """Write all of it, once; return the new end of the log."""
        if self._recorded:
            tail, rows = chained(log_id, tail, self._recorded)
            execute_with(connection, _STREAMS, list(self._streams()))
            execute_with(connection, _SUBJECTS, list(self._subjects()))
            execute_with(connection, _EVENTS, rows)
            movements = Movements()
            movements.gather(self._recorded)
            movements.write(connection)
        execute_with(connection, _REQUESTS, self._requests)
        return tail

    def _streams(self) -> Iterator[Row]:
        for event, stream, _ in self._recorded:
            if event.version == 1:
                yield stream, *stream_row(event.key)

    def _subjects(self) -> Iterator[Row]:
        for event, _, subject in self._recorded:
            if subject == event.position and event.fact.subject is not None:
                yield subject, *stored(event.fact.subject)
