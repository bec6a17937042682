"""The writer's transaction in SQLite."""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

import apsw

from inventory_grpc.application.outcomes import Answered, Outcome, PartOutcome, RequestKey, State
from inventory_grpc.application.ports import NO_WALKS, Head, KeptTime, News, Pending, Walk
from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.registry import STREAMS, SUBJECTS
from inventory_grpc.domain.reversal import Trail
from inventory_grpc.domain.values import EventAt, Instant, StockId
from inventory_grpc.infrastructure import read_models
from inventory_grpc.infrastructure.log.chain import chained
from inventory_grpc.infrastructure.log.ids import kind_and_name, stream_row
from inventory_grpc.infrastructure.log.news import news_of
from inventory_grpc.infrastructure.log.numbering import Numbering
from inventory_grpc.infrastructure.read_models import (
    policies,
    products,
    reservations,
    stocks,
    stores,
)
from inventory_grpc.infrastructure.read_models.corrections import find_trail
from inventory_grpc.infrastructure.read_models.subject_snapshots import find_snapshot, keep_snapshot
from inventory_grpc.infrastructure.rows.requests import answered_of, rows_of
from inventory_grpc.infrastructure.sqlite import events as log
from inventory_grpc.infrastructure.sqlite import kept_time, unsettled
from inventory_grpc.infrastructure.sqlite.back_links import INSERT_EVENTS, with_back_links
from inventory_grpc.infrastructure.sqlite.folding import find_folded, state_after
from inventory_grpc.infrastructure.sqlite.multirow import execute_with, select_with
from inventory_grpc.infrastructure.sqlite.stream_ids import StreamIds

SNAPSHOT_EVERY: Final = 500
"""A fold of a subject over more events than this stores a snapshot."""

MANY_REQUESTS: Final = 16
"""With this many requests of one caller, the last id that is stored is looked up before them."""

_NO_END: Final = 2**62
_ANSWERED: Final = (
    "WITH wanted (actor, request_id) AS ({}) "
    "SELECT actor, request_id, fingerprint, position, outcome, record_time "
    "FROM wanted CROSS JOIN requests USING (actor, request_id)"
)
_LAST_REQUEST: Final = "SELECT max(request_id) FROM requests WHERE actor = ?"
_PENDING: Final = (
    f"SELECT ({reservations.EARLIEST_EXPIRY}), "  # noqa: S608  constants
    "EXISTS (SELECT 1 FROM stocks WHERE fills_due IS NOT NULL), "
    "EXISTS (SELECT 1 FROM unsettled), "
    f"{policies.ANY_SETS} OR {products.ANY_RETIRED} OR {stores.ANY_RETIRED}"
)
INSERT_STREAMS: Final = "INSERT INTO streams {}"
INSERT_SUBJECTS: Final = "INSERT INTO subjects {}"
_REQUESTS: Final = (
    "INSERT INTO requests (actor, request_id, fingerprint, position, outcome, record_time) {}"
)


