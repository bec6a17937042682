"""The simulated disk as one process sees it: each of the application's ports."""

from collections.abc import Callable
from typing import Any

from inventory_grpc.application.ledger.loop import Ledger
from inventory_grpc.application.ports import (
    Expected,
    Query,
    Reading,
    StorageError,
    T,
    Transaction,
    nothing,
)
from inventory_grpc.application.queries.events import EventFilter, Page
from inventory_grpc.domain.event import Key
from tests.robustness.simulation.disk import HOP_SECONDS, Disk
from tests.support.memory.store import MemoryStore, MemoryTransaction
from tests.support.memory.views import MemoryViews
from tests.support.stores import Store

READ_SECONDS = 0.002


class Port(MemoryStore):
    """`Storage` and `EventLog` on the simulated disk."""

    def __init__(self, disk: Disk, who: str, base: int) -> None:
        super().__init__()
        self._tables = disk.tables
        self._disk = disk
        self._who = who
        self.base = base
        self.views = SlowViews(disk)
        self.ledger: Ledger | None = None
        """The ledger whose transactions these are."""
        self.troubles = 0
        """The number of storage failures that this process saw."""

    def store(self) -> Store:
        return Store(self, self, self.views)

    async def transact(
        self,
        work: Callable[[Transaction], T],
        prepare: Callable[[], Expected] = nothing,
    ) -> T:
        prepare()
        try:
            unasked = self.ledger is not None and self.ledger._upkeep.just_stepped
            return await self._disk.transact(self._who, self.base, work, unasked=unasked)
        except StorageError as error:
            self._note(error)
            raise

    async def observe(self, work: Callable[[Transaction], T]) -> T:
        disk = self._disk
        await disk.chance.pause(HOP_SECONDS)
        try:
            disk.check_read()
        except StorageError as error:
            self._note(error)
            raise
        result = work(MemoryTransaction(self._tables))
        await disk.chance.pause(HOP_SECONDS)
        return result

    async def recover(self) -> None:
        try:
            await self._disk.probe(self._who)
        except StorageError as error:
            self._note(error)
            raise
        await self._disk.chance.pause(HOP_SECONDS)

    def _note(self, error: StorageError) -> None:
        self.troubles += 1
        self._disk.trace.saw(self._who, f"storage: {error.fault.name}")

    async def page(
        self, after: int, upto: int, matching: EventFilter, max_events: int, max_bytes: int
    ) -> Page:
        await self._disk.chance.pause(READ_SECONDS)
        self._disk.check_read()
        page = await super().page(after, upto, matching, max_events, max_bytes)
        await self._disk.chance.pause(HOP_SECONDS)
        return page


class SlowViews(MemoryViews):
    """`Views` whose answers were true when they were read, a moment ago."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk.tables)
        self._disk = disk

    async def get(self, key: Key) -> Reading[Any]:
        await self._reached()
        reading = await super().get(key)
        await self._disk.chance.pause(HOP_SECONDS)
        return reading

    async def read(self, query: Query[T], at_least: int = 0) -> Reading[T]:
        await self._reached()
        reading = await super().read(query, at_least)
        await self._disk.chance.pause(HOP_SECONDS)
        return reading

    async def _reached(self) -> None:
        await self._disk.chance.pause(READ_SECONDS)
        self._disk.check_read()
