"""Followers of three servers on one log, each of which goes on at another one every few messages.

All servers write meanwhile. A follower gets every event once, in order, wherever it resumes.
"""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest
from tests.robustness.validators import Subscription, broken
from tests.support.caller import Caller, adding, calling
from tests.support.effort import campaign, runs
from tests.support.engines import on_each_engine
from tests.support.opened import checked, events
from tests.support.server_process import server_process

SERVERS: Final = 3
FOLLOWERS: Final = 6
WRITERS: Final = 6
MESSAGES: Final = 7
"""After so many, a follower goes on at the next server."""

RUN_SECONDS: Final = 120.0


async def _write(caller: Caller, count: int) -> None:
    for _ in range(count):
        await caller.commands.AddStock(adding(1))


async def _follow(callers: list[Caller], number: int, end: int) -> list[Subscription]:
    """Follow to *end*, each time at the next server."""
    followed: list[Subscription] = []
    position = 0
    while position < end:
        caller = callers[(number + len(followed)) % SERVERS]
        subscription = Subscription(SubscribeRequest(after_position=position, max_batch=number + 1))
        followed.append(subscription)
        following = caller.events.Subscribe(subscription.request)
        async for message in following:
            subscription.messages.append(message)
            position = message.position
            if len(subscription.messages) == MESSAGES or position >= end:
                break
        following.cancel()
    return followed


@on_each_engine
async def test_followers_that_resume_at_another_server_receive_exactly_the_log(
    database: str | Path, tmp_path: Path
) -> None:
    each = runs(least=40, ci=60, deep=2_000)
    end = WRITERS * each
    with campaign("followers on the move", events=end) as noted:
        async with AsyncExitStack() as stack, asyncio.timeout(RUN_SECONDS):
            callers = []
            for number in range(SERVERS):
                log = tmp_path / f"{number}.log"
                server = await stack.enter_async_context(server_process(database, log))
                callers.append(await stack.enter_async_context(calling(await server.address())))
            async with asyncio.TaskGroup() as group:
                for number in range(WRITERS):
                    group.create_task(_write(callers[number % SERVERS], each))
                following = [
                    group.create_task(_follow(callers, number, end)) for number in range(FOLLOWERS)
                ]
        recorded = events(database)
        assert checked(database).position == len(recorded) == end
        resumed = 0
        for follower in following:
            followed = follower.result()
            resumed += len(followed) - 1
            found = list(broken(followed, recorded))
            assert not found, found
            assert followed[-1].position == end
        noted["resumed"] = resumed
    assert resumed > 2 * FOLLOWERS, "they seldom resumed"
