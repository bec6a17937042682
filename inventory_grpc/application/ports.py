"""The ports of the engine: storage, and the read side.

The contract tests check these promises against every implementation.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from inventory_grpc.application.outcomes import Answered, Outcome, RequestKey, State
from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.reversal import Trail
from inventory_grpc.domain.values import EventAt, Instant, StockId

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
K = TypeVar("K")

WallClock = Callable[[], Instant]
"""Returns the wall-clock time, which may step in either direction."""

MonotonicClock = Callable[[], int]
"""Returns microseconds since an arbitrary start; never steps, and includes suspended time."""


class Head(NamedTuple):
    """The end of the log."""

    position: int
    record_time: Instant


class KeptTime(NamedTuple):
    """The offset of the log's time from the monotonic clock of one boot of the machine."""

    boot: str
    """The id of the boot."""
    offset: int
    """The log's time less the monotonic clock, in microseconds."""


class Pending(NamedTuple):
    """The work of the server itself that the log calls for."""

    expiry: Instant | None = None
    """The earliest expire time of all holds, including overdue ones."""
    fills: bool = False
    """Whether goods have come in for units that are recorded as waiting."""
    walks: bool = False
    """Whether a change of terms has not reached all of its stocks."""
    has_terms: bool = False
    """Whether a stock can have terms, so that one without history has to look them up."""


class Walk(NamedTuple):
    """The way of a change of terms to the stocks that it covers."""

    subject: Any
    """The policy, product or store that changed."""
    since: int
    """The position of the change. The oldest walk goes on first."""
    after: StockId | None
    """The last stock that it has looked at, in the order of product and store."""


NO_WALKS: Final[Mapping[Key, Walk | None]] = {}


class Expected(NamedTuple):
    """The reads of a transaction that are known before it begins.

    Remote storage can prefetch them together with the lock, so that `states` and `answered` need
    no other round trip. Local storage ignores them.
    """

    keys: Collection[Key] = ()
    requests: Collection[RequestKey] = ()


class News(NamedTuple):
    """Events that other processes have recorded, of which few concern this one."""

    streams: Sequence[Key] = ()
    """The stream of each event, in order."""
    events: Sequence[Event] = ()
    """The events of known streams and subjects, in order; the others need not be decoded."""


class Transaction(Protocol):
    """The log as the writer uses it: all reads come before the first write.

    Tables only find keys, such as overdue subjects; all quantities come from the states, which
    are folded from events.
    """

    def head(self) -> Head: ...

    def time(self) -> Instant | KeptTime | None:
        """Return the time of storage, if it has a clock, read after the lock was taken.

        Storage without one is on one machine; it returns what any process stored last, or None.
        """

    def keep_time(self, time: KeptTime) -> None:
        """Store *time* in place of the last one.

        A read-only transaction does nothing, and neither does storage with a clock.
        """

    def news_after(self, position: int, limit: int, is_known: Callable[[Key], bool]) -> News:
        """Return the news of the next *limit* events."""

    def states(self, keys: Collection[Key]) -> dict[Key, State]:
        """Return the states of *keys*, and for each subject also those of its streams.

        A stream without events has version 0; the state of a subject without events is None.
        """

    def trails(self, keys: Collection[EventAt]) -> dict[EventAt, Trail | None]:
        """Return the events at positions, with the later events that bear on their reversal.

        None stands for a position without an event.
        """

    def answered(self, requests: Collection[RequestKey]) -> dict[RequestKey, Answered | None]:
        """Return the stored answers to *requests*; None for a new request."""

    def replays(self, positions: Collection[int]) -> dict[int, Outcome]:
        """Return the original answers to commands, by the *positions* of their first events."""

    def pending(self) -> Pending:
        """Return the work that the log calls for.

        After `write` it may be a bound: it may name work that is done, and lacks none. Remote
        storage would need a round trip for an exact answer, which the next transaction has.
        """

    def due(self, now: Instant, limit: int, stream: Key | None = None) -> Sequence[Key]:
        """Return subjects that are overdue at *now*, oldest first, of all streams or of one."""

    def waiting(self, stream: Key, limit: int) -> Sequence[Key]:
        """Return the subjects that wait for goods of a stock, in the order of the queue."""

    def fills_due(self, limit: int) -> Sequence[Key]:
        """Return stocks for which goods have come in, and whose fills are not recorded."""

    def walks(self, limit: int) -> Sequence[Walk]:
        """Return the walks that have not ended, oldest first."""

    def stocks_of(self, walk: Walk, limit: int) -> Sequence[StockId]:
        """Return the next stocks with a history that the change covers, by product and store."""

    def write(
        self,
        events: Sequence[Event],
        answered: Sequence[tuple[RequestKey, Answered]],
        walks: Mapping[Key, Walk | None] = NO_WALKS,
    ) -> None:
        """Append the events of whole commands, update the read models, and store the answers.

        Also store how far the *walks* by their subjects are; None ends one.
        """

    def forget(self, before: Instant, limit: int) -> int:
        """Delete up to *limit* requests answered before a time; return their number."""


