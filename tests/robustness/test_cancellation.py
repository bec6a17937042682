"""A cancelled call leaves a whole command or none, and no other trace (G10)."""

import asyncio
import random
import sys
from pathlib import Path
from typing import Final

import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest

from inventory_grpc_protos.v1.admin_pb2 import GetServerInfoRequest
from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest
from tests.robustness.asked import PRODUCTS, Asked, stock_up
from tests.robustness.inside import Inside
from tests.robustness.proxy import Proxy, proxied
from tests.support.caller import (
    RECONNECT_AT_ONCE,
    SECONDS,
    Caller,
    adding,
    calling,
)
from tests.support.effort import SEED, campaign, runs
from tests.support.engines import on_each_engine
from tests.support.log_lines import captured_lines
from tests.support.opened import checked, events, requests_of
from tests.support.server_process import ENVIRONMENT, ROOT, server_process
from tests.support.waiting import eventually

AT_A_TIME: Final = 50
MiB: Final = 1024 * 1024


async def _leave_after(task: "asyncio.Task[None]", seconds: float) -> None:
    """Wait for so long, then cancel the call."""
    await asyncio.wait([task], timeout=seconds)
    task.cancel()
    await asyncio.wait([task])


@on_each_engine
async def test_cancelled_calls_leave_nothing_behind(inside: Inside, database: str | Path) -> None:
    count, chance = runs(least=300, ci=2_000, deep=10_000), random.Random(SEED)
    async with calling(inside.address) as caller, calling(inside.address) as follower:
        await stock_up(caller)
        asked = Asked(caller)
        with campaign("opened and cancelled", calls=count) as noted:
            for wave in range(count // AT_A_TIME):
                leaving = [
                    _leave_after(
                        asyncio.create_task(
                            asked.reserve(f"{wave}-{who}")
                            if not who or chance.random() < 0.5
                            else _follow(follower)
                        ),
                        chance.choice((0.0, 0.003, 0.01, 0.03)) if who else SECONDS,
                    )
                    for who in range(AT_A_TIME)
                ]
                await asyncio.gather(*leaving)
            await inside.at_rest()
            noted.update(asked.codes)
        found = await asked.check(database)
        assert len(found) < len(asked.answers), "all were in time: nothing was tried"
        assert asked.codes["left"] > count // 10
        # every place is free again: as many streams as there may be at a time
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(*(_follow(follower, messages=1) for _ in range(90)))
        await inside.at_rest()


async def _follow(caller: Caller, messages: int = 1_000_000) -> None:
    following = caller.events.Subscribe(SubscribeRequest())
    try:
        for _ in range(messages):
            await following.read()
    finally:
        following.cancel()


async def test_a_stream_that_is_cancelled_ends_as_cancelled(inside: Inside) -> None:
    """A handler that swallows a cancellation leaks gRPC's state of the call (grpc/grpc#43360)."""
    async with calling(inside.address) as caller:
        with captured_lines() as logs:
            following = [caller.events.Subscribe(SubscribeRequest()) for _ in range(20)]
            watching = [caller.health.Watch(HealthCheckRequest()) for _ in range(20)]
            for stream in (*following, *watching):
                await stream.read()
            assert inside.served.controls.calls.running == 40
            for stream in (*following, *watching):
                stream.cancel()
            await inside.at_rest()
            await eventually(lambda: len(logs) == 40)
    assert {entry["code"] for entry in logs} == {"CANCELLED"}


@on_each_engine
@pytest.mark.parametrize("how", ["reset", "half closed", "half closed by the server"])
async def test_calls_whose_connection_breaks_in_the_middle_are_whole_or_not_at_all(
    inside: Inside, database: str | Path, how: str
) -> None:
    rounds, chance = runs(least=3, ci=12, deep=400), random.Random(SEED)
    async with (
        proxied(inside.address) as network,
        calling(network.address, RECONNECT_AT_ONCE) as far,
        calling(inside.address) as near,
    ):
        await stock_up(near)
        asked = Asked(far)
        with campaign(f"connection {how}", rounds=rounds) as noted:
            whole = await _carried(network, _twenty(asked, "whole"), float("inf"))
            for number in range(rounds):
                calls = _twenty(asked, number)
                await _carried(network, calls, whole * chance.uniform(0.1, 0.7))
                match how:
                    case "reset":
                        network.reset()
                    case "half closed":
                        network.stop_sending("there")
                    case _:
                        network.stop_sending("back")
                await asyncio.gather(*calls)
            noted.update(asked.codes)
        await inside.at_rest()
        asked.caller = near
        await asked.check(database)
    assert asked.codes["UNAVAILABLE"] > rounds


def _twenty(asked: Asked, number: int | str) -> "list[asyncio.Task[None]]":
    return [asyncio.create_task(asked.reserve(f"{number}-{who}", SECONDS)) for who in range(20)]


async def _carried(network: Proxy, calls: "list[asyncio.Task[None]]", most: float) -> int:
    """Wait until *calls* are done or *most* bytes were carried; return how many were."""
    begun = network.carried
    while network.carried - begun < most and not all(call.done() for call in calls):  # noqa: ASYNC110  it tells nobody
        await asyncio.sleep(0)
    return network.carried - begun


@on_each_engine
async def test_of_a_caller_that_is_killed_nothing_is_left_but_whole_commands(
    inside: Inside, database: str | Path
) -> None:
    async with calling(inside.address) as caller:
        await stock_up(caller)
        for _ in range(runs(least=1, ci=2, deep=50)):
            before = inside.head
            command = (sys.executable, "-m", "tests.robustness.busy_caller", inside.address)
            busy = await asyncio.create_subprocess_exec(*command, env=ENVIRONMENT, cwd=ROOT)
            try:
                await eventually(lambda: inside.head > before + 300)  # noqa: B023  called at once
            finally:
                busy.kill()
                await busy.wait()
            await inside.at_rest()
        await caller.commands.AddStock(adding(1))
    found = requests_of(events(database))
    assert set(found.values()) == {len(PRODUCTS)}
    checked(database)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells of memory so")
async def test_memory_stays_as_it_is_whatever_number_of_streams_is_cancelled(
    path: Path, tmp_path: Path
) -> None:
    count = runs(least=500, ci=1_500, deep=60_000)
    async with (
        server_process(path, tmp_path / "log") as server,
        calling(await server.address()) as caller,
    ):
        await stock_up(caller)
        await _open_and_cancel(caller, 1_000)
        begun = server.resident_bytes()
        with campaign("memory of cancelled streams", streams=count) as noted:
            await _open_and_cancel(caller, count)
            grown = server.resident_bytes() - begun
            noted["grown_kib"] = grown // 1024
    # the allocator's moods, and half of what each stream would cost that is not quite forgotten
    assert grown < 4 * MiB + 60 * count


async def _open_and_cancel(caller: Caller, count: int) -> None:
    for _ in range(count // AT_A_TIME):
        streams = [caller.events.Subscribe(SubscribeRequest()) for _ in range(AT_A_TIME)]
        for stream in streams:
            await stream.read()
            stream.cancel()
    info = await caller.admin.GetServerInfo(GetServerInfoRequest())
    assert info.head_position
