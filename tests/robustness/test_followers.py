"""Followers receive exactly the log, over bad networks and restarts of the server (G6).

In order, once, without gaps, in whole commands, from wherever they resume.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from tests.robustness.followers import Follower, followers
from tests.robustness.proxy import Proxy, Weather, proxied
from tests.robustness.traders import Traders
from tests.robustness.validators import broken
from tests.support.caller import RECONNECT_AT_ONCE, calling
from tests.support.effort import SEED, campaign, runs
from tests.support.engines import on_each_engine
from tests.support.opened import checked, events, requests_of
from tests.support.server_process import ServerProcess

RUN_SECONDS: Final = 60.0
TRADERS: Final = 3
CARTS: Final = 40

FAIL_POINTS: Final = (
    "catchup_to_live=sleep:0.05@0.5",
    "before_publish=sleep:0.03@0.2; catchup_to_live=sleep:0.05@0.5",
    "after_publish=sleep:0.02@0.2; catchup_to_live=sleep:0.02",
)


@on_each_engine
async def test_followers_receive_exactly_the_log_under_any_fault(
    new_database: Callable[[], str | Path], tmp_path: Path
) -> None:
    count = runs(least=1, ci=4, deep=500)
    seen: Counter[str] = Counter()
    with campaign("followers", runs=count) as noted:
        for number in range(count):
            seed = SEED + number
            database, logs = new_database(), tmp_path / f"logs-{seed}"
            logs.mkdir()
            try:
                async with asyncio.timeout(RUN_SECONDS):
                    seen += await _follow_through_trouble(database, logs, random.Random(seed), seed)
            except (AssertionError, TimeoutError, ExceptionGroup) as error:
                raise AssertionError(
                    f"run {number} of seed {SEED}: ROBUSTNESS_SEED={seed}"
                ) from error
            if isinstance(database, Path):
                database.unlink()
        noted.update(seen)
    # else nothing was tried
    assert seen["resumed after a failure"] >= count
    assert seen["refused as ahead"] >= count
    assert seen["killed"] == count
    assert seen["stopped at the head"] >= count
    assert seen["began now"] >= count


async def _follow_through_trouble(
    database: str | Path, logs: Path, chance: random.Random, seed: int
) -> "Counter[str]":
    seen: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        servers = Servers(database, logs, chance)
        stack.callback(servers.end)
        address = await servers.start()
        weather = Weather(delay_seconds=chance.choice((0.0, 0.005)))
        network = await stack.enter_async_context(proxied(address, weather))
        safe = await stack.enter_async_context(proxied(address))
        traders = Traders(
            await stack.enter_async_context(calling(safe.address, RECONNECT_AT_ONCE)), seed
        )
        await traders.stock_up()
        await traders.trade(TRADERS, 10)
        head = traders.acknowledged
        middle = events(database)[head // 2].record_time
        all_of_them, end = followers(head, middle), list[int]()
        async with asyncio.TaskGroup() as busy:
            for one in all_of_them:
                caller = await stack.enter_async_context(
                    calling(network.address, RECONNECT_AT_ONCE)
                )
                busy.create_task(
                    one.follow(
                        caller,
                        random.Random(f"{seed} {one.name}"),
                        lambda: traders.acknowledged,
                        end,
                    )
                )
            trouble = busy.create_task(_make_trouble(servers, [network, safe], chance))
            async with asyncio.TaskGroup() as trading:
                for who in range(TRADERS):
                    trading.create_task(traders.trade(who, CARTS))
            await trouble
            end.append(traders.acknowledged)
        servers.end()
    _check(database, traders, all_of_them)
    seen["killed"] = servers.killed
    seen["resumed after a failure"] = sum(
        bool(before.ended) and bool(before.messages)
        for one in all_of_them
        for before in one.followed[:-1]
    )
    for one in all_of_them:
        for subscription in one.followed:
            request, told = subscription.request, bool(subscription.messages)
            seen["stopped at the head"] += request.stop_at_head and not subscription.ended
            seen["began now"] += request.from_now and told
    seen["refused as ahead"] = sum(one.refused.count("POSITION_AHEAD") for one in all_of_them)
    return seen


def _check(database: str | Path, traders: Traders, all_of_them: Sequence[Follower]) -> None:
    log = events(database)
    assert checked(database).position == len(log)
    assert requests_of(log).keys() == traders.answers.keys()
    for one in all_of_them:
        found = list(broken(one.followed, log))
        assert not found, f"{one.name}: {found}"
        assert one.position == len(log), f"{one.name} was not sent the end"
        assert set(one.refused) <= {"UNAVAILABLE", "POSITION_AHEAD"}, one.refused
        if "POSITION_AHEAD" in one.refused:
            assert one.name in {"ahead by one", "too early"}


class Servers:
    """One server after the other on one log."""

    def __init__(self, database: str | Path, logs: Path, chance: random.Random) -> None:
        self._database = database
        self._logs = logs
        self._chance = chance
        self._server: ServerProcess | None = None
        self.killed = 0

    async def start(self) -> str:
        self._server = ServerProcess.begin(
            self._database,
            self._logs / f"{self.killed}",
            fail_points=self._chance.choice(FAIL_POINTS),
        )
        return await self._server.address()

    async def kill_and_start(self) -> str:
        assert self._server is not None
        self._server.kill()
        self.killed += 1
        return await self.start()

    def end(self) -> None:
        if self._server is not None:
            self._server.kill()


async def _make_trouble(servers: Servers, networks: list[Proxy], chance: random.Random) -> None:
    """Reset connections of followers now and then, and kill the server once in between."""
    resets = [chance.uniform(0.02, 0.15) for _ in range(10)]
    for number, wait in enumerate(resets):
        await asyncio.sleep(wait)
        networks[0].reset(chance.randrange(10))
        if number == len(resets) // 2:
            address = await servers.kill_and_start()
            for network in networks:
                network.upstream = address
