"""An in-memory store that implements the ports, for tests."""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import groupby, islice
from operator import attrgetter
from typing import Final

from inventory_grpc.application.outcomes import Answered, Outcome, PartOutcome, RequestKey, State
from inventory_grpc.application.ports import (
    NO_WALKS,
    Expected,
    Fault,
    Head,
    KeptTime,
    News,
    Pending,
    StorageError,
    T,
    Transaction,
    Walk,
    nothing,
)
from inventory_grpc.application.queries.events import EventFilter, Found, Page
from inventory_grpc.domain.book import Audience
from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.registry import NOUNS, STREAMS, SUBJECTS
from inventory_grpc.domain.reversal import Trail
from inventory_grpc.domain.values import EventAt, Instant, ReservationId, StockId
from tests.support.memory.tables import Due, Tables
from tests.support.memory.views import MemoryViews

MAX_SCANNED: Final = 5_000
"""Events looked at in one step of a search."""


class MemoryStore:
    """A `Storage` and an `EventLog`; with `views`, all that is needed.

    One of them under several ledgers is what one file is under several processes.
    """

    def __init__(self, log_id: str = "memory") -> None:
        self._tables = Tables(log_id)
        self.views = MemoryViews(self._tables)

    async def transact(
        self, work: Callable[[Transaction], T], prepare: Callable[[], Expected] = nothing
    ) -> T:
        await asyncio.sleep(0)  # others get their turn, as with a store that has to wait
        prepare()
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
        _check_unsealed(self._tables)

    async def seal(self, place: str) -> None:
        await asyncio.sleep(0)
        self._tables.place = self._tables.place or place

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
        for position in positions[:MAX_SCANNED]:
            if _matches(self._tables.events[position - 1], matching):
                rows.append((position, self._tables.encoded[position - 1]))
                if len(rows) == limit:
                    return Found(rows, position, done=False)
        looked_at = positions[:MAX_SCANNED]
        searched = looked_at[-1] if looked_at else 0
        return Found(rows, searched, done=len(looked_at) == len(positions))

    def add_former_name(self, log_id: str, end: int) -> None:
        """Have the log be one that had this id up to *end*."""
        self._tables.former_names[log_id] = end

    async def end_of(self, log_id: str) -> int | None:
        await asyncio.sleep(0)
        return self._tables.former_names.get(log_id)

    async def position_before(self, time: Instant) -> int:
        await asyncio.sleep(0)
        return bisect_left(self._tables.events, time, key=lambda event: event.record_time)


