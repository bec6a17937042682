"""Told to stop, the server answers what it has taken, says where to resume, and is gone."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import grpc.aio
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2

from inventory.v1.events_pb2 import SubscribeRequest
from inventory_grpc.infrastructure.sqlite.connection import Database
from tests.support.caller import (
    Caller,
    Refused,
    adding,
    calling,
    line,
    refusal,
    reserving,
)
from tests.support.opened import checked, events, requests_of
from tests.support.server_process import ServerProcess

DRAIN_SECONDS: Final = 5.0
"""Far less than a server may take; more than one needs whose callers read."""

NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


class Ends:
    """How calls ended, and when it was known that the server goes away."""

    def __init__(self) -> None:
        self.acknowledged: set[str] = set()
        self.refused: Counter[str] = Counter()
        self.streams: list[tuple[str, int]] = []
        self.health: list[int] = []

    async def trade(self, caller: Caller, who: int) -> None:
        """Go on with carts until the server refuses or is gone."""
        number = 0
        while True:
            number += 1
            name = f"{who}-{number}"
            try:
                await caller.commands.ReserveStock(
                    reserving(line(1), line(1, "toaster"), name=name, request_id=name), timeout=10
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


@pytest.fixture
async def stalled(server: ServerProcess) -> AsyncIterator["grpc.aio.UnaryStreamCall[Any, Any]"]:
    """Follow, and never read what is sent."""
    options = [("grpc.http2.lookahead_bytes", 65_536)]
    async with grpc.aio.insecure_channel(await server.address(), options=options) as channel:
        subscribe: grpc.aio.UnaryStreamMultiCallable[Any, Any] = channel.unary_stream(
            "/inventory.v1.InventoryEvents/Subscribe",
            request_serializer=SubscribeRequest.SerializeToString,
        )
        following = subscribe(SubscribeRequest())
        yield following
        following.cancel()


@pytest.mark.usefixtures("stalled")
async def test_sigterm_under_load_ends_with_0_and_leaves_nothing_open(
    server: ServerProcess, remote: Caller, path: Path
) -> None:
    for product in ("kettle", "toaster"):
        await remote.commands.AddStock(adding(1_000_000, product))
    ends = Ends()
    async with calling(await server.address()) as second, calling(await server.address()) as third:
        busy = [
            *(asyncio.create_task(ends.trade(remote, who)) for who in range(16)),
            *(asyncio.create_task(ends.follow(second)) for _ in range(5)),
            asyncio.create_task(ends.watch(third)),
        ]
        await asyncio.sleep(0.7)
        asked = time.monotonic()
        server.terminate()
        code = await server.ended()
        took = time.monotonic() - asked
        async with asyncio.timeout(5):
            await asyncio.gather(*busy)
    assert (code, took < DRAIN_SECONDS) == (0, True), took
    left = {file.name for file in path.parent.iterdir()}
    assert left == {path.name, path.name + ".lock", "server.log"}, "the WAL is in the file"
    assert ends.health[-2:] == [NOT_SERVING, -1]
    found = requests_of(events(path))
    assert found.keys() >= ends.acknowledged
    assert len(ends.acknowledged) > 50
    assert set(found) == ends.acknowledged, "a command that was recorded had no answer"
    assert sum(ends.refused.values()) == 16
    assert all(how.startswith("UNAVAILABLE") for how in ends.refused), ends.refused
    assert [reason for reason, _ in ends.streams] == ["SHUTTING_DOWN"] * 5
    last = checked(path).position
    assert all(0 < position <= last for _, position in ends.streams)
    said = [entry["event"] for entry in server.log() if entry["event"] != "call"]
    assert said[-1] == "stopped"


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Keep every server from writing meanwhile, as another process at work would."""
    with closing(Database(path).writer()) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


async def _end_of(stream: "grpc.aio.UnaryStreamCall[Any, Any]") -> Refused:
    """Read what is left of *stream*; return how it ended."""
    try:
        async with asyncio.timeout(5):
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
    with _lock(path):
        taken = remote.commands.AddStock(adding(1, request_id="taken"), timeout=20)
        await asyncio.sleep(0.1)
        server.terminate()
        assert (await asyncio.wait_for(watching.read(), 5)).status == NOT_SERVING
        for stream in (watching, following):
            assert (await _end_of(stream)).reason == "SHUTTING_DOWN"
        assert not taken.done()
        async with calling(await server.address()) as late:
            assert await late.commands.AddStock(adding(1)).code() is StatusCode.UNAVAILABLE
        await asyncio.sleep(1.0)  # by now nobody else is served any more
        assert not taken.done()
    assert (await taken).position == 2
    assert await server.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_server_stops_at_once(server: ServerProcess, number: signal.Signals) -> None:
    started = time.monotonic()
    server.process.send_signal(number)
    assert await server.ended() == 0
    assert time.monotonic() - started < DRAIN_SECONDS


async def test_a_second_signal_leaves_at_once_and_loses_nothing(
    server: ServerProcess, remote: Caller, path: Path
) -> None:
    await remote.commands.AddStock(adding(1, request_id="kept"))
    with _lock(path):
        taken = remote.commands.AddStock(adding(1, request_id="taken"), timeout=20)
        await asyncio.sleep(0.1)
        server.terminate()
        await asyncio.sleep(0.3)
        assert server.process.poll() is None, "it waits for the command that was taken"
        asked = time.monotonic()
        server.terminate()
        assert await server.ended() == 1
        assert time.monotonic() - asked < 1.5
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
