"""A drain under full load leaves no call unanswered (G11)."""

import asyncio
import random
import signal
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import grpc.aio
from grpc_health.v1 import health_pb2

from inventory_grpc.server.worker_link import OVERTIME_SECONDS
from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest, SubscribeResponse
from tests.robustness.proxy import Weather, proxied
from tests.support.caller import (
    SMALL_WINDOW,
    Caller,
    adding,
    calling,
    line,
    refusal,
    refused,
    reserving,
)
from tests.support.effort import SEED, campaign, runs
from tests.support.opened import checked, events, requests_of
from tests.support.server_process import ServerProcess, server_process
from tests.support.waiting import eventually

GRACE_SECONDS: Final = 3.0
"""The time a drain may wait for readers that do not read."""

STEP_SECONDS: Final = 30
"""The duration of a delayed step of a drain."""

DRAIN_SECONDS: Final = GRACE_SECONDS + OVERTIME_SECONDS

CALLERS: Final = 16
FOLLOWERS: Final = 20
SERVING, NOT_SERVING = (
    health_pb2.HealthCheckResponse.SERVING,
    health_pb2.HealthCheckResponse.NOT_SERVING,
)
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

STEPS: Final = "; ".join(f"drain_{number}=pass" for number in range(1, 6))


class Ends:
    """The ends of calls, and the reports of health with their times."""

    def __init__(self) -> None:
        self.acknowledged: set[str] = set()
        self.refused: Counter[str] = Counter()
        self.streams: list[tuple[str, int]] = []
        self.health: list[int] = []

    async def trade(self, caller: Caller, who: str) -> None:
        """Go on with carts until the server refuses or is gone."""
        for number in range(1_000_000):
            name = f"{who}-{number}"
            try:
                await caller.commands.ReserveStock(
                    reserving(line(1), line(1, "toaster"), name=name, request_id=name), timeout=20
                )
            except grpc.aio.AioRpcError as error:
                answer = refusal(error)
                self.refused[f"{answer.code.name} {answer.reason or answer.message[:40]}"] += 1
                return
            self.acknowledged.add(name)

    async def follow(self, caller: Caller) -> None:
        """Follow to the end; note how it ended, and how far it came."""
        position = 0
        try:
            async for message in caller.events.Subscribe(SubscribeRequest(max_batch=16)):
                position = message.position
        except grpc.aio.AioRpcError as error:
            self.streams.append((refusal(error).reason, position))

    async def watch(self, caller: Caller) -> None:
        """Note what health says, to the end."""
        try:
            async for state in caller.health.Watch(health_pb2.HealthCheckRequest()):
                self.health.append(state.status)
        except grpc.aio.AioRpcError:
            self.health.append(-1)


async def test_sigterm_under_load_ends_with_0_and_leaves_nothing_open(tmp_path: Path) -> None:
    count = runs(least=1, ci=4, deep=200)
    with campaign("drain", runs=count) as noted:
        seen: Counter[str] = Counter()
        for number in range(count):
            seed, folder = SEED + number, tmp_path / f"{number}"
            folder.mkdir()
            try:
                async with asyncio.timeout(60):
                    seen += await _drain_under_load(
                        folder / "inventory.db", random.Random(seed), SIGNALS[seed % 3]
                    )
            except (AssertionError, TimeoutError) as error:
                raise AssertionError(f"replay with ROBUSTNESS_SEED={seed}") from error
        noted.update(seen)
    assert seen["UNAVAILABLE SHUTTING_DOWN"] > count * (CALLERS + 4) / 2, "who called was not told"


async def _drain_under_load(
    path: Path, chance: random.Random, number: signal.Signals
) -> "Counter[str]":
    ends = Ends()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            server_process(
                path,
                path.with_suffix(".log"),
                fail_points=STEPS,
                environment={"INVENTORY_DRAIN_SECONDS": f"{GRACE_SECONDS}"},
            )
        )
        address = await server.address()
        far = await stack.enter_async_context(
            proxied(address, Weather(delay_seconds=0.03, bytes_per_second=100_000))
        )
        near, slow, readers, watcher = [
            await stack.enter_async_context(calling(where))
            for where in (address, far.address, address, address)
        ]
        idle = await stack.enter_async_context(calling(address, SMALL_WINDOW))
        await _fill(near)
        stalled = idle.events.Subscribe(SubscribeRequest())  # and never reads
        busy = [
            *(asyncio.create_task(ends.trade(near, f"near-{who}")) for who in range(CALLERS)),
            *(asyncio.create_task(ends.trade(slow, f"slow-{who}")) for who in range(4)),
            *(asyncio.create_task(ends.follow(readers)) for _ in range(FOLLOWERS)),
            asyncio.create_task(ends.watch(watcher)),
        ]
        await eventually(lambda: len(ends.acknowledged) > 50)
        await asyncio.sleep(chance.uniform(0, 0.4))
        asked = time.monotonic()
        server.process.send_signal(number)
        code = await server.ended()
        took = time.monotonic() - asked
        await asyncio.gather(*busy)
        stalled.cancel()
        assert (code, took < DRAIN_SECONDS) == (0, True), (code, took)
        _check_left(server, path)
    _check_ends(ends, path)
    return ends.refused + Counter(acknowledged=len(ends.acknowledged))


