"""Followers miss nothing in the switch from history to live events."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from inventory_grpc.application import following
from inventory_grpc.application.following import Progress
from inventory_grpc.application.queries.events import EventFilter
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.support.engine import Engine, assemble, running
from tests.support.feed import Feed, history, positions, taken, until_caught_up
from tests.support.scribe import EVERYTHING
from tests.support.stores import in_memory
from tests.support.world import KETTLES, PORTO_KETTLES, TOASTERS, add, release, reserve

END = 400
TOASTER = EventFilter(product_ids=frozenset({"toaster"}))


async def write(engine: Engine, chance: random.Random) -> None:
    """Record in bursts until the log is long enough."""
    for stock_id in (KETTLES, TOASTERS, PORTO_KETTLES):
        await engine.record(add(10_000, stock_id))
    number = 0
    while engine.head.position < END:
        burst = []
        for _ in range(chance.randrange(1, 8)):
            number += 1
            lines = chance.sample([KETTLES, TOASTERS, PORTO_KETTLES], chance.randrange(1, 4))
            burst.append(engine.ask(reserve(dict.fromkeys(lines, 1), f"r{number}")))
            burst.append(engine.ask(release(name=f"r{number}")))
        await asyncio.gather(*burst)
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)


async def read(engine: Engine, matching: EventFilter, chance: random.Random) -> list[bytes]:
    """Follow, leave now and then, and come back where the last message said."""
    seen: list[bytes] = []
    after = 0
    while after < END:
        messages = engine.followers.follow(
            after,
            matching,
            max_events=chance.randrange(1, 20),
            heartbeat_seconds=0.01,
            stop_at=None,
        )
        for _ in range(chance.randrange(1, 10)):
            message = await anext(messages)
            assert message.position >= after, "progress never goes back"
            seen += message.events
            after = message.position
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(0)
    return seen


@pytest.mark.parametrize("seed", range(4))
async def test_readers_that_come_and_go_while_it_is_written_miss_and_double_nothing(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "WINDOW", 25)
    monkeypatch.setattr(following, "REPORT_AFTER_SECONDS", 0.01)
    chance = random.Random(seed)
    filters = [EVERYTHING, TOASTER] * 3
    async with running(assemble(in_memory())) as engine, asyncio.timeout(20):
        readers = [
            asyncio.create_task(read(engine, matching, random.Random(chance.random())))
            for matching in filters
        ]
        await write(engine, chance)
        read_by = await asyncio.gather(*readers)
        log = await engine.log()
    for matching, seen in zip(filters, read_by, strict=True):
        wanted = [data for data in log if matching is EVERYTHING or _is_of_toasters(data)]
        # a reader may stop a little after the end that it was waiting for
        assert seen == wanted[: len(seen)]
        assert len(seen) >= sum(Event.FromString(data).position <= END for data in wanted)


def _is_of_toasters(data: bytes) -> bool:
    return Event.FromString(data).product_id == "toaster"


async def test_many_followers_are_told_of_much_at_a_time_and_miss_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(following, "REST_SECONDS", 1.0)  # three are many
    feed = Feed()
    crowd = [feed.follow() for _ in range(3)]
    for messages in crowd:
        await until_caught_up(messages)

    async def told(messages: AsyncIterator[Progress]) -> list[Progress]:
        seen = [await taken(messages)]
        while seen[-1].position < 31:
            seen.append(await taken(messages))
        return seen

    reading = [asyncio.create_task(told(messages)) for messages in crowd]
    await feed.write(add(10))
    for _ in range(30):
        await feed.write(add(1))
        for _ in range(5):
            await asyncio.sleep(0)  # whoever is awake is told now

    for seen in await asyncio.gather(*reading):
        assert positions(*seen) == list(range(1, 32))
        assert len(seen) < 16


async def test_whoever_has_left_is_not_counted() -> None:
    feed = Feed()
    await history(feed)
    staying, leaving = feed.follow(), feed.follow()
    await taken(staying)
    await taken(leaving)
    await feed.all_of()

    async with aclosing(leaving):
        assert len(feed.followers.lags()) == 2

    assert len(feed.followers.lags()) == 1


async def test_history_is_read_without_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "REST_SECONDS", 1.0)  # half a second, if there were any
    feed = Feed()
    await feed.write(*(add(1) for _ in range(60)))

    async with asyncio.timeout(15):
        seen = [message async for message in feed.follow(max_events=1, stop_at=60)]

    assert positions(*seen) == list(range(1, 61))
