"""The start, the end and the refusal of a subscription."""

import asyncio
from contextlib import aclosing

import pytest

from inventory_grpc.application.failures import OtherLog, PositionAhead, ShuttingDown
from inventory_grpc.application.following import Progress, Start
from inventory_grpc.domain.values import Instant
from tests.support.engine import settle
from tests.support.feed import (
    LONG,
    NOTHING,
    TOASTER,
    Feed,
    history,
    positions,
    taken,
    until_caught_up,
)
from tests.support.scribe import EVERYTHING
from tests.support.world import MINUTE, NOON, TOASTERS, add, later


async def test_one_that_stops_at_the_head_ends_there_caught_up(feed: Feed) -> None:
    await history(feed)
    *_, last = await feed.all_of()
    assert (last.position, last.head, last.caught_up) == (15, 15, True)
    assert await feed.all_of(15) == [Progress([], 15, 15, caught_up=True)]


async def test_one_that_stops_at_the_head_of_an_empty_log_ends_at_once(feed: Feed) -> None:
    assert await feed.all_of() == [Progress([], 0, 0, caught_up=True)]


async def test_nothing_after_the_head_as_it_was_is_sent_to_one_that_stops_there(
    feed: Feed,
) -> None:
    await history(feed)
    for matching in (EVERYTHING, TOASTER, NOTHING):
        stop_at, seen = feed.head.position, list[Progress]()
        async for message in feed.follow(0, matching, stop_at=stop_at, max_events=2):
            seen.append(message)
            await feed.write(add(1, TOASTERS))
        assert seen[-1].position == stop_at
        assert [message.caught_up for message in seen].count(True) == 1
        assert seen[-1].caught_up
        assert all(position <= stop_at for position in positions(*seen))


async def test_one_that_stops_waits_for_what_is_on_disk_but_not_yet_published(feed: Feed) -> None:
    await feed.scribe.record(add(1), add(1))
    messages = feed.follow(stop_at=2)
    assert (await taken(messages)) == Progress([], 0, 0, caught_up=False)
    waiting = asyncio.ensure_future(taken(messages))
    await settle()
    assert not waiting.done()
    feed.head.advance(2)
    last = await waiting
    assert positions(last) == [1, 2]
    assert last.caught_up
    with pytest.raises(StopAsyncIteration):
        await taken(messages)


async def test_closing_tells_where_to_go_on_then_ends(feed: Feed) -> None:
    await history(feed)
    messages = feed.follow(matching=NOTHING)
    await until_caught_up(messages)
    waiting = asyncio.ensure_future(taken(messages))
    await feed.write(add(1))
    await settle()
    feed.head.close()
    assert (await waiting).position == 16
    with pytest.raises(ShuttingDown):
        await taken(messages)


async def test_closing_says_nothing_twice(feed: Feed) -> None:
    messages = feed.follow()
    await until_caught_up(messages)
    feed.head.close()
    with pytest.raises(ShuttingDown):
        await taken(messages)


async def test_closing_in_the_middle_of_history_does_not_wait_for_its_end(feed: Feed) -> None:
    await history(feed)
    messages = feed.follow(max_events=1)
    await taken(messages)
    assert positions(await taken(messages)) == [1]
    feed.head.close()
    with pytest.raises(ShuttingDown):
        await taken(messages)


async def test_one_that_leaves_leaves_nothing_behind(feed: Feed) -> None:
    before = asyncio.all_tasks()
    async with aclosing(
        feed.followers.follow(0, EVERYTHING, max_events=1, heartbeat_seconds=LONG, stop_at=None)
    ) as messages:
        await taken(messages)
        waiting = asyncio.create_task(taken(messages))
        await settle()
        waiting.cancel()
        await settle()
    assert asyncio.all_tasks() == before


async def test_where_to_begin_can_be_said_in_four_ways(feed: Feed) -> None:
    await feed.write(add(1), add(1))
    feed.scribe.clock.go_on(MINUTE)
    await feed.write(add(1))
    followers = feed.followers
    assert await followers.resolve(Start(), "") == (0, 3)
    assert await followers.resolve(Start(after_position=2), "memory") == (2, 3)
    assert await followers.resolve(Start(after_position=3), "") == (3, 3)
    assert await followers.resolve(Start(from_now=True), "") == (3, 3)
    assert await followers.resolve(Start(after_time=Instant(NOON - 1)), "") == (0, 3)
    assert await followers.resolve(Start(after_time=NOON), "") == (2, 3)
    assert await followers.resolve(Start(after_time=later(MINUTE)), "") == (3, 3)
    assert await followers.resolve(Start(after_time=later(1_000 * MINUTE)), "") == (3, 3)


async def test_a_position_beyond_the_log_is_refused(feed: Feed) -> None:
    await feed.write(add(1))
    with pytest.raises(PositionAhead) as refused:
        await feed.followers.resolve(Start(after_position=2), "")
    assert refused.value.facts() == {"position": "2", "head_position": "1"}


async def test_a_position_of_another_log_is_refused(feed: Feed) -> None:
    with pytest.raises(OtherLog) as refused:
        await feed.followers.resolve(Start(after_position=0), "another")
    assert refused.value.facts() == {"log_id": "memory", "asked_log_id": "another"}


async def test_a_position_under_a_former_name_is_good_up_to_the_end_of_the_name(feed: Feed) -> None:
    await feed.write(add(1), add(1), add(1))
    feed.memory.add_former_name("former", 2)
    for start in (Start(), Start(1), Start(2)):
        assert await feed.followers.resolve(start, "former") == (start.after_position, 3)
    for start in (Start(3), Start(4), Start(from_now=True)):
        with pytest.raises(OtherLog) as refused:
            await feed.followers.resolve(start, "former")
        assert "not former since position 2" in str(refused.value)
