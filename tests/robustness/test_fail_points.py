"""Ended at named places in the code, the server has lost nothing that was acknowledged."""

import asyncio
import os
import random
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration

from inventory_grpc.application import failpoints
from inventory_grpc.application.failpoints import EXIT_CODE, FAIL_POINTS, FailPoint
from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest
from tests.robustness.lives import Lives, Lost
from tests.support.caller import adding, calling, line, reserving
from tests.support.effort import SEED, campaign, runs
from tests.support.engines import on_each_engine
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
    "catchup_to_live",
)
"""Points that a server passes for a command, an overdue reservation, and an event."""

PASSED_RARELY: Final = {"before_expire": 1.0, "catchup_to_live": 0.7}
OFTEN: Final = 0.03
"""The probability that a server ends when it passes a point."""

LIFE_SECONDS: Final = 2.5
"""The time after which a server that has not reached its point is killed."""

TRIES: Final = 4
"""Lives in which it has to come to it."""

_PASSED: Final = re.compile(r"fail point (\w+) was passed")


@pytest.mark.timeout(300)
@on_each_engine
async def test_whichever_point_it_ends_at_nothing_acknowledged_is_missing(
    new_database: Callable[[], str | Path], tmp_path: Path
) -> None:
    databases = max(1, runs(least=len(FATAL), ci=len(FATAL), deep=200) // len(FATAL))
    with campaign("fail points", ended=databases * len(FATAL)) as noted:
        noted["calls"] = 0
        for number in range(databases):
            (folder := tmp_path / f"of-{number}").mkdir()
            noted["calls"] += await _ended_everywhere(new_database(), folder, SEED + number)


async def _ended_everywhere(database: str | Path, folder: Path, seed: int) -> int:
    """Have servers of one log end at each point, in any order; judge what is left."""
    chance, armed = random.Random(seed), ""
    points = chance.sample(FATAL, len(FATAL))
    servers: list[ServerProcess] = []

    async def begin() -> ServerProcess:
        servers.append(ServerProcess.begin(database, folder / "log", fail_points=armed))
        return servers[-1]

    async def wait(server: ServerProcess) -> None:
        with suppress(TimeoutError):
            await eventually(lambda: server.process.poll() is not None, LIFE_SECONDS)
        server.kill()

    ended = Lives(begin, folder, chance)
    for point in points:
        armed = f"{point}=exit@{PASSED_RARELY.get(point, OFTEN)}"
        for _ in range(TRIES):
            try:
                await ended.live(wait)
            except Lost:
                # it ended before it could be looked at; the next one is looked at
                if servers[-1].process.returncode != EXIT_CODE:
                    raise
            if servers[-1].process.returncode == EXIT_CODE:
                break
        else:
            pytest.fail(f"in {TRIES} lives no server came to {point}; seed {seed}")
    armed = ""
    return await ended.judge(database)


async def test_every_point_is_passed_by_somebody(path: Path) -> None:
    passed: set[str] = set()
    everywhere = [f"{point}=pass" for point in FAIL_POINTS if point != "before_commit"]
    # which has storage recovered from
    everywhere.append("before_commit=error:broken@0.3")
    server = ServerProcess.begin(path, path.with_suffix(".log"), fail_points=";".join(everywhere))
    try:
        async with calling(await server.address()) as caller:
            while not {"recovery_mid", "before_expire"} <= passed:
                delivery = adding(5, request_id="delivery")
                await _whatever_comes(caller.commands.AddStock(delivery))
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
    points = "rebuild_mid=pass; upgrade_end=pass"
    server = ServerProcess.begin(path, path.with_suffix(".log"), fail_points=points)
    try:
        await server.address()
    finally:
        server.kill()
    passed |= set(_PASSED.findall(server.log_file.read_text("utf-8")))
    passed |= set(_PASSED.findall(await asyncio.to_thread(_move, path)))
    # a log in a file does not pass those of `migrate` and `adopt`, which have tests of their own
    of_postgres = {"migrate_part", "adopt_before_commit", "adopt_after_commit"}
    assert passed == set(FAIL_POINTS) - of_postgres


def _move(path: Path) -> str:
    """Move the log to another file; return what the command has said."""
    points = "; ".join(f"{point}=pass" for point in FAIL_POINTS if point.startswith("copy_"))
    moved = subprocess.run(
        [sys.executable, "-m", "inventory_grpc", "copy", path, path.with_name("to.db"), "--seal"],
        capture_output=True,
        check=True,
        env={**os.environ, failpoints.VARIABLE: points},
        text=True,
    )
    return moved.stderr


async def _whatever_comes(call: Awaitable[object]) -> None:
    with suppress(grpc.aio.AioRpcError):
        await call
    await asyncio.sleep(0.05)