async def _fill(caller: Caller) -> None:
    """Have stock, and a history of some megabytes for the stalled reader."""
    for product in ("kettle", "toaster"):
        await caller.commands.AddStock(adding(1_000_000, product))
    lines = [line(1, "kettle"), *(line(1, f"p{n}") for n in range(250))]
    await asyncio.gather(*(caller.commands.AddStock(adding(99, f"p{n}")) for n in range(250)))
    await asyncio.gather(
        *(caller.commands.ReserveStock(reserving(*lines, name=f"big-{n}")) for n in range(12))
    )


def _check_left(server: ServerProcess, path: Path) -> None:
    left = {file.name for file in path.parent.iterdir()}
    assert not left & {path.name + "-wal", path.name + "-shm"}, "the WAL is in the file"
    said = [entry["event"] for entry in server.log() if entry["event"] != "call"]
    steps = [line.split()[2] for line in said if line.startswith("fail point drain")]
    assert steps == [f"drain_{number}" for number in range(1, 6)]
    assert said[-1] == "stopped"


def _check_ends(ends: Ends, path: Path) -> None:
    assert ends.health[-2:] == [NOT_SERVING, -1]
    found = requests_of(events(path))
    assert set(found) == ends.acknowledged, "a command that was recorded had no answer"
    assert sum(ends.refused.values()) == CALLERS + 4
    # who called just when it closed its ear was cancelled by gRPC, and nothing was done
    assert {how.split()[0] for how in ends.refused} <= {"UNAVAILABLE", "CANCELLED"}, ends.refused
    assert [reason for reason, _ in ends.streams] == ["SHUTTING_DOWN"] * FOLLOWERS
    last = checked(path).position
    assert all(0 < position <= last for _, position in ends.streams)


async def test_health_says_so_before_anything_else_happens(path: Path, tmp_path: Path) -> None:
    async with (
        server_process(path, tmp_path / "log", fail_points="drain_2=sleep:1") as server,
        calling(await server.address()) as caller,
        calling(await server.address()) as another,
    ):
        await caller.commands.AddStock(adding(1))
        following = caller.events.Subscribe(SubscribeRequest())
        await following.read()
        watching = another.health.Watch(health_pb2.HealthCheckRequest())
        assert (await watching.read()).status == SERVING
        server.terminate()
        assert (await asyncio.wait_for(watching.read(), 5)).status == NOT_SERVING
        # whoever looked elsewhere meanwhile is served as before, new connections included
        added = await caller.commands.AddStock(adding(1))
        async with calling(await server.address()) as late:
            assert (await late.commands.AddStock(adding(1))).position == added.position + 1
        seen = 0
        while seen <= added.position:
            message = await following.read()
            assert isinstance(message, SubscribeResponse)
            seen = message.position
        for stream in (watching, following):
            assert (await refused(_end_of(stream))).reason == "SHUTTING_DOWN"
        assert await server.ended() == 0
    assert checked(path).position == added.position + 1


async def _end_of(stream: Any) -> None:  # noqa: ANN401  of any message
    while await stream.read() is not grpc.aio.EOF:
        pass


async def test_a_second_signal_under_load_leaves_at_once_and_loses_nothing(
    path: Path, tmp_path: Path
) -> None:
    ends = Ends()
    async with (
        server_process(
            path, tmp_path / "log", fail_points=f"drain_3=sleep:{STEP_SECONDS}"
        ) as server,
        calling(await server.address()) as caller,
    ):
        await caller.commands.AddStock(adding(1_000_000))
        await caller.commands.AddStock(adding(1_000_000, "toaster"))
        busy = [asyncio.create_task(ends.trade(caller, f"{who}")) for who in range(CALLERS)]
        await eventually(lambda: len(ends.acknowledged) > 50)
        server.terminate()
        await eventually(lambda: server.has_passed("drain_3"))
        asked = time.monotonic()
        server.terminate()
        assert await server.ended() == 1
        assert time.monotonic() - asked < STEP_SECONDS / 2, "it waited for the step"
        await asyncio.gather(*busy)
    assert requests_of(events(path)).keys() >= ends.acknowledged
    checked(path)
