"""The first round trip of a transaction: the lock, the end of the log, and all known needs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from inventory_grpc.application.outcomes import Answered, RequestKey, State
from inventory_grpc.application.ports import Expected, Fault, Pending, StorageError
from inventory_grpc.domain.event import Key
from inventory_grpc.domain.registry import STREAMS, SUBJECTS
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.log.chain import Tail
from inventory_grpc.infrastructure.postgres import requests, subjects
from inventory_grpc.infrastructure.postgres.events import NOW, TAIL, tail_of
from inventory_grpc.infrastructure.postgres.migrations import check_served
from inventory_grpc.infrastructure.postgres.read_models import (
    BESIDE,
    FIND,
    policies,
    products,
    stores,
)
from inventory_grpc.infrastructure.postgres.read_models.reservations import EARLIEST_EXPIRY
from inventory_grpc.infrastructure.postgres.seen import NEWS, news_after
from inventory_grpc.infrastructure.postgres.statement import Bound, Statement
from inventory_grpc.infrastructure.postgres.subjects import FoldedSubject
from inventory_grpc.infrastructure.postgres.wire import Row, Wire
from inventory_grpc.infrastructure.rows.requests import answered_of

MOST_NEWS: Final = 5_001
"""Events of other instances that are read together with the lock."""

_BEGIN: Final = Statement("BEGIN ISOLATION LEVEL READ COMMITTED")
_BEGIN_READ: Final = Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
# A statement of its own: one that locks and reads has a snapshot of before it waited.
LOCK: Final = Statement("SELECT pg_advisory_xact_lock($key::int8)::text")
# The time is that of when it is executed, after the lock.
PENDING: Final = Statement(
    f"SELECT ({EARLIEST_EXPIRY}), "
    "EXISTS (SELECT 1 FROM stocks WHERE fills_due IS NOT NULL), "
    "EXISTS (SELECT 1 FROM unsettled), "
    f"{policies.ANY_SETS} OR {products.ANY_RETIRED} OR {stores.ANY_RETIRED}, "
    f"{NOW}, log_id, format FROM log WHERE one = 1"
)


@dataclass
class Reads:
    """The data that a transaction has read; it is valid until the transaction ends."""

    streams: dict[Key, tuple[int, State]] = field(default_factory=dict)
    """Streams with their number; 0 for one without history."""
    subjects: dict[Key, FoldedSubject | None] = field(default_factory=dict)
    answered: dict[RequestKey, Answered | None] = field(default_factory=dict)

    def needs(self, expected: Expected) -> "Needs":
        """Return the needs of *expected* that have not been read."""
        keys = expected.keys
        return Needs(
            [key for key in keys if type(key) in STREAMS and key not in self.streams],
            [key for key in keys if type(key) in SUBJECTS and key not in self.subjects],
            [request for request in expected.requests if request not in self.answered],
        )

    def read(self, wire: Wire, expected: Expected) -> None:
        """Read what is missing of *expected*, in one round trip."""
        needs = self.needs(expected)
        if asked := list(needs.ask()):
            self.note(needs, iter(wire.run(asked)))

    def note(self, needs: "Needs", results: Iterator[Sequence[Row]]) -> None:
        """Note the *results* of what *needs* has asked for."""
        if needs.requests:
            self.answered |= dict.fromkeys(needs.requests)
            self.answered |= dict(map(answered_of, next(results)))
        if needs.subjects:
            self._note_subjects(needs.subjects, results)
        for kind, keys in _by_kind(needs.streams).items():
            for key in keys:
                make: Any = STREAMS[kind]
                self.streams[key] = 0, make(key)
            if kind in FIND:
                for key, stream, state in FIND[kind].read(keys, next(results)):
                    self.streams[key] = stream, state

    def _note_subjects(self, keys: Sequence[Key], results: Iterator[Sequence[Row]]) -> None:
        """Note subjects, and the streams that they are about."""
        self.subjects |= dict.fromkeys(keys)
        for found in subjects.fold(keys, next(results), next(results)):
            self.subjects[found.key] = found
        for kind, of_kind in _by_kind(keys).items():
            if kind in BESIDE:
                for key, stream, state in BESIDE[kind].read(of_kind, next(results)):
                    self.streams[key] = stream, state


@dataclass(frozen=True)
class Needs:
    """The data to be read."""

    streams: Sequence[Key] = ()
    subjects: Sequence[Key] = ()
    requests: Sequence[RequestKey] = ()

    def ask(self) -> Iterator[Bound]:
        """Yield the statements, in the order in which `Reads.note` takes their results."""
        if self.requests:
            actors, ids = zip(*self.requests, strict=True)
            yield requests.ANSWERED.bind(actors=actors, ids=ids)
        if self.subjects:
            yield from subjects.ask(self.subjects)
            for kind, keys in _by_kind(self.subjects).items():
                if kind in BESIDE:
                    yield BESIDE[kind].ask(keys)
        for kind, keys in _by_kind(self.streams).items():
            if kind in FIND:
                yield FIND[kind].ask(keys)


def _by_kind(keys: Sequence[Key]) -> Mapping[type[Any], list[Any]]:
    """Return *keys*, once each, by their class."""
    found: dict[type[Any], list[Any]] = {}
    for key in dict.fromkeys(keys):
        found.setdefault(type(key), []).append(key)
    return found


class Begun:
    """A transaction that has begun, and what its first round trip has read."""

    def __init__(self, wire: Wire, log_id: str, known: Tail, needs: Needs, key: int | None) -> None:
        begin = [_BEGIN.bind(), LOCK.bind(key=key)] if key is not None else [_BEGIN_READ.bind()]
        news = NEWS.bind(known=max(known.position, 1), limit=MOST_NEWS)
        asked = [*begin, news, TAIL.bind(), PENDING.bind(), *needs.ask()]
        results = iter(wire.run(asked)[len(begin) :])
        self.news: list[bytes] = news_after(next(results), known)
        """The events after the known end of the log, up to `MOST_NEWS`."""
        self.first_news = known.position + 1
        self.tail = tail_of(next(results), log_id)
        self.pending, self.time, self.format = _pending(next(results), log_id)
        check_served(self.format)
        self.reads = Reads()
        self.reads.note(needs, results)


def _pending(rows: Sequence[Row], log_id: str) -> tuple[Pending, Instant, int]:
    """Return the work that the log calls for, the time of the server, and the format.

    Raises:
        StorageError: the log has another id than *log_id* now.
    """
    [(expiry, fills, walks, has_terms, time, current, in_force)] = rows
    if current != log_id:
        # the next connection takes the new id, if nothing is lost that was seen under the old one
        raise StorageError(Fault.BROKEN, detail=f"the log {log_id} is {current} now")
    pending = Pending(None if expiry is None else Instant(expiry), fills, walks, has_terms)
    return pending, Instant(time), in_force
