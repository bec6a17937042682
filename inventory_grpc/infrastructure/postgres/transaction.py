"""The writer's transaction in PostgreSQL: two round trips, if all that it needs is expected."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from inventory_grpc.application.outcomes import Answered, Outcome, RequestKey, State
from inventory_grpc.application.ports import (
    NO_WALKS,
    Expected,
    Head,
    KeptTime,
    News,
    Pending,
    Walk,
)
from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.registry import STREAMS, SUBJECTS
from inventory_grpc.domain.reversal import Trail
from inventory_grpc.domain.values import EventAt, Instant, StockId
from inventory_grpc.infrastructure.log.chain import Tail, chained
from inventory_grpc.infrastructure.log.ids import kind_and_name, stream_row
from inventory_grpc.infrastructure.log.news import news_of
from inventory_grpc.infrastructure.log.numbering import Numbering
from inventory_grpc.infrastructure.postgres import events as log
from inventory_grpc.infrastructure.postgres import read_models, requests, subjects, unsettled
from inventory_grpc.infrastructure.postgres.first_trip import Begun, Reads
from inventory_grpc.infrastructure.postgres.folding import find_folded
from inventory_grpc.infrastructure.postgres.numbers import Numbers
from inventory_grpc.infrastructure.postgres.pending import pending_after
from inventory_grpc.infrastructure.postgres.read_models import reservations, stocks
from inventory_grpc.infrastructure.postgres.read_models.corrections import find_trails
from inventory_grpc.infrastructure.postgres.read_models.subject_snapshots import keep_snapshot
from inventory_grpc.infrastructure.postgres.replays import replayed
from inventory_grpc.infrastructure.postgres.statement import Bound, Statement, insert
from inventory_grpc.infrastructure.postgres.wire import Wire
from inventory_grpc.infrastructure.rows.requests import rows_of

SNAPSHOT_EVERY: Final = 500
"""A fold of a subject over more events than this stores a snapshot."""

INSERT_STREAMS: Final = insert(
    "streams",
    {"stream": "int8", "kind": "int2", "id": "text", "product_id": "text", "store_id": "text"},
)
INSERT_SUBJECTS: Final = insert("subjects", {"subject": "int8", "kind": "int2", "name": "text"})
INSERT_EVENTS: Final = insert(
    "events",
    {
        "position": "int8",
        "stream": "int8",
        "version": "int8",
        "ordinal": "int2",
        "kind": "int2",
        "subject": "int8",
        "event": "bytea",
        "hash": "bytea",
        "alerts": "int8",
    },
)
_REQUESTS: Final = insert(
    "requests",
    requests.COLUMNS,
)
_FORGET: Final = Statement(
    "WITH forgotten AS (DELETE FROM requests WHERE (actor, request_id) IN ("
    "SELECT actor, request_id FROM requests WHERE record_time < $before::int8 "
    "ORDER BY record_time, position LIMIT $limit::int8) RETURNING 1) "
    "SELECT count(*) FROM forgotten"
)


class PostgresTransaction:
    """A `Transaction` on the writer's connection; its writes are sent with the COMMIT."""

    def __init__(
        self, wire: Wire, log_id: str, numbers: Numbers, begun: Begun, *, writable: bool
    ) -> None:
        self._wire = wire
        self._log_id = log_id
        self._numbers = numbers
        self._begun = begun
        self._reads = begun.reads
        self._writable = writable
        self._numbering = Numbering(
            numbers.streams, numbers.subjects, numbers.streams.get, numbers.subjects.get
        )
        self._pending = begun.pending
        self.tail: Tail = begun.tail
        """The end of the log, with the events of this transaction."""
        self._written = list[Bound]()
        """Statements that are sent with the COMMIT, or before the next read."""
        self._answered: Sequence[tuple[RequestKey, Answered]] = ()
        self._aside = list[Bound]()
        """Statements that no read of this transaction depends on."""

    def head(self) -> Head:
        return Head(self.tail.position, self.tail.record_time)

    @property
    def unsent(self) -> list[Bound]:
        """The statements to be sent with the COMMIT."""
        return [*self._written, *self._aside]

    def _current(self) -> Wire:
        """Return the connection to read from, after all that was written has been sent."""
        if self._written:
            self._wire.run(self._written)
            self._written = []
            self._reads = Reads()
        return self._wire

    @property
    def head_before(self) -> int:
        return self._begun.tail.position

    def was_recorded(self, wire: Wire) -> bool | None:
        """Return whether the log has this transaction; None if nothing in it could tell."""
        if self.tail.position > self.head_before:
            return log.hash_of(wire, self.tail.position) == self.tail.hash
        if self._answered:
            key, answer = self._answered[-1]
            found = Reads()
            found.read(wire, Expected((), [key]))
            return found.answered[key] == answer
        return None

    def committed(self) -> None:
        """Cache the new numbers of streams and subjects, after the commit."""
        self._numbering.keep()

    def time(self) -> Instant:
        return self._begun.time

    def keep_time(self, time: KeptTime) -> None:
        """Do nothing: the server has a clock."""

    def news_after(self, position: int, limit: int, is_known: Callable[[Key], bool]) -> News:
        news, first = self._begun.news, self._begun.first_news
        start = position + 1 - first
        if start >= 0 and first + len(news) > min(position + limit, self.tail.position):
            return news_of(news[start : start + limit], is_known)
        return news_of(log.encoded_after(self._current(), position, limit), is_known)

    def states(self, keys: Collection[Key]) -> dict[Key, State]:
        wire, reads = self._current(), self._reads
        reads.read(wire, Expected(keys))
        states: dict[Key, State] = {}
        streams = [key for key in keys if type(key) in STREAMS]
        for key in keys:
            if type(key) in SUBJECTS:
                found = reads.subjects[key]
                states[key] = found.state if found else None
                if found:
                    streams += found.state.streams
                    self._note_subject(found)
        reads.read(wire, Expected(streams))
        for key in streams:
            if type(key) not in read_models.FIND:
                for _, stream, state in find_folded(wire, [key]):
                    reads.streams[key] = stream, state
            stream, states[key] = reads.streams[key]
            if stream:
                self._numbers.streams.put(key, stream)
        return states

    def _note_subject(self, found: subjects.FoldedSubject) -> None:
        """Cache the number of a subject, and store a snapshot of a long one."""
        self._numbers.subjects.put(found.key, found.number)
        if found.events > SNAPSHOT_EVERY and self._writable:
            self._aside.append(keep_snapshot(found.number, found.state))

    def trails(self, keys: Collection[EventAt]) -> dict[EventAt, Trail | None]:
        trails = find_trails(self._current(), [key.position for key in keys])
        return {key: trails.get(key.position) for key in keys}

    def answered(self, requests: Collection[RequestKey]) -> dict[RequestKey, Answered | None]:
        wire = self._current()
        self._reads.read(wire, Expected((), requests))
        return {request: self._reads.answered[request] for request in requests}

    def replays(self, positions: Collection[int]) -> dict[int, Outcome]:
        return replayed(self._current(), positions)

    def walks(self, limit: int) -> Sequence[Walk]:
        return unsettled.walks(self._current(), limit)

    def stocks_of(self, walk: Walk, limit: int) -> Sequence[StockId]:
        return unsettled.stocks_of(self._current(), walk, limit)

    def write(
        self,
        events: Sequence[Event],
        answered: Sequence[tuple[RequestKey, Answered]],
        walks: Mapping[Key, Walk | None] = NO_WALKS,
    ) -> None:
        if events:
            self._append(events)
        self._written += unsettled.keep(walks)
        if answered:
            self._written.append(_REQUESTS.bind_rows(rows_of(answered)))
            self._answered = answered
        self._pending = pending_after(self._pending, events, walks)

    def _append(self, events: Sequence[Event]) -> None:
        """Append events to the log, and update the read models."""
        numbering = self._numbering
        new = {key for key, found in self._reads.subjects.items() if found is None}
        self._numbers.look_up(self._wire, events, new)
        recorded = numbering.numbered(events)
        self.tail, rows = chained(self._log_id, self.tail, recorded)
        streams = [(number, *stream_row(key)) for key, number in numbering.streams.items()]
        named = [(number, *kind_and_name(key)) for key, number in numbering.subjects.items()]
        if streams:
            self._written.append(INSERT_STREAMS.bind_rows(streams))
        if named:
            self._written.append(INSERT_SUBJECTS.bind_rows(named))
        self._written.append(INSERT_EVENTS.bind_rows(rows))
        self._written += read_models.project(recorded)

    def forget(self, before: Instant, limit: int) -> int:
        count: int = self._current().value(_FORGET, before=before, limit=limit)
        return count

    def pending(self) -> Pending:
        return self._pending

    def due(self, now: Instant, limit: int, stream: Key | None = None) -> Sequence[Key]:
        if stream is None:
            return reservations.due(self._current(), now, limit)
        number = self._numbers.stream(self._current(), stream)
        return reservations.due_on(self._current(), number, now, limit) if number else []

    def waiting(self, stream: Key, limit: int) -> Sequence[Key]:
        number = self._numbers.stream(self._current(), stream)
        return reservations.waiting_on(self._current(), number, limit) if number else []

    def fills_due(self, limit: int) -> Sequence[Key]:
        return stocks.filled(self._current(), limit)
