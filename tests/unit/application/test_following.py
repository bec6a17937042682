"""Followers get every event once, in order, with honest progress."""

import asyncio

import pytest

from inventory_grpc.application import following
from inventory_grpc.application.following import WINDOW, Progress
from inventory_grpc.application.queries.events import EventFilter
from inventory_grpc.infrastructure.log.chain import MAX_COMMAND_EVENTS
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.support.engine import settle
from tests.support.feed import (
    NOTHING,
    TOASTER,
    Feed,
    history,
    positions,
    taken,
    until_caught_up,
)
from tests.support.scribe import EVERYTHING, log_of
from tests.support.world import KETTLES, add, reserve


def test_a_window_is_longer_than_any_command_so_that_each_one_brings_a_follower_on() -> None:
    assert WINDOW > MAX_COMMAND_EVENTS


async def test_on_an_empty_log_the_first_message_comes_at_once_and_is_caught_up(
    feed: Feed,
) -> None:
    assert await taken(feed.follow()) == Progress([], 0, 0, caught_up=True)


async def test_the_first_message_comes_at_once_also_when_there_is_much_to_read(feed: Feed) -> None:
    await history(feed)
    assert await taken(feed.follow(4)) == Progress([], 4, 15, caught_up=False)


async def test_at_the_head_the_first_message_is_caught_up(feed: Feed) -> None:
    await history(feed)
    assert await taken(feed.follow(15)) == Progress([], 15, 15, caught_up=True)


async def test_all_that_happened_comes_once_in_order_then_word_that_this_was_all(
    feed: Feed,
) -> None:
    await history(feed)
    for limit in (1, 2, 5, 256):
        messages = await until_caught_up(feed.follow(max_events=limit))
        assert positions(*messages) == list(range(1, 16))
        assert [data for message in messages for data in message.events] == await log_of(feed.store)
        assert [message.caught_up for message in messages].count(True) == 1
        assert messages[-1].position == messages[-1].head == 15


async def test_a_command_is_never_in_two_messages(feed: Feed) -> None:
    await history(feed)
    for limit in (1, 2, 3, 4):
        for message in await until_caught_up(feed.follow(max_events=limit)):
            events = [Event.FromString(data) for data in message.events]
            commands = [event.command_position for event in events]
            if not events:
                assert message.position == 0, "only the first message may have none"
                continue
            assert events[-1].position == message.position
            assert events[0].position == commands[0]
            assert len(events) - commands.count(commands[-1]) < limit


async def test_where_nothing_matches_it_is_caught_up_all_the_same(feed: Feed) -> None:
    await history(feed)
    *_, last = await until_caught_up(feed.follow(matching=NOTHING))
    assert last == Progress([], 15, 15, caught_up=True)


async def test_a_filter_leaves_out_nothing_that_matches(feed: Feed) -> None:
    await history(feed)
    everything = [Event.FromString(data) for data in await log_of(feed.store)]
    toasters = [event.position for event in everything if event.product_id == "toaster"]
    for limit in (1, 2, 256):
        messages = await until_caught_up(feed.follow(matching=TOASTER, max_events=limit))
        assert positions(*messages) == toasters


async def test_what_is_told_to_be_considered_has_been(feed: Feed) -> None:
    await history(feed)
    everything = [Event.FromString(data) for data in await log_of(feed.store)]
    toasters = [event.position for event in everything if event.product_id == "toaster"]
    seen: list[int] = []
    for message in await until_caught_up(feed.follow(matching=TOASTER, max_events=1)):
        seen += positions(message)
        assert seen == [position for position in toasters if position <= message.position]


@pytest.mark.parametrize("matching", [EVERYTHING, TOASTER, NOTHING], ids=["all", "some", "none"])
async def test_whoever_comes_back_anywhere_gets_what_is_missing(
    feed: Feed, matching: EventFilter
) -> None:
    await history(feed)
    whole = positions(*await feed.all_of(matching=matching))
    for after in range(16):
        rest = positions(*await feed.all_of(after, matching))
        assert rest == [position for position in whole if position > after]


async def test_whoever_leaves_after_any_message_and_comes_back_gets_the_same_sequence(
    feed: Feed,
) -> None:
    await history(feed)
    seen, after = list[int](), 0
    while after < 15:
        messages = feed.follow(after, TOASTER, max_events=1)
        await taken(messages)
        message = await taken(messages)
        seen += positions(message)
        after = message.position
    assert seen == positions(*await feed.all_of(matching=TOASTER))


async def test_what_happens_next_comes_as_it_happens(feed: Feed) -> None:
    messages = feed.follow()
    await until_caught_up(messages)
    for number in range(1, 6):
        waiting = asyncio.ensure_future(taken(messages))
        await settle()
        assert not waiting.done()
        await feed.write(add(1))
        message = await waiting
        assert positions(message) == [number]
        assert message.position == message.head == number


async def test_what_happened_while_the_reader_was_busy_is_not_lost(feed: Feed) -> None:
    messages = feed.follow()
    await until_caught_up(messages)
    await feed.write(add(1), add(1), reserve({KETTLES: 1}))
    assert positions(await taken(messages)) == [1, 2, 3]


async def test_each_time_it_has_fallen_behind_it_is_told_when_it_has_caught_up(feed: Feed) -> None:
    messages = feed.follow(max_events=1)
    await until_caught_up(messages)
    for _ in range(3):
        await feed.write(add(1), add(1), add(1))
        told = [(await taken(messages)).caught_up for _ in range(3)]
        assert told == [False, False, True]


def _now() -> float:
    return asyncio.get_running_loop().time()


async def test_silence_is_broken_by_heartbeats_and_only_by_them(feed: Feed) -> None:
    await history(feed)
    messages = feed.follow(15, heartbeat=0.05)
    await taken(messages)
    for _ in range(3):
        begun = _now()
        assert await taken(messages) == Progress([], 15, 15, caught_up=False)
        assert 0.049 <= _now() - begun < 0.06


async def test_news_put_off_the_next_heartbeat(feed: Feed) -> None:
    messages = feed.follow(heartbeat=0.3)
    await taken(messages)
    for _ in range(3):
        await asyncio.sleep(0.1)
        await feed.write(add(1))
        assert (await taken(messages)).events
    begun = _now()
    assert not (await taken(messages)).events
    assert 0.299 <= _now() - begun < 0.31


async def test_progress_without_matches_is_told_after_so_many_events(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "REPORT_EVERY", 5)
    monkeypatch.setattr(following, "WINDOW", 3)
    await feed.write(*(add(1) for _ in range(20)))
    messages = await until_caught_up(feed.follow(matching=NOTHING))
    assert [message.position for message in messages] == [0, 6, 12, 18, 20]


async def test_progress_without_matches_is_told_after_a_while(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "REPORT_AFTER_SECONDS", 0.05)
    messages = feed.follow(matching=NOTHING)
    await taken(messages)
    await feed.write(add(1), add(1))
    begun = _now()
    assert await taken(messages) == Progress([], 2, 2, caught_up=False)
    assert 0.049 <= _now() - begun < 0.06
