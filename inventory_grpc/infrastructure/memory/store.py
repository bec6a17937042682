"""How do commands get into the log, and followers read it?"""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice
from typing import Final

from inventory_grpc.application.ledger.states import reservation_fact
from inventory_grpc.application.ports import Answered, Head, KeptTime, RequestKey, T, Transaction
from inventory_grpc.application.queries.events import EventFilter, Found, Page
from inventory_grpc.domain.event import Event
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import Instant, ReservationId, StockId
from inventory_grpc.infrastructure.memory.tables import Due, Tables
from inventory_grpc.infrastructure.memory.views import MemoryViews

MAX_LOOKED_AT: Final = 5_000
"""Events looked at in one step of a search."""


class MemoryStore:
    """A `Storage` and an `EventLog`; with `views`, all that is needed.

    One of them under several ledgers is what one file is under several processes.
    """

    def __init__(self, log_id: str = "memory") -> None:
        self._tables = Tables(log_id)
        self.views = MemoryViews(self._tables)

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        await asyncio.sleep(0)  # others get their turn, as with a store that has to wait
        transaction = MemoryTransaction(self._tables)
        try:
            return work(transaction)
        except BaseException:
            transaction.take_back()
            raise

    async def observe(self, work: Callable[[Transaction], T]) -> T:
        await asyncio.sleep(0)
        return work(MemoryTransaction(self._tables, writable=False))

    async def recover(self) -> None:
        await asyncio.sleep(0)

    @property
    def log_id(self) -> str:
        return self._tables.log_id

    async def head(self) -> int:
        return self._tables.head

    async def page(
        self, after: int, upto: int, matching: EventFilter, max_events: int, max_bytes: int
    ) -> Page:
        await asyncio.sleep(0)
        events = self._tables.events
        upto = min(upto, len(events))
        if upto < len(events) and events[upto].command_position <= upto:
            upto = events[upto].command_position - 1
        taken: list[bytes] = []
        size = 0
        for position in range(after + 1, upto + 1):
            event, data = events[position - 1], self._tables.encoded[position - 1]
            is_full = len(taken) >= max_events or size >= max_bytes
            if is_full and event.command_position == position:
                return Page(taken, position - 1)
            if _matches(event, matching):
                taken.append(data)
                size += len(data)
        return Page(taken, max(after, upto))

    async def search(
        self, matching: EventFilter, after: int, before: int, limit: int, *, newest_first: bool
    ) -> Found:
        await asyncio.sleep(0)
        positions = range(after + 1, min(before, self._tables.head + 1))
        if newest_first:
            positions = positions[::-1]
        rows: list[tuple[int, bytes]] = []
        for position in positions[:MAX_LOOKED_AT]:
            if _matches(self._tables.events[position - 1], matching):
                rows.append((position, self._tables.encoded[position - 1]))
                if len(rows) == limit:
                    return Found(rows, position, done=False)
        looked_at = positions[:MAX_LOOKED_AT]
        searched = looked_at[-1] if looked_at else 0
        return Found(rows, searched, done=len(looked_at) == len(positions))

    async def position_before(self, time: Instant) -> int:
        await asyncio.sleep(0)
        return bisect_left(self._tables.events, time, key=lambda event: event.record_time)


class MemoryTransaction:
    """A `Transaction` that changes the tables at once, and knows how to take it back."""

    def __init__(self, tables: Tables, *, writable: bool = True) -> None:
        self._tables = tables
        self._writable = writable
        self._kept_before = tables.kept_time
        self._begun_at = tables.head
        self._remembered: list[RequestKey] = []
        self._forgotten: dict[RequestKey, Answered] = {}

    def take_back(self) -> None:
        """Undo all that was done."""
        if self._forgotten:
            self._tables.requests = self._forgotten | self._tables.requests
        for key in self._remembered:
            del self._tables.requests[key]
        self._tables.truncate(self._begun_at)
        self._tables.kept_time = self._kept_before

    def head(self) -> Head:
        head = self._tables.head
        return Head(head, self._tables.time_of(head))

    def kept_time(self) -> KeptTime | None:
        return self._tables.kept_time

    def keep_time(self, time: KeptTime) -> None:
        if self._writable:
            self._tables.kept_time = time

    def events_after(self, position: int, limit: int) -> Sequence[Event]:
        return self._tables.events[position : position + limit]

    def inventory(self, stock_id: StockId) -> Inventory:
        return self._tables.inventory(stock_id)

    def reservation(
        self, reservation_id: ReservationId, upto: int | None = None
    ) -> Reservation | None:
        if upto is None:
            return self._tables.reservation(reservation_id)
        return self._tables.reservation_at(reservation_id, upto)

    def append(self, events: Sequence[Event]) -> None:
        self._tables.append(events)

    def command(self, position: int) -> Sequence[Event]:
        events = self._tables.events
        end = position
        while end < len(events) and events[end].command_position == position:
            end += 1
        return events[position - 1 : end]

    def expect(
        self,
        requests: Collection[RequestKey],
        stock_ids: Collection[StockId] = (),
        reservation_ids: Collection[ReservationId] = (),
    ) -> None:
        """Do nothing: a look-up costs nothing here."""

    def answered(self, request: RequestKey) -> Answered | None:
        return self._tables.requests.get(request)

    def remember(self, request: RequestKey, answered: Answered) -> None:
        self._tables.requests[request] = answered
        self._remembered.append(request)

    def forget(self, before: Instant, limit: int) -> int:
        requests = self._tables.requests
        oldest = [
            key
            for key, answered in islice(requests.items(), limit)
            if answered.record_time < before
        ]
        for key in oldest:
            self._forgotten[key] = requests.pop(key)
        return len(oldest)

    def earliest_expiry(self) -> Instant | None:
        due = self._tables.due(None)
        return due[0].expire_time if due else None

    def due(self, now: Instant, limit: int) -> Sequence[ReservationId]:
        return _over(self._tables.due(None), now, limit)

    def due_on(self, stock_id: StockId, now: Instant, limit: int) -> Sequence[ReservationId]:
        return _over(self._tables.due(stock_id), now, limit)


def _over(holds: Iterable[Due], now: Instant, limit: int) -> Sequence[ReservationId]:
    return [hold.reservation_id for hold in islice(holds, limit) if hold.expire_time <= now]


def _matches(event: Event, matching: EventFilter) -> bool:
    fact = reservation_fact(event)
    kinds, products, stores, reservations = matching
    return (
        (not kinds or type(event.fact).__name__ in kinds)
        and (not products or event.key.product_id in products)
        and (not stores or event.key.store_id in stores)
        and (not reservations or (fact is not None and fact.reservation_id in reservations))
    )