class Fault(Enum):
    """The kinds of storage failure that are handled differently, with a message for callers."""

    BUSY = "another process holds the write lock"
    SLOW = "storage is too slow"
    FULL = "the disk is full"
    READ_ONLY = "the database is read-only"
    BROKEN = "storage failed"
    DAMAGED = "stored data is damaged"
    REWOUND = "the log lacks events that were seen, or is another one"
    SEALED = "the log has moved"
    FAILED_OVER = "the log may have lost events"


@dataclass(eq=False)
class StorageError(Exception):
    """Storage has failed to execute an operation.

    Unless it failed while *committing*, nothing was written. After a failed commit, the outcome
    is unknown until storage is reopened.
    """

    fault: Fault
    committing: bool = False
    why: str = ""
    """The system's message, such as `Input/output error`; callers may see it."""
    detail: str = ""
    """The operation, the path and the error codes, for the log only."""

    def public_message(self) -> str:
        """Return the kind of failure and its cause, without internal details."""
        return f"{self.fault.value}: {self.why}" if self.why else self.fault.value

    def __str__(self) -> str:
        committing = " (while committing)" if self.committing else ""
        return f"{self.public_message()}{committing}" + (f"; {self.detail}" if self.detail else "")


def nothing() -> Expected:
    """Expect no reads."""
    return Expected()


class Storage(Protocol):
    """The storage of the log; one writer at a time, over any number of processes."""

    async def transact(
        self, work: Callable[[Transaction], T], prepare: Callable[[], Expected] = nothing
    ) -> T:
        """Run *work* under the write lock and commit; on return the writes are on disk.

        Before it takes the lock, it calls *prepare* once, on the same thread. Any other exception
        of either propagates, and nothing was written.

        Raises:
            StorageError: see there.
        """

    async def observe(self, work: Callable[[Transaction], T]) -> T:
        """Run the read-only *work* without the write lock."""

    async def recover(self) -> None:
        """Close and reopen all files, and ensure that everything readable is on disk.

        Raises:
            StorageError: storage still fails.
        """


class Query(Generic[T_co]):
    """A query of the read models with a result of type `T`; each noun defines its own."""

    __slots__ = ()


class Reading(NamedTuple, Generic[T]):
    """A value, and the log position that it reflects."""

    value: T
    as_of: int


PAGE_LIMIT: Final = 100
"""The default number of rows of a page."""


class Listing(NamedTuple, Generic[T, K]):
    """A page of rows, and the key after which the next page begins.

    The number of rows scanned for a page is bounded. So a page may have few rows, or none, and
    not be the last.
    """

    rows: Sequence[T]
    after: K | None
    """The key after which the next page begins; None on the last page."""

    @property
    def more(self) -> bool:
        return self.after is not None


class PastSnapshot(Protocol):
    """The states right after one log position."""

    async def get(self, key: Key) -> Reading[Any]:
        """Return the state of a stream; None if it had no history."""


class Snapshot(Protocol):
    """The newest states; each read reflects one position of the log."""

    async def get(self, key: Key) -> Reading[Any]:
        """Return the state of a stream or a subject; None if it has no history."""

    async def read(self, query: Query[T], at_least: int = 0) -> Reading[T]:
        """Answer *query*, as of the position *at_least* or a later one, if the log has that.

        Storage with replicas may answer lists from one that is behind the log.
        """


class Views(Protocol):
    """The log and its read models, for queries."""

    @property
    def latest(self) -> Snapshot: ...

    def at(self, position: int) -> PastSnapshot:
        """Return the states right after *position*, which the log must have reached."""
