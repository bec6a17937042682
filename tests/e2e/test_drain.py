"""On SIGTERM the server answers the calls it accepted, tells streams where to resume, and exits."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import grpc.aio
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2

from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest
from tests.support.caller import SECONDS, Caller, Refused, adding, calling, refusal
from tests.support.opened import checked, events, nobody_else_writes, requests_of
from tests.support.server_process import ServerProcess, server_process
from tests.support.waiting import eventually

PATIENT: Final = {"INVENTORY_DRAIN_SECONDS": "600"}
"""With so much time a server that ends has no reason but the one that is tried."""

NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
async def server(path: Path, tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """Serve in a process of its own, which logs when a drain has refused the last new call."""
    async with server_process(
        path, tmp_path / "server.log", environment=PATIENT, fail_points="drain_4=pass"
    ) as server:
        yield server


async def _end_of(stream: "grpc.aio.UnaryStreamCall[Any, Any]") -> Refused:
    """Read what is left of *stream*; return how it ended."""
    try:
        async with asyncio.timeout(SECONDS):
            while await stream.read() is not grpc.aio.EOF:
                pass
    except grpc.aio.AioRpcError as error:
        return refusal(error)
    raise AssertionError("it ended as if all had been said")


async def test_who_asks_hears_first_and_who_was_taken_is_answered(
    server: ServerProcess, remote: Caller, path: Path
) -> None:
    await remote.commands.AddStock(adding(1))
    watching = remote.health.Watch(health_pb2.HealthCheckRequest())
    following = remote.events.Subscribe(SubscribeRequest())
    assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
    await following.read()
    with nobody_else_writes(path):
        taken = remote.commands.AddStock(adding(1, request_id="taken"), timeout=3 * SECONDS)
        await remote.was_heard()
        server.terminate()
        assert (await asyncio.wait_for(watching.read(), SECONDS)).status == NOT_SERVING
        for stream in (watching, following):
            assert (await _end_of(stream)).reason == "SHUTTING_DOWN"
        assert not taken.done()
        async with calling(await server.address()) as late:
            assert await late.commands.AddStock(adding(1)).code() is StatusCode.UNAVAILABLE
        # nobody else is served any more
        await eventually(lambda: server.has_passed("drain_4"))
        assert not taken.done()
        assert server.process.poll() is None, "it waits for the command that was taken"
    assert (await taken).position == 2
    assert await server.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_an_idle_server_stops_at_once(server: ServerProcess, number: signal.Signals) -> None:
    server.process.send_signal(number)
    assert await server.ended() == 0


async def test_under_nohup_a_terminal_that_closes_is_nothing_to_it(
    path: Path, tmp_path: Path
) -> None:
    server = ServerProcess.begin(path, tmp_path / "log", under=("nohup",))
    try:
        async with calling(await server.address()) as caller:
            server.process.send_signal(signal.SIGHUP)
            for _ in range(20):
                await caller.commands.AddStock(adding(1))
            server.terminate()
            assert await server.ended() == 0
    finally:
        server.kill()
    assert checked(path).position == 20


async def test_a_second_signal_leaves_at_once_and_loses_nothing(
    server: ServerProcess, remote: Caller, path: Path
) -> None:
    await remote.commands.AddStock(adding(1, request_id="kept"))
    with nobody_else_writes(path):
        taken = remote.commands.AddStock(adding(1, request_id="taken"), timeout=3 * SECONDS)
        await remote.was_heard()
        server.terminate()
        await eventually(lambda: server.has_passed("drain_4"))
        assert server.process.poll() is None, "it waits for the command that was taken"
        server.terminate()
        assert await server.ended() == 1
        assert await taken.code() is StatusCode.UNAVAILABLE
    assert requests_of(events(path)) == {"kept": 1}
    checked(path)


async def test_a_signal_while_it_starts_is_not_lost(path: Path, tmp_path: Path) -> None:
    server = ServerProcess.begin(path, tmp_path / "log")
    try:
        await server.address()
        server.terminate()
        assert await server.ended() == 0
    finally:
        server.kill()