class SqliteTransaction:
    """A `Transaction` on the writer's connection."""

    def __init__(
        self, connection: apsw.Connection, log_id: str, ids: StreamIds, *, writable: bool
    ) -> None:
        self._connection = connection
        self._log_id = log_id
        self._ids = ids
        self._numbering = Numbering(
            ids.streams, ids.subjects, self._find_stream, self._find_subject
        )
        self._unnumbered = set[Key]()
        """Subjects that have no number yet; under the write lock, nobody else gives them one."""
        self._writable = writable
        self._tail = log.read_tail(connection, log_id)
        self.appended = False

    def _find_stream(self, key: Key) -> int | None:
        return self._ids.stream(self._connection, key)

    def _find_subject(self, key: Key) -> int | None:
        if key in self._unnumbered:
            return None
        return self._ids.find_subjects(self._connection, [key]).get(key)

    def head(self) -> Head:
        return Head(self._tail.position, self._tail.record_time)

    @property
    def end(self) -> tuple[int, bytes]:
        """The last position of the log, and its hash."""
        return self._tail.position, self._tail.hash

    def committed(self) -> None:
        """Cache the new numbers of streams and subjects, after the commit."""
        self._numbering.keep()

    def time(self) -> KeptTime | None:
        return kept_time.read(self._connection)

    def keep_time(self, time: KeptTime) -> None:
        if self._writable:
            kept_time.write(self._connection, time)

    def news_after(self, position: int, limit: int, is_known: Callable[[Key], bool]) -> News:
        return news_of(log.encoded_after(self._connection, position, limit), is_known)

    def states(self, keys: Collection[Key]) -> dict[Key, State]:
        subjects = [key for key in keys if type(key) in SUBJECTS]
        numbers = self._ids.find_subjects(self._connection, subjects)
        self._unnumbered.update(key for key in subjects if key not in numbers)
        states: dict[Key, State] = {
            key: self._fold(key, numbers[key]) if key in numbers else None for key in subjects
        }
        streams = [key for key in keys if type(key) in STREAMS]
        for state in states.values():
            if state is not None:
                streams += state.streams
        by_type: dict[type[Any], list[Any]] = {}
        for key in dict.fromkeys(streams):
            by_type.setdefault(type(key), []).append(key)
        for kind, keys_of_kind in by_type.items():
            find = read_models.FIND.get(kind, find_folded)
            for key, stream, state in find(self._connection, keys_of_kind):
                self._ids.streams.put(key, stream)
                states[key] = state
            begin: Any = STREAMS[kind]
            for key in keys_of_kind:
                if key not in states:
                    states[key] = begin(key)
        return states

    def _fold(self, key: Key, number: int, upto: int = _NO_END) -> State:
        """Fold the events of a subject, from its snapshot on if that is not too new."""
        state = find_snapshot(self._connection, number, upto)
        after = state.position if state else 0
        events = list(log.events_of_subject(self._connection, number, after, upto))
        if events:
            state = (state or SUBJECTS[type(key)].begin(events[0])).evolve(events)
        if len(events) > SNAPSHOT_EVERY and upto == _NO_END and self._writable:
            keep_snapshot(self._connection, number, state)
        return state

    def trails(self, keys: Collection[EventAt]) -> dict[EventAt, Trail | None]:
        return {key: find_trail(self._connection, key.position) for key in keys}

    def answered(self, requests: Collection[RequestKey]) -> dict[RequestKey, Answered | None]:
        found: dict[RequestKey, Answered | None] = dict.fromkeys(requests)
        wanted = self._maybe_answered(requests)
        found.update(map(answered_of, select_with(self._connection, _ANSWERED, wanted)))
        return found

    def _maybe_answered(self, requests: Collection[RequestKey]) -> Sequence[RequestKey]:
        """Return *requests* without those whose ids come after all that are stored.

        That is so for new requests with time-ordered ids, and one look-up tells it of many.
        """
        actors = {actor for actor, _ in requests}
        if len(requests) < MANY_REQUESTS or len(actors) > 1:
            return [*requests]
        last = self._connection.execute(_LAST_REQUEST, [*actors]).get
        return [key for key in requests if last is not None and key[1] <= last]

    def replays(self, positions: Collection[int]) -> dict[int, Outcome]:
        return {position: self._replay(position) for position in positions}

    def _replay(self, position: int) -> Outcome:
        events = log.events_of_command(self._connection, position)
        if not events[0].cause.part:
            return self._outcome_of(events)
        parts = groupby(events, key=lambda event: event.cause.part)
        outcomes = tuple(PartOutcome.of([*part]) for _, part in parts)
        return Outcome(events[-1].position, [], [], parts=outcomes)

    def _outcome_of(self, events: Sequence[Event]) -> Outcome:
        """Return the outcome of the command that recorded *events*."""
        last = events[-1].position
        streams = {event.key: event for event in events}
        about = dict.fromkeys(event.fact.subject for event in events)
        keys = [key for key in about if type(key) in SUBJECTS]
        numbers = self._ids.find_subjects(self._connection, keys)
        subjects = [self._fold(key, numbers[key], last) for key in keys]
        states = [state_after(self._connection, event) for event in streams.values()]
        return Outcome(last, states, subjects)

    def walks(self, limit: int) -> Sequence[Walk]:
        return unsettled.walks(self._connection, limit)

    def stocks_of(self, walk: Walk, limit: int) -> Sequence[StockId]:
        return unsettled.stocks_of(self._connection, walk, limit)

    def write(
        self,
        events: Sequence[Event],
        answered: Sequence[tuple[RequestKey, Answered]],
        walks: Mapping[Key, Walk | None] = NO_WALKS,
    ) -> None:
        if events:
            self._append(events)
        if walks:
            unsettled.keep(self._connection, walks)
        execute_with(self._connection, _REQUESTS, rows_of(answered))

    def _append(self, events: Sequence[Event]) -> None:
        """Append events to the log, and update the read models."""
        numbering, connection = self._numbering, self._connection
        recorded = numbering.numbered(events)
        self._tail, rows = chained(self._log_id, self._tail, recorded)
        streams = [(number, *stream_row(key)) for key, number in numbering.streams.items()]
        subjects = [(number, *kind_and_name(key)) for key, number in numbering.subjects.items()]
        execute_with(connection, INSERT_STREAMS, streams)
        execute_with(connection, INSERT_SUBJECTS, subjects)
        are_of_stocks = [type(event.key) is StockId for event, _, _ in recorded]
        execute_with(connection, INSERT_EVENTS, with_back_links(rows, are_of_stocks))
        read_models.project(connection, recorded)
        self.appended = True

    def forget(self, before: Instant, limit: int) -> int:
        self._connection.execute(
            "DELETE FROM requests WHERE request IN "
            "(SELECT request FROM requests ORDER BY request LIMIT ?) AND record_time < ?",
            (limit, before),
        )
        return self._connection.changes()

    def pending(self) -> Pending:
        expiry, fills, walks, has_terms = self._connection.execute(_PENDING).get
        expires = None if expiry is None else Instant(expiry)
        return Pending(expires, bool(fills), bool(walks), bool(has_terms))

    def due(self, now: Instant, limit: int, stream: Key | None = None) -> Sequence[Key]:
        if stream is None:
            return reservations.due(self._connection, now, limit)
        number = self._ids.stream(self._connection, stream)
        return reservations.due_on(self._connection, number, now, limit) if number else []

    def waiting(self, stream: Key, limit: int) -> Sequence[Key]:
        number = self._ids.stream(self._connection, stream)
        return reservations.waiting_on(self._connection, number, limit) if number else []

    def fills_due(self, limit: int) -> Sequence[Key]:
        return stocks.filled(self._connection, limit)
