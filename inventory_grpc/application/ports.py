"""What does the application need to write, and to be told? Kept by SQLite, and by memory.

The contract tests hold every implementation to these promises.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import Instant, ReservationId, StockId

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
K = TypeVar("K")

WallClock = Callable[[], Instant]
"""What the wall says; it may step in either direction."""

MonotonicClock = Callable[[], int]
"""Microseconds since some moment; never steps, and goes on while the machine sleeps."""


class Outcome(NamedTuple):
    """What a command has made so: the answer its caller gets, however often it asks."""

    position: int
    """Of the command's last event; the head of the log if nothing had to be recorded."""
    stocks: Sequence[Inventory]
    reservation: Reservation | None
    replayed: bool = False


class RequestKey(NamedTuple):
    """Which request: each actor has ids of their own."""

    actor: str
    request_id: str


class Answered(NamedTuple):
    """How a request was answered that was recorded before."""

    fingerprint: bytes
    position: int
    """Of its first event, from which the answer is made again; else the head as it was."""
    outcome: Outcome | None
    """The answer itself, where there are no events to make it from."""
    record_time: Instant


class Head(NamedTuple):
    """Where the log ends."""

    position: int
    record_time: Instant


class KeptTime(NamedTuple):
    """How the log's time follows from the time since a start of the machine."""

    boot: str
    """The id of that start."""
    offset: int
    """Microseconds from the one to the other."""


class Transaction(Protocol):
    """The log and its tables as the writer sees them, inside one transaction.

    Tables may tell *which* (is due, holds this stock); *how much* comes from what is
    folded from events.
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

    def inventory(self, stock_id: StockId) -> Inventory:
        """Return a stock as its events have made it; one without any has version 0."""
        ...

    def reservation(
        self, reservation_id: ReservationId, upto: int | None = None
    ) -> Reservation | None:
        """Return a reservation folded from its events, those after *upto* left out."""
        ...

    def append(self, events: Sequence[Event]) -> None:
        """Add one command's events to the log, and move the read models."""
        ...

    def command(self, position: int) -> Sequence[Event]:
        """Return the events of the command whose first event is at *position*."""
        ...

    def expect(
        self,
        requests: Collection[RequestKey],
        stock_ids: Collection[StockId] = (),
        reservation_ids: Collection[ReservationId] = (),
    ) -> None:
        """Look up all of these at once: each will be asked for."""
        ...

    def answered(self, request: RequestKey) -> Answered | None: ...

    def remember(self, request: RequestKey, answered: Answered) -> None: ...

    def forget(self, before: Instant, limit: int) -> int:
        """Forget up to *limit* requests answered before a time; return how many."""
        ...

    def earliest_expiry(self) -> Instant | None:
        """Return when the next hold is over, overdue ones included."""
        ...

    def due(self, now: Instant, limit: int) -> Sequence[ReservationId]:
        """Return reservations whose holds are over by *now*, oldest first."""
        ...

    def due_on(self, stock_id: StockId, now: Instant, limit: int) -> Sequence[ReservationId]:
        """Return those of them that hold *stock_id*, oldest first."""
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


class Storage(Protocol):
    """Where the log is kept; one writer at a time, in any number of processes."""

    async def transact(self, work: Callable[[Transaction], T]) -> T:
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


class EventBus(Protocol):
    """Tells handlers in this process what has been committed, in order, once."""

    def subscribe(self, kind: type[Any], handler: Callable[[Any], None]) -> None:
        """Have *handler* called with every event of a fact of *kind*, or with every *kind*."""
        ...

    def publish(self, occurrence: "Event | Skipped") -> None:
        """Call the handlers; one that raises is logged, and harms nobody."""
        ...


@dataclass(frozen=True, slots=True)
class Skipped:
    """So much was committed elsewhere that it was not looked at one by one."""

    upto: int


class Query(Generic[T_co]):
    """A question to the read models, which a `T` answers; each noun has its own."""

    __slots__ = ()


class Reading(NamedTuple, Generic[T]):
    """What was so at a position of the log."""

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

    async def get(self, key: StockId) -> Reading[Any]:
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
