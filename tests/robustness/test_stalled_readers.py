"""A reader that stalls or vanishes costs little, harms no other, and is disconnected (G6)."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import grpc.aio
import pytest

from inventory_grpc.presentation import server as server_module
from inventory_grpc.presentation.stalled_readers import MAX_SECONDS, SendInTime
from inventory_grpc_protos.v1.commands_pb2 import ExecuteStreamRequest
from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest, SubscribeResponse
from tests.robustness.inside import Inside, serving_openly
from tests.robustness.proxy import Way, proxied
from tests.robustness.validators import Subscription, broken
from tests.support.caller import (
    SECONDS,
    SMALL_WINDOW,
    Caller,
    adding,
    calling,
    line,
    message,
    refusal,
    reserving,
)
from tests.support.effort import DEEP, campaign, runs
from tests.support.log_lines import captured_lines
from tests.support.opened import events
from tests.support.server_process import ServerProcess, server_process
from tests.support.waiting import eventually

MiB: Final = 1024 * 1024
A_CONNECTION: Final = 100
"""Streams a connection may have."""


async def _fill(caller: Caller, carts: int) -> None:
    """Have a history of some 40 KiB a cart."""
    await asyncio.gather(*(caller.commands.AddStock(adding(10_000, f"p{n}")) for n in range(250)))
    lines = [line(1, f"p{n}") for n in range(250)]
    for number in range(carts):
        await caller.commands.ReserveStock(reserving(*lines, name=f"{number}"))


async def _read_to_the_end(stream: Any, subscription: Subscription) -> str:  # noqa: ANN401  a call
    """Read what is left; return the reason why it ended, or nothing."""
    try:
        while isinstance(message := await stream.read(), SubscribeResponse):
            subscription.messages.append(message)
    except grpc.aio.AioRpcError as error:
        subscription.ended = refusal(error).reason
    return subscription.ended


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells of memory so")
async def test_hundreds_who_do_not_read_cost_little_and_harm_nobody(
    path: Path, tmp_path: Path
) -> None:
    count, carts = 200, runs(least=20, ci=60, deep=600)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(server_process(path, tmp_path / "log"))
        address = await server.address()
        caller = await stack.enter_async_context(calling(address))
        reader = await stack.enter_async_context(calling(address))
        await _fill(caller, carts)
        # what reading costs anybody is no matter of the stalled
        assert len(await caller.log()) == 250 * (1 + carts)
        begun = server.resident_bytes()
        stalled = []
        with campaign("stalled readers", readers=count) as noted:
            for _ in range(count // A_CONNECTION):
                idle = await stack.enter_async_context(calling(address, SMALL_WINDOW))
                stalled += [idle.events.Subscribe(SubscribeRequest()) for _ in range(A_CONNECTION)]
            for stream in stalled:
                await stream.read()
            fast = Subscription(SubscribeRequest())
            following = reader.events.Subscribe(fast.request)
            waits = []
            for _ in range(carts):
                asked = time.monotonic()
                await caller.commands.AddStock(adding(1, "p0"))
                waits.append(time.monotonic() - asked)
            head = 250 * (1 + carts) + carts
            async with asyncio.timeout(SECONDS):
                while not fast.messages or fast.position < head:
                    message = await following.read()
                    assert isinstance(message, SubscribeResponse)
                    fast.messages.append(message)
            grown = server.resident_bytes() - begun
            noted.update(grown_mib=grown // MiB, slowest_ms=round(1_000 * max(waits)), history=head)
        assert grown < count * MiB * 3 // 4
        assert max(waits) < SECONDS
        assert not any(stream.done() for stream in stalled)
        # one of them wakes up: nothing was kept from it
        late = Subscription(SubscribeRequest(), [_empty(head)])
        while late.position < head:
            message = await stalled[0].read()
            assert isinstance(message, SubscribeResponse)
            late.messages.append(message)
        for stream in (*stalled, following):
            stream.cancel()
        log = events(path)
        assert not list(broken([fast], log))
        assert not list(broken([late], log))
        server.terminate()
        assert await server.ended() == 0


def _refused_carts() -> ExecuteStreamRequest:
    """Return a message of 730 KiB, whose answer is nearly as large."""
    lines = [[line(1, f"{'kettle' * 16}{cart}", f"s{n}") for n in range(20)] for cart in range(330)]
    return message(*(reserving(*cart) for cart in lines))


async def _at_rest(server: ServerProcess) -> None:
    """Wait until the server has nothing to do, which is so when it has not worked for a while."""
    worked, since = -1, 0.0

    def has_rested() -> bool:
        nonlocal worked, since
        if worked != (worked := server.processor_ticks()):
            since = time.monotonic()
        return time.monotonic() - since > 0.5

    await eventually(has_rested, SECONDS)


async def _send_on(stream: Any, request: ExecuteStreamRequest, times: int) -> None:  # noqa: ANN401  a call
    for _ in range(times):
        await stream.write(request)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells of memory so")
async def test_a_command_stream_with_unread_answers_takes_at_most_8_mib(
    path: Path, tmp_path: Path
) -> None:
    count, request = runs(least=1, ci=4, deep=50), _refused_carts()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(server_process(path, tmp_path / "log"))
        address = await server.address()
        callers = [
            await stack.enter_async_context(calling(address, SMALL_WINDOW)) for _ in range(4)
        ]
        read = callers[0].commands.ExecuteStream()
        for _ in range(2):  # the cached stocks are no matter of the unread
            await read.write(request)
            await read.read()
        read.cancel()
        begun = server.resident_bytes()
        streams = [callers[n % 4].commands.ExecuteStream() for n in range(count)]
        writing = [asyncio.create_task(_send_on(stream, request, 20)) for stream in streams]
        with campaign("unread commands", streams=count) as noted:
            await _at_rest(server)
            grown = server.resident_bytes() - begun
            noted["grown_mib"] = grown // MiB
        assert grown < count * 8 * MiB
        for task in writing:
            task.cancel()
        for stream in streams:
            stream.cancel()
        await asyncio.wait(writing)


def _empty(head: int) -> SubscribeResponse:
    """Return the first message of every stream, which was read to know that it is open."""
    return SubscribeResponse(head_position=head)


@asynccontextmanager
async def _impatient(
    path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> AsyncIterator[Inside]:
    """Serve as ever, but for how long a reader may take nothing; not so in deep runs."""
    if not DEEP:
        monkeypatch.setattr(server_module, "SendInTime", partial(SendInTime, seconds))
    async with serving_openly(path) as inside:
        yield inside


async def test_who_takes_nothing_is_closed_with_the_position_and_who_is_slow_is_not(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = MAX_SECONDS if DEEP else 1.0
    async with (
        _impatient(path, monkeypatch, limit) as inside,
        calling(inside.address, SMALL_WINDOW) as idle,
        calling(inside.address, SMALL_WINDOW) as slow,
    ):
        await _fill(slow, 40)
        log = events(path)
        with captured_lines() as logs:
            stalled, lazy = Subscription(SubscribeRequest()), Subscription(SubscribeRequest())
            stream = idle.events.Subscribe(stalled.request)
            slowly = slow.events.Subscribe(lazy.request)
            closed = asyncio.create_task(_line_of_a_closed_one(logs, 3 * limit + SECONDS))
            while not closed.done():
                message = await slowly.read()
                assert isinstance(message, SubscribeResponse), "who is slow was closed"
                lazy.messages.append(message)
                if lazy.position == len(log):
                    break
                await asyncio.sleep(limit / 8)
            said = await closed
        assert said["code"] == "UNAVAILABLE"
        assert await _read_to_the_end(stream, stalled) == "OVERLOADED"
        slowly.cancel()
        # it has been sent at least up to the position in the log line, and misses nothing after
        assert 0 < said["position"] <= stalled.position < len(log)
        rest = Subscription(SubscribeRequest(after_position=stalled.position, stop_at_head=True))
        again = idle.events.Subscribe(rest.request)
        assert await _read_to_the_end(again, rest) == ""
        assert rest.position == len(log)
        assert not list(broken([stalled, rest], log))
        assert not list(broken([lazy], log))
        await inside.at_rest()


async def _line_of_a_closed_one(logs: list[Any], seconds: float) -> Any:  # noqa: ANN401  a log line
    def found() -> list[Any]:
        return [said for said in logs if said.get("method", "").endswith("/Subscribe")]

    await eventually(lambda: bool(found()), seconds)
    return found()[0]


@pytest.mark.parametrize(
    "lost", [{"there"}, {"back"}, {"there", "back"}], ids=lambda lost: " and ".join(sorted(lost))
)
async def test_a_silent_connection_is_closed_with_all_its_calls(
    lost: set[Way], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = dict(server_module.OPTIONS)
    if not DEEP:
        options |= {"grpc.keepalive_time_ms": 1_000, "grpc.http2.ping_timeout_ms": 500}
        monkeypatch.setattr(server_module, "OPTIONS", options)
    seconds = (options["grpc.keepalive_time_ms"] + options["grpc.http2.ping_timeout_ms"]) / 1_000
    async with (
        serving_openly(path) as inside,
        proxied(inside.address) as network,
        calling(network.address) as far,
        calling(inside.address) as near,
    ):
        gone = [far.events.Subscribe(SubscribeRequest()) for _ in range(20)]
        here = near.events.Subscribe(SubscribeRequest())
        for stream in (*gone, here):
            await stream.read()
        assert inside.served.controls.calls.running == 21
        network.weather.lost |= lost
        with campaign(f"silent connection {sorted(lost)}", streams=20) as noted:
            await eventually(lambda: inside.served.controls.calls.running == 1, 1.2 * seconds + 10)
            noted["limit"] = seconds
        added = await near.commands.AddStock(adding(1))
        seen = 0
        while seen < added.position:
            message = await here.read()
            assert isinstance(message, SubscribeResponse)
            seen = message.position
        here.cancel()
        for stream in gone:
            stream.cancel()
