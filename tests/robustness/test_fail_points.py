"""Ended at the worst moments there are, the server has forgotten nothing it had said."""

import asyncio
import random
import re
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import Final

import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration

from inventory.v1.events_pb2 import SubscribeRequest
from inventory_grpc.application.failpoints import EXIT_CODE, FAIL_POINTS, FailPoint
from tests.robustness.effort import SEED, campaign, runs
from tests.robustness.lives import Lives, Lost
from tests.support.caller import adding, calling, line, reserving
from tests.support.opened import change, events
from tests.support.server_process import ServerProcess
from tests.support.waiting import eventually

FATAL: Final[tuple[FailPoint, ...]] = (
    "admit",
    "batch_open",
    "projection_step",
    "before_commit",
    "after_commit",
    "before_publish",
    "after_publish",
    "before_ack",
    "before_expire",
)
"""Those that a server passes on the way of a command, or of a hold that is over."""

RARELY: Final = 0.1
LIFE_SECONDS: Final = 4.0
"""When a server is killed that has not come to its point."""

_PASSED: Final = re.compile(r"fail point (\w+) was passed")


@pytest.mark.timeout(300)
async def test_whichever_point_it_ends_at_nothing_acknowledged_is_missing(path: Path) -> None:
    count = runs(len(FATAL), 200)
    ended = dict.fromkeys(FATAL, 0)
    with campaign("fail points", lives=count) as noted:
        for point in FATAL:  # one database a point
            (directory := path.with_name(point)).mkdir()
            lives = max(1, count // len(FATAL))
            ended[point] = await _ended_at(point, directory / path.name, lives)
        noted["ended_at"] = ended
    assert sum(map(bool, ended.values())) > len(FATAL) / 2, ended


async def _ended_at(point: FailPoint, path: Path, lives: int) -> int:
    """Have a server end there so many times, and judge what is left; return how often it did."""
    ended = 0
    # holds are over less often than commands come
    armed = [f"{point}=exit@{1.0 if point == 'before_expire' else RARELY}"] * lives

    async def begin() -> ServerProcess:
        fail_points = armed.pop() if armed else ""
        return ServerProcess.begin(path, path.with_suffix(".log"), fail_points=fail_points)

    async def wait(server: ServerProcess) -> None:
        nonlocal ended
        try:
            await eventually(lambda: server.process.poll() is not None, LIFE_SECONDS)
            assert server.process.poll() == EXIT_CODE
            ended += 1
        except TimeoutError:
            server.kill()

    killed = Lives(begin, path.parent, random.Random(f"{SEED} {point}"))
    while armed:
        try:
            await killed.live(wait)
        except Lost as error:
            # it ended before it could be looked at; the next one is looked at
            if not isinstance(error.__cause__, grpc.aio.AioRpcError):
                raise
    await killed.judge(path)
    return ended


async def test_every_point_is_passed_by_somebody(path: Path) -> None:
    passed: set[str] = set()
    everywhere = [f"{point}=pass" for point in FAIL_POINTS if point != "before_commit"]
    # which has storage recovered from
    everywhere.append("before_commit=error:broken@0.3")
    server = ServerProcess.begin(path, path.with_suffix(".log"), fail_points=";".join(everywhere))
    try:
        async with calling(await server.address()) as caller:
            while not {"recovery_mid", "before_expire"} <= passed:
                await _whatever_comes(caller.commands.AddStock(adding(5)))
                cart = reserving(line(1), ttl=Duration(seconds=1))
                await _whatever_comes(caller.commands.ReserveStock(cart))
                passed |= set(_PASSED.findall(server.log_file.read_text("utf-8")))
            async for _ in caller.events.Subscribe(SubscribeRequest(stop_at_head=True)):
                pass
        server.terminate()
        assert await server.ended() == 0
    finally:
        server.kill()
    passed |= set(_PASSED.findall(server.log_file.read_text("utf-8")))
    assert events(path)
    change(path, "UPDATE log SET read_models = 0")
    server = ServerProcess.begin(path, path.with_suffix(".log"), fail_points="rebuild_mid=pass")
    try:
        await server.address()
    finally:
        server.kill()
    passed |= set(_PASSED.findall(server.log_file.read_text("utf-8")))
    assert passed == set(FAIL_POINTS), f"never passed: {set(FAIL_POINTS) - passed}"


async def _whatever_comes(call: Awaitable[object]) -> None:
    with suppress(grpc.aio.AioRpcError):
        await call
    await asyncio.sleep(0.05)
