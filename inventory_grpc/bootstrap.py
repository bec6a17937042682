"""How do the parts become one service? The only place that knows them all."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from inventory_grpc.application.circuit_breaker import CircuitBreaker
from inventory_grpc.application.clock import LogClock
from inventory_grpc.application.head import Head
from inventory_grpc.application.ledger import Ledger
from inventory_grpc.application.ports import Reading, WallClock
from inventory_grpc.application.queries import Queries
from inventory_grpc.application.states import States
from inventory_grpc.application.subscription import Followers
from inventory_grpc.infrastructure import clocks
from inventory_grpc.infrastructure.cache import TtlStockCache
from inventory_grpc.infrastructure.event_bus import InProcessBus
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.event_log import SqliteEventLog
from inventory_grpc.infrastructure.sqlite.head_poll import poll_head
from inventory_grpc.infrastructure.sqlite.opening import prepare
from inventory_grpc.infrastructure.sqlite.readers import Readers
from inventory_grpc.infrastructure.sqlite.storage import SqliteStorage
from inventory_grpc.infrastructure.sqlite.views import SqliteViews
from inventory_grpc.settings import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Engine:
    """The service without a server: what servicers call."""

    ledger: Ledger
    queries: Queries
    followers: Followers
    event_log: SqliteEventLog
    head: Head
    breaker: CircuitBreaker
    clock: LogClock
    running: asyncio.Task[None]
    """The ledger's loop; it ends by itself only when storage is beyond help."""


@asynccontextmanager
async def engine(settings: Settings, *, wall: WallClock = clocks.wall) -> AsyncIterator[Engine]:
    """Open the database in *settings* and run the ledger on it; close both in the end.

    Raises:
        NotOurs, InUse, StorageError: the file cannot be used, and was left as it is.
    """
    database = Database(settings.database, settings.durability)
    with prepare(database, wall()):
        readers = Readers(database)
        storage = SqliteStorage(database, readers)
        await storage.open()
        bus, head = InProcessBus(), Head()
        cache = TtlStockCache(head, settings.cached_stocks, time.monotonic)
        cache.listen(bus)
        breaker = CircuitBreaker(clocks.monotonic, random.random)
        clock = LogClock(wall, clocks.monotonic)
        ledger = Ledger(
            storage,
            bus,
            head,
            clock,
            breaker,
            states=States(settings.cached_stocks, settings.cached_reservations),
            remember_seconds=settings.remember_days * 86_400,
        )
        views, event_log = SqliteViews(readers), SqliteEventLog(readers, storage.log_id)
        await ledger.start()
        if settings.warm_stocks:
            warmest = await views.recently_moved(min(settings.warm_stocks, settings.cached_stocks))
            for stock in warmest.value:
                cache.put(stock.stock_id, Reading(stock, warmest.as_of))
        running = asyncio.create_task(ledger.run(), name="ledger")
        polling = asyncio.create_task(
            poll_head(readers, head, lambda _: ledger.follow()), name="head poll"
        )
        try:
            yield Engine(
                ledger,
                Queries(views, event_log, cache),
                Followers(event_log, head),
                event_log,
                head,
                breaker,
                clock,
                running,
            )
        finally:
            polling.cancel()
            ledger.close()
            await asyncio.wait([running, polling])
            await storage.close()
