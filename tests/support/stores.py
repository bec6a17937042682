"""All implementations of the ports, opened alike; one injects faults."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple
from unittest.mock import patch

from inventory_grpc.application.ports import (
    Expected,
    Storage,
    StorageError,
    T,
    Transaction,
    Views,
    nothing,
)
from inventory_grpc.application.queries.events import EventLog
from inventory_grpc.application.store import Durability
from inventory_grpc.infrastructure.postgres import server
from inventory_grpc.infrastructure.store import open_source, open_store
from inventory_grpc.settings import Settings
from tests.support import postgres
from tests.support.memory.store import MemoryStore
from tests.support.world import NOON


class Store(NamedTuple):
    """One log, by each of its ports."""

    storage: Storage
    event_log: EventLog
    views: Views
    database: str | Path = ""
    """The place of the log, if it outlives the process."""
    seal: Callable[[str], Awaitable[None]] | None = None
    """Refuses all writes from now on; the log goes on at the place that is given."""


def in_memory(memory: MemoryStore | None = None) -> Store:
    memory = memory or MemoryStore()
    return Store(memory, memory, memory.views, seal=memory.seal)


@asynccontextmanager
async def open_memory(_: Path) -> AsyncIterator[Store]:
    yield in_memory()


@asynccontextmanager
async def open_sqlite(directory: Path) -> AsyncIterator[Store]:
    settings = Settings(
        database=directory / "inventory.db",
        durability=Durability.RELAXED,  # the cost of a sync is not the subject of these tests
    )
    async with open_store(settings, NOON) as store:
        yield Store(
            store.storage, store.log, store.views, settings.database, sealing(settings.database)
        )


@asynccontextmanager
async def open_postgres(_: Path) -> AsyncIterator[Store]:
    # how long a test computes in a transaction says more of the machine than of the code
    patience = {"idle_in_transaction_session_timeout": "59s"}
    with patch.dict(server._COMMON, patience), postgres.emptied_schema() as url:
        settings = Settings(database=url, durability=Durability.RELAXED)
        async with open_store(settings, NOON) as store:
            yield Store(store.storage, store.log, store.views, url, sealing(url))


def sealing(database: Path | str) -> Callable[[str], Awaitable[None]]:
    """Return a function that seals a log as a process of its own does it."""

    def seal(place: str) -> None:
        with open_source(database) as source:
            source.seal(place)
        if isinstance(database, str):
            postgres.discard(database)

    return lambda place: asyncio.to_thread(seal, place)


STORES: Final[Mapping[str, Callable[[Path], AbstractAsyncContextManager[Store]]]] = {
    "memory": open_memory,
    "postgres": open_postgres,
    "sqlite": open_sqlite,
}
"""Implementations of the ports, by the name that tests show."""


class TroubledStore(MemoryStore):
    """A store that fails or blocks on demand."""

    def __init__(self) -> None:
        super().__init__()
        self._troubles: list[tuple[StorageError, bool]] = []
        self._broken: StorageError | None = None
        self.transactions = 0
        """Begun, also those that failed."""
        self.batches: list[int] = []
        """The number of events of each transaction that recorded any."""
        self.recoveries = 0
        self.open = asyncio.Event()
        """While it is not set, every transaction waits for it."""
        self.open.set()

    def fail_next(self, *errors: StorageError, kept: bool = False) -> None:
        """Have the next transactions fail, one with each error.

        One that fails while committing has done its work first; it is on disk if *kept*.
        """
        self._troubles += [(error, kept) for error in errors]

    def break_down(self, error: StorageError) -> None:
        """Have everything fail, recovery included, until it is mended."""
        self._broken = error

    def mend(self) -> None:
        self._broken = None

    async def transact(
        self, work: Callable[[Transaction], T], prepare: Callable[[], Expected] = nothing
    ) -> T:
        self.transactions += 1
        await self.open.wait()
        if self._broken:
            raise self._broken
        if not self._troubles:
            before = await self.head()
            result = await super().transact(work, prepare)
            recorded = await self.head() - before
            self.batches += [recorded] if recorded else []
            return result
        error, kept = self._troubles.pop(0)
        if not error.committing:
            raise error
        if kept:
            await super().transact(work, prepare)
            raise error

        def work_in_vain(transaction: Transaction) -> T:
            work(transaction)
            raise error

        return await super().transact(work_in_vain, prepare)

    async def observe(self, work: Callable[[Transaction], T]) -> T:
        if self._broken:
            raise self._broken
        return await super().observe(work)

    async def recover(self) -> None:
        self.recoveries += 1
        if self._broken:
            raise self._broken
        await super().recover()