class MemoryTransaction:
    """A `Transaction` that changes the tables at once, and knows how to take it back."""

    def __init__(self, tables: Tables, *, writable: bool = True) -> None:
        self._tables = tables
        self._writable = writable
        self._kept_before = tables.kept_time
        self._walks_before = tables.walks
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
        self._tables.walks = self._walks_before

    def head(self) -> Head:
        head = self._tables.head
        return Head(head, self._tables.time_of(head))

    def time(self) -> Instant | KeptTime | None:
        return self._tables.kept_time

    def keep_time(self, time: KeptTime) -> None:
        if self._writable:
            self._tables.kept_time = time

    def news_after(self, position: int, limit: int, is_known: Callable[[Key], bool]) -> News:
        events = self._tables.events[position : position + limit]
        about = [(each, {each.key, each.fact.subject} - {None}) for each in events]
        known = [event for event, keys in about if any(map(is_known, keys))]
        return News([event.key for event in events], known)

    def states(self, keys: Collection[Key]) -> dict[Key, State]:
        states: dict[Key, State] = {}
        streams = [key for key in keys if type(key) in STREAMS]
        for key in keys:
            if isinstance(key, ReservationId):
                reservation = states[key] = self._tables.reservation(key)
                streams += reservation.lines if reservation else ()
        return states | {key: self._tables.stream(key) for key in streams}

    def trails(self, keys: Collection[EventAt]) -> dict[EventAt, Trail | None]:
        return {key: self._tables.trail(key.position) for key in keys}

    def answered(self, requests: Collection[RequestKey]) -> dict[RequestKey, Answered | None]:
        return {request: self._tables.requests.get(request) for request in requests}

    def replays(self, positions: Collection[int]) -> dict[int, Outcome]:
        return {position: self._replay(position) for position in positions}

    def _replay(self, position: int) -> Outcome:
        events = self._tables.events
        end = position
        while end < len(events) and events[end].command_position == position:
            end += 1
        own = events[position - 1 : end]
        if not own[0].cause.part:
            return self._outcome_of(own)
        parts = groupby(own, key=lambda event: event.cause.part)
        return Outcome(end, [], [], parts=tuple(PartOutcome.of([*part]) for _, part in parts))

    def _outcome_of(self, events: Sequence[Event]) -> Outcome:
        end = events[-1].position
        keys = dict.fromkeys(event.key for event in events)
        name = next((e.fact.subject for e in events if type(e.fact.subject) in SUBJECTS), None)
        subjects = [] if name is None else [self._tables.reservation_at(name, end)]
        return Outcome(end, [self._tables.state_at(key, end) for key in keys], subjects)

    def walks(self, limit: int) -> Sequence[Walk]:
        return sorted(self._tables.walks.values(), key=attrgetter("since"))[:limit]

    def stocks_of(self, walk: Walk, limit: int) -> Sequence[StockId]:
        product_id, store_id = walk.subject.covers
        stocks = (
            key
            for key in sorted(self._tables.stock_ids())
            if product_id in {"", key.product_id}
            and store_id in {"", key.store_id}
            and (walk.after is None or key > walk.after)
        )
        return list(islice(stocks, limit))

    def write(
        self,
        events: Sequence[Event],
        answered: Sequence[tuple[RequestKey, Answered]],
        walks: Mapping[Key, Walk | None] = NO_WALKS,
    ) -> None:
        if events or answered or walks:
            _check_unsealed(self._tables)
        if walks:
            moved = {**self._tables.walks, **walks}
            self._tables.walks = {key: walk for key, walk in moved.items() if walk is not None}
        for _, command in groupby(events, key=attrgetter("command_position")):
            self._tables.append(list(command))
        for request, answer in answered:
            self._tables.requests[request] = answer
            self._remembered.append(request)

    def forget(self, before: Instant, limit: int) -> int:
        requests = self._tables.requests
        old = [
            key for key, answer in islice(requests.items(), limit) if answer.record_time < before
        ]
        if old:
            _check_unsealed(self._tables)
        for key in old:
            self._forgotten[key] = requests.pop(key)
        return len(old)

    def pending(self) -> Pending:
        due = self._tables.due(None)
        return Pending(
            due[0].expire_time if due else None,
            bool(self._tables.filled),
            bool(self._tables.walks),
            any(self._tables.has_terms()),
        )

    def waiting(self, stream: Key, limit: int) -> Sequence[Key]:
        queue = sorted(
            (reservation.waiting(stream)[1], reservation.reservation_id)
            for _, reservation in self._tables.newest()
            if reservation.waiting(stream)[0]
        )
        return [name for _, name in queue[:limit]]

    def fills_due(self, limit: int) -> Sequence[Key]:
        return [*self._tables.filled][:limit]

    def due(self, now: Instant, limit: int, stream: Key | None = None) -> Sequence[Key]:
        return _over(self._tables.due(stream), now, limit)


def _check_unsealed(tables: Tables) -> None:
    if tables.place:
        raise StorageError(Fault.SEALED, why=f"it goes on at {tables.place}")


def _over(holds: Iterable[Due], now: Instant, limit: int) -> Sequence[ReservationId]:
    return [hold.reservation_id for hold in islice(holds, limit) if hold.expire_time <= now]


def _matches(event: Event, matching: EventFilter) -> bool:
    kinds, products, stores, reservations, subjects, alerts, own = matching
    product_id, store_id = event.key if isinstance(event.key, StockId) else ("", "")
    return (
        (not kinds or type(event.fact).__name__ in kinds)
        and (not products or product_id in products)
        and (not stores or store_id in stores)
        and (not reservations or event.fact.subject in reservations)
        and (not subjects or event.key in subjects or event.fact.subject in subjects)
        and (not alerts or not alerts.isdisjoint(event.alerts))
        and (own is None or _is_shown(event.key, own))
    )


def _is_shown(key: Key, stores: Collection[str]) -> bool:
    """Return whether a caller with only some *stores* sees the events of a stream."""
    audience = next(noun.audience for noun in NOUNS if noun.key is type(key))
    return (
        audience is Audience.EVERYBODY
        or (audience is Audience.ITS_STORE and key.store_id in stores)
        or (audience is Audience.NO_OTHER_STORE and key.store_id in {None, *stores})
    )
