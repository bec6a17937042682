"""What does the application need to read? Kept by SQLite, and by memory.

The contract tests hold every implementation to these promises.
"""

from collections.abc import Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from inventory_grpc.application.access import EVERYWHERE, Scope
from inventory_grpc.domain.reservation import Reservation, ReservationState
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import Instant, ReservationId, StockId

T = TypeVar("T")
K = TypeVar("K")

StockKey = tuple[str, str]
"""Product and store."""


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


class Found(NamedTuple):
    """Events that match, with their positions, in the order asked for."""

    rows: Sequence[tuple[int, bytes]]
    searched: int
    """From where the search began to this position, included, every event was looked at.

    0 where there was none to look at.
    """
    done: bool
    """Whether there is nothing more to look at."""


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

    async def search(
        self, matching: EventFilter, after: int, before: int, limit: int, *, newest_first: bool
    ) -> Found:
        """Take one step through the events strictly between two positions.

        A step looks at a bounded number of events, however few of them match, and finds
        *limit* of them at most. To go on, begin again at `searched`.
        """
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
    after: StockKey | None = None


class ReservationQuery(NamedTuple):
    """Which reservations to list, from which on: newest first; empty is any."""

    customer_id: str = ""
    order_id: str = ""
    states: frozenset[ReservationState] = frozenset()
    product_id: str = ""
    store_id: str = ""
    before: int | None = None
    scope: Scope = EVERYWHERE
    """Only reservations of which every line is in it."""


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


class Stocks(NamedTuple):
    """Several stocks, and a reservation, at one position."""

    stocks: Mapping[StockId, Inventory]
    reservation: Reservation | None


class Product(NamedTuple):
    """A product over all stores, and some of its stocks; the sums are exact, however high."""

    on_hand: int
    reserved: int
    available: int
    shortfall: int
    stocks: Listing[Inventory, StockKey]


class Views(Protocol):
    """The read models. Each answer is one state of the log, and says which."""

    def stock(self, stock_id: StockId) -> Reading[Inventory | None]:
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

    async def stock_as_of(self, stock_id: StockId, position: int) -> Reading[Inventory | None]:
        """Return one stock as it was right after *position*."""
        ...

    async def product(
        self, product_id: str, after_store: str, limit: int, scope: Scope
    ) -> Reading[Product]:
        """Return a product's stocks after a store, by store, and the sums over all in scope."""
        ...

    async def list_stock(
        self, query: StockQuery, limit: int
    ) -> Reading[Listing[Inventory, StockKey]]: ...

    async def list_reservations(
        self, query: ReservationQuery, limit: int
    ) -> Reading[Listing[tuple[int, Reservation], int]]:
        """Return reservations, each with the number to go on from; fewer if they are long."""
        ...

    async def recently_moved(self, limit: int) -> Reading[Sequence[Inventory]]:
        """Return the stocks that moved last, to warm a cache with."""
        ...
