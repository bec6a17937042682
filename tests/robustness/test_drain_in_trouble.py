"""A drain at a bad moment ends in time and leaves a sound file (G11)."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Final

import grpc.aio
import pytest
from grpc import StatusCode

from tests.support.caller import Refused, adding, calling, refusal, refused
from tests.support.opened import change, checked, events, requests_of
from tests.support.server_process import ServerProcess, server_process
from tests.support.waiting import eventually

DRAIN_SECONDS: Final = 8.0
"""The longest drain of a server that has no call to wait for."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_server_stopped_while_it_starts_exits_at_once_and_the_file_is_whole(
    number: signal.Signals, path: Path, tmp_path: Path
) -> None:
    async with (
        server_process(path, tmp_path / "log") as server,
        calling(await server.address()) as caller,
    ):
        await caller.commands.AddStock(adding(5, request_id="kept"))
        server.terminate()
        assert await server.ended() == 0
    # as an older version would have left it: the tables have to be made anew, and that takes long
    change(path, "UPDATE log SET read_models = 0")
    server = ServerProcess.begin(path, tmp_path / "again", fail_points="rebuild_mid=sleep:60")
    try:
        await eventually(lambda: server.has_passed("rebuild_mid"))
        server.process.send_signal(number)
        assert await server.ended() == 0
        assert [entry["event"] for entry in server.log()][
            -1
        ] == "stopped by a signal before serving"
    finally:
        server.kill()
    async with server_process(path, tmp_path / "third"):
        pass
    assert requests_of(events(path)) == {"kept": 1}
    checked(path)


async def test_told_to_stop_while_storage_is_being_reopened_it_finishes_that_and_leaves(
    path: Path, tmp_path: Path
) -> None:
    points = "before_commit=error:broken@0.2; recovery_mid=sleep:1.5"
    async with (
        server_process(path, tmp_path / "log", fail_points=points) as server,
        calling(await server.address()) as caller,
    ):
        acknowledged, refusals = set[str](), list[Refused]()
        while not refusals:
            name = f"{len(acknowledged)}"
            try:
                await caller.commands.AddStock(adding(1, request_id=name))
                acknowledged.add(name)
            except grpc.aio.AioRpcError as error:
                refusals.append(refusal(error))
        assert refusals[0].reason == "WRITES_REFUSED"
        await eventually(lambda: server.has_passed("recovery_mid"))
        server.terminate()
        assert await server.ended() == 0
    assert requests_of(events(path)).keys() == acknowledged
    checked(path)


async def test_a_disk_that_does_not_answer_does_not_keep_it(path: Path, tmp_path: Path) -> None:
    """Calls not answered within the drain and five seconds are abandoned; a kill is safe."""
    async with (
        server_process(
            path,
            tmp_path / "log",
            fail_points="before_commit=sleep:60",
            environment={"INVENTORY_DRAIN_SECONDS": "0.2"},
        ) as server,
        calling(await server.address()) as caller,
    ):
        asked = asyncio.ensure_future(refused(caller.commands.AddStock(adding(1))))
        await eventually(lambda: server.has_passed("before_commit"))
        server.terminate()
        began = time.monotonic()
        assert await server.ended() == 1
        assert time.monotonic() - began < DRAIN_SECONDS
        assert (await asked).code is StatusCode.UNAVAILABLE
    assert events(path) == []
    checked(path)
