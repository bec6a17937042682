"""A log that is written one command at a time, and its followers."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from inventory_grpc.application.following import Followers, Progress
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.queries.events import EventFilter
from inventory_grpc.domain.book import Command
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.support.memory.store import MemoryStore
from tests.support.scribe import EVERYTHING, Scribe
from tests.support.stores import Store, in_memory
from tests.support.world import KETTLES, PORTO_KETTLES, TOASTERS, add, release, reserve

TOASTER = EventFilter(product_ids=frozenset({"toaster"}))
NOTHING = EventFilter(product_ids=frozenset({"nobody-has-it"}))
LONG = 60.0


class Feed:
    def __init__(self) -> None:
        self.memory = MemoryStore()
        self.store: Store = in_memory(self.memory)
        self.scribe = Scribe(self.store)
        self.head = Head()
        self.followers = Followers(self.store.event_log, self.head)

    async def write(self, *commands: Command) -> None:
        await self.scribe.record(*commands)
        self.head.advance(await self.store.event_log.head())

    def follow(
        self,
        after: int = 0,
        matching: EventFilter = EVERYTHING,
        *,
        max_events: int = 256,
        heartbeat: float = LONG,
        stop_at: int | None = None,
    ) -> AsyncGenerator[Progress, None]:
        return self.followers.follow(
            after,
            matching,
            max_events=max_events,
            heartbeat_seconds=heartbeat,
            stop_at=stop_at,
        )

    async def all_of(self, after: int = 0, matching: EventFilter = EVERYTHING) -> list[Progress]:
        """Follow up to the head and no further."""
        stop_at = self.head.position
        return [progress async for progress in self.follow(after, matching, stop_at=stop_at)]


async def taken(messages: AsyncIterator[Progress], seconds: float = 2.0) -> Progress:
    async with asyncio.timeout(seconds):
        return await anext(messages)


async def until_caught_up(messages: AsyncIterator[Progress]) -> list[Progress]:
    seen = [await taken(messages)]
    while not seen[-1].caught_up:
        seen.append(await taken(messages))
    return seen


def positions(*messages: Progress) -> list[int]:
    return [Event.FromString(data).position for message in messages for data in message.events]


async def history(feed: Feed) -> None:
    """Nine commands of 15 events."""
    await feed.write(add(10), add(10, TOASTERS), add(10, PORTO_KETTLES))
    cart = {KETTLES: 1, TOASTERS: 1, PORTO_KETTLES: 1}
    await feed.write(*(reserve(cart, f"r{n}") for n in range(3)), release(name="r1"))
