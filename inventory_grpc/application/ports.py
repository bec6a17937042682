"""The ports of the side that writes, of the bus that tells what was committed, and of reads.

The contract tests hold every implementation to these promises.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.values import Instant

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
K = TypeVar("K")

WallClock = Callable[[], Instant]
"""What the wall says; it may step in either direction."""

MonotonicClock = Callable[[], int]
"""Microseconds since some moment; never steps, and goes on while the machine sleeps."""


State = Any
"""The state of a stream or of a subject; `domain.registry` has its class by that of its key."""


class Outcome(NamedTuple):
    """The answer to a command: the states that it led to, however often the caller asks."""

    position: int
    """Of the command's last event; the head of the log if nothing had to be recorded."""
    streams: Sequence[State]
    """Of the streams that it changed, or found as they should be."""
    subjects: Sequence[State]
    replayed: bool = False


class RequestKey(NamedTuple):
    """The name of a request: each actor has ids of their own."""

    actor: str
    request_id: str


class Answered(NamedTuple):
    """A request that was answered, and how the answer is found again."""

    fingerprint: bytes
    position: int
    """Of its first event, from which the answer is made again; else the head as it was."""
    outcome: Outcome | None
    """The answer itself, where there are no events to make it from."""
    record_time: Instant


class Head(NamedTuple):
    """The end of the log."""

    position: int
    record_time: Instant


class KeptTime(NamedTuple):
    """How the log's time follows from the time since a start of the machine."""

    boot: str
    """The id of that start."""
    offset: int
    """Microseconds from the one to the other."""


class Expected(NamedTuple):
    """What a transaction is known to read before it begins.

    Storage that is far away fetches it together with the lock; the transaction then returns it
    from `states` and `answered` without another round trip. Storage at hand ignores it.
    """

    keys: Collection[Key] = ()
    requests: Collection[RequestKey] = ()


class Transaction(Protocol):
    """The log as the writer sees it: everything is read before anything is written.

    Tables may tell *which* (is due, holds this stock); *how much* comes from the states, which
    are folded from events.
    """

    def head(self) -> Head: ...

    def kept_time(self) -> KeptTime | None:
        """Return what was kept last, by whichever process."""
        ...

    def keep_time(self, time: KeptTime) -> None:
        """Keep *time*, in the place of what was kept; do nothing where this only reads."""
        ...

    def events_after(self, position: int, limit: int) -> Sequence[Event]:
        """Return the next *limit* events, in order."""
        ...

    def states(self, keys: Collection[Key]) -> dict[Key, State]:
        """Return the states of *keys*, and with a subject those of its streams.

        A stream without events has a state of version 0; a subject without any has None.
        """
        ...

    def answered(self, requests: Collection[RequestKey]) -> dict[RequestKey, Answered | None]:
        """Return how each of *requests* was answered; None for one that was not."""
        ...

    def replay(self, position: int) -> Outcome:
        """Return the answer to the command whose first event is at *position*, as it was."""
        ...

    def earliest_expiry(self) -> Instant | None:
        """Return when the next hold is over, overdue ones included."""
        ...

    def due(self, now: Instant, limit: int, stream: Key | None = None) -> Sequence[Key]:
        """Return subjects whose time is over by *now*, oldest first: all, or those on a stream."""
        ...

    def write(
        self, events: Sequence[Event], answered: Sequence[tuple[RequestKey, Answered]]
    ) -> None:
        """Add the events of whole commands to the log, move the read models, remember answers."""
        ...

    def forget(self, before: Instant, limit: int) -> int:
        """Forget up to *limit* requests answered before a time; return how many."""
        ...


class Fault(Enum):
    """The kinds of trouble with storage that are handled differently, in words for callers."""

    BUSY = "another process holds the write lock"
    SLOW = "storage is too slow"
    FULL = "the disk is full"
    READ_ONLY = "the database can only be read"
    BROKEN = "storage failed"
    DAMAGED = "stored data is damaged"


@dataclass(eq=False)
class StorageError(Exception):
    """Storage did not do what it was asked.

    Unless it failed while *committing*, nothing was written. If it did, nobody knows
    until the storage was reopened.
    """

    fault: Fault
    committing: bool = False
    why: str = ""
    """The cause in the words of the system, such as `Input/output error`; callers may see it."""
    detail: str = ""
    """What could not be done to which path, and each code there is; it is for the log alone."""

    def told(self) -> str:
        """Return the kind of trouble and its cause, without anything of our insides."""
        return f"{self.fault.value}: {self.why}" if self.why else self.fault.value

    def __str__(self) -> str:
        committing = " (while committing)" if self.committing else ""
        return f"{self.told()}{committing}" + (f"; {self.detail}" if self.detail else "")


NOTHING: Final = Expected()


class Storage(Protocol):
    """The place of the log; one writer at a time, in any number of processes."""

    async def transact(self, work: Callable[[Transaction], T], expecting: Expected = NOTHING) -> T:
        """Run *work* under the write lock and commit; on return it is on disk.

        Raises:
            StorageError: see there. Whatever else *work* raises comes through, and
                nothing was written.
        """
        ...

    async def observe(self, work: Callable[[Transaction], T]) -> T:
        """Run *work*, which only reads, without the write lock."""
        ...

    async def recover(self) -> None:
        """Close everything, open it again, and make sure that what is read is on disk.

        Raises:
            StorageError: it still does not work.
        """
        ...


class Listener(Protocol):
    """A part of this process that follows what is committed. It must not block, nor raise."""

    def recorded(self, events: Sequence[Event]) -> None:
        """Take in the events of a batch, after its commit."""
        ...

    def skipped(self, upto: int) -> None:
        """Forget what was known: so much was committed elsewhere that it was not read."""
        ...


class EventBus(Protocol):
    """Tells listeners in this process what has been committed, in order, once."""

    def subscribe(self, listener: Listener) -> None: ...

    def publish(self, events: Sequence[Event]) -> None:
        """Tell the listeners of *events*; one that raises is logged, and harms no other.

        It is told to forget what it knew, for it may have taken in only some of them.
        """
        ...

    def skip(self, upto: int) -> None:
        """Tell them that the events up to a position are not told one by one."""
        ...


class Query(Generic[T_co]):
    """A question to the read models, which a `T` answers; each noun has its own."""

    __slots__ = ()


class Reading(NamedTuple, Generic[T]):
    """A value, and the position of the log that it reflects."""

    value: T
    as_of: int


PAGE_LIMIT: Final = 100
"""Rows of a page, unless a query says otherwise."""


class Listing(NamedTuple, Generic[T, K]):
    """A page of rows, and where the next one goes on.

    Only so many rows are looked at for a page, however few of them are asked for. So it may
    hold few rows, or none, and still not be the last.
    """

    rows: Sequence[T]
    after: K | None
    """The key that the next page goes on after; None at the end."""

    @property
    def more(self) -> bool:
        return self.after is not None


class PastSnapshot(Protocol):
    """The log as it was right after one position."""

    async def get(self, key: Key) -> Reading[Any]:
        """Return the state of a stream; None had no history."""
        ...


class Snapshot(Protocol):
    """The newest state at the moment of each read, which is one state of the log."""

    async def get(self, key: Key) -> Reading[Any]:
        """Return the state of a stream or a subject; None has no history."""
        ...

    async def read(self, query: Query[T]) -> Reading[T]:
        """Return the answer to *query*."""
        ...


class Views(Protocol):
    """The log and its read models, as queries read them."""

    @property
    def latest(self) -> Snapshot: ...

    def at(self, position: int) -> PastSnapshot:
        """Return the state right after *position*, which the log must have reached."""
        ...
