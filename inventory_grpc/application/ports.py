"""What does the application need from the outside? Kept by SQLite, and by memory.

The contract tests hold every implementation to these promises.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from inventory_grpc.domain.events import Event
from inventory_grpc.domain.inventory import Inventory, Stock
from inventory_grpc.domain.reservation import Reservation, ReservationState
from inventory_grpc.domain.values import Instant, ReservationId, StockId

T = TypeVar("T")

WallClock = Callable[[], Instant]
"""What the wall says; it may step in either direction."""

MonotonicClock = Callable[[], int]
"""Microseconds since some moment; never steps, and goes on while the machine sleeps."""


class Outcome(NamedTuple):
    """What a command has made so: the answer its caller gets, however often it asks."""

    position: int
    """Of the command's last event; the head of the log if nothing had to be recorded."""
    stocks: Sequence[Stock]
    reservation: Reservation | None
    replayed: bool = False


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


class Transaction(Protocol):
    """The log and its tables as the writer sees them, inside one transaction.

    Tables may tell *which* (is due, holds this stock); *how much* comes from what is
    folded from events.
    """

    def head(self) -> Head: ...

    def events_after(self, position: int, limit: int) -> Sequence[Event]:
        """Return the next *limit* events, in order."""
        ...

    def inventory(self, stock_id: StockId) -> Inventory:
        """Return a stock folded from its events; one without any has version 0."""
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

    def answered(self, actor: str, request_id: str) -> Answered | None: ...

    def remember(self, actor: str, request_id: str, answered: Answered) -> None: ...

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
    """What is wrong with storage, for those who have to decide what to do about it."""

    BUSY = "another process holds the write lock"
    FULL = "the disk is full"
    BROKEN = "storage failed; it is being reopened"
    DAMAGED = "stored data is damaged"


@dataclass(eq=False)
class StorageError(Exception):
    """Storage did not do what it was asked.

    Unless it failed while *committing*, nothing was written. If it did, nobody knows
    until the storage was reopened.
    """

    fault: Fault
    committing: bool = False

    def __str__(self) -> str:
        return self.fault.value + (" (while committing)" if self.committing else "")


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


class EventFilter(NamedTuple):
    """Which events a follower wants: AND between fields, OR within; empty is all."""

    event_types: frozenset[str] = frozenset()
    product_ids: frozenset[str] = frozenset()
    store_ids: frozenset[str] = frozenset()
    reservation_ids: frozenset[str] = frozenset()


class Page(NamedTuple):
    """A stretch of the log: the events that match, as they are stored."""

    events: Sequence[bytes]
    scanned: int
    """Everything up to here has been considered."""


class EventLog(Protocol):
    """The log, for followers: stored bytes, passed on unopened."""

    @property
    def log_id(self) -> str: ...

    def head(self) -> int:
        """Return where the log ends in storage now; without a thread hop."""
        ...

    async def page(
        self, after: int, upto: int, matching: EventFilter, max_events: int, max_bytes: int
    ) -> Page:
        """Return whole commands after a position: it stops taking more at the limits.

        At least one command, if any matches. *upto* is lowered to where a command
        ends, so `scanned` is such a place.
        """
        ...

    async def list_events(
        self, matching: EventFilter, after: int, before: int, limit: int, *, newest_first: bool
    ) -> Sequence[tuple[int, bytes]]:
        """Return up to *limit* events strictly between two positions, with theirs."""
        ...

    async def position_before(self, time: Instant) -> int:
        """Return the position of the last event recorded before *time*; 0 if none."""
        ...


class Reading(NamedTuple, Generic[T]):
    """What was so at a position of the log."""

    value: T
    as_of: int


class StockQuery(NamedTuple):
    """Which stocks to list, from which on: by product, then store."""

    product_ids: frozenset[str] = frozenset()
    store_ids: frozenset[str] = frozenset()
    max_available: int | None = None
    after: tuple[str, str] | None = None


class ReservationQuery(NamedTuple):
    """Which reservations to list, from which on: newest first; empty is any."""

    customer_id: str = ""
    order_id: str = ""
    states: frozenset[ReservationState] = frozenset()
    product_id: str = ""
    store_id: str = ""
    before: int | None = None


class Listing(NamedTuple, Generic[T]):
    """A page of rows, and whether there are more."""

    rows: Sequence[T]
    more: bool


class Stocks(NamedTuple):
    """Several stocks, and a reservation, at one position."""

    stocks: Mapping[StockId, Stock]
    reservation: Reservation | None


class Product(NamedTuple):
    """A product over all stores, and some of its stocks."""

    on_hand: int
    reserved: int
    available: int
    shortfall: int
    stocks: Listing[Stock]


class Views(Protocol):
    """The read models. Each answer is one state of the log, and says which."""

    def stock(self, stock_id: StockId) -> Reading[Stock | None]:
        """Return one stock; without a thread hop."""
        ...

    def reservation(self, reservation_id: ReservationId) -> Reading[Reservation | None]:
        """Return one reservation; without a thread hop."""
        ...

    async def stocks(
        self, stock_ids: Sequence[StockId], reservation_id: ReservationId | None
    ) -> Reading[Stocks]:
        """Return those of the stocks that have a history, and a reservation with them."""
        ...

    async def stock_as_of(self, stock_id: StockId, position: int) -> Reading[Stock | None]:
        """Return one stock as it was right after *position*."""
        ...

    async def product(self, product_id: str, after_store: str, limit: int) -> Reading[Product]:
        """Return a product's stocks after a store, by store, and the sums over all stores."""
        ...

    async def list_stock(self, query: StockQuery, limit: int) -> Reading[Listing[Stock]]: ...

    async def list_reservations(
        self, query: ReservationQuery, limit: int
    ) -> Reading[Listing[tuple[int, Reservation]]]:
        """Return reservations, each with the number to go on from; fewer if they are long."""
        ...

    async def recently_moved(self, limit: int) -> Reading[Sequence[Stock]]:
        """Return the stocks that moved last, to warm a cache with."""
        ...
