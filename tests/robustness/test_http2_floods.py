"""A connection that floods the server is at most lost; others are served, and memory stays flat."""

import asyncio
from typing import Final

import hyperframe.frame
import pytest

from inventory_grpc_protos.v1.queries_pb2 import GetStockRequest
from tests.robustness.raw_http2 import frame, headers, wire
from tests.support.caller import Caller
from tests.support.server_process import ServerProcess

GET_STOCK: Final = "/inventory.v1.InventoryQueries/GetStock"
ADD_STOCK: Final = "/inventory.v1.InventoryCommands/AddStock"
KETTLES: Final = GetStockRequest(product_id="kettle", store_id="lisbon")
ASKED: Final = KETTLES.SerializeToString()


async def _is_served(bystander: Caller) -> None:
    got = await bystander.queries.GetStock(KETTLES, timeout=10)
    assert got.as_of_position == 1, "something was written"


async def test_calls_that_are_taken_back_at_once_leave_nothing(
    lone_server: ServerProcess, bystander: Caller
) -> None:
    async with wire(await lone_server.address()) as raw:
        for _ in range(1_000):
            stream = raw.http2.get_next_available_stream_id()
            raw.http2.send_headers(stream, headers(ADD_STOCK))
            raw.http2.reset_stream(stream)
        await raw.flush()
        await asyncio.sleep(0.2)
        await _is_served(bystander)


@pytest.mark.parametrize("kind", ["pings", "settings"])
async def test_floods_end_the_connection_they_come_on_and_no_other(
    lone_server: ServerProcess, bystander: Caller, kind: str
) -> None:
    ping = hyperframe.frame.PingFrame(0, b"12345678").serialize()
    settings = hyperframe.frame.SettingsFrame(0, {3: 100}).serialize()
    async with wire(await lone_server.address()) as raw:
        for _ in range(20):
            await raw.send((ping if kind == "pings" else settings) * 500)
            await _is_served(bystander)
        if kind == "pings":
            assert await raw.until_closed()


async def test_who_sends_a_byte_at_a_time_keeps_nobody_waiting(
    lone_server: ServerProcess, bystander: Caller
) -> None:
    async with wire(await lone_server.address()) as raw:
        stream = await raw.begin(headers(GET_STOCK), end=False)
        for byte in frame(ASKED)[:8]:
            await raw.body(stream, bytes([byte]), end=False)
            await _is_served(bystander)
        assert raw.ended[stream].grpc == -1
        # it has five seconds, by its own word
        assert (await raw.answer(stream)).is_refused


async def test_headers_that_never_end_are_cut_off_and_cost_little(
    lone_server: ServerProcess, bystander: Caller
) -> None:
    begun = hyperframe.frame.HeadersFrame(1, b"\x82\x86").serialize()
    more = hyperframe.frame.ContinuationFrame(
        1, b"\x10\x01a\x7f\x80\x7f" + b"x" * 16_255
    ).serialize()
    async with wire(await lone_server.address()) as raw:
        await raw.receive()
        await raw.send(begun)
        for _ in range(64):
            await raw.send(more * 64)
            await _is_served(bystander)
        assert await raw.until_closed()


@pytest.mark.parametrize(
    ("frames", "is_the_end"),
    [
        (hyperframe.frame.WindowUpdateFrame(0, 2**31 - 1).serialize() * 2, False),
        (hyperframe.frame.SettingsFrame(0, {4: 2**31}).serialize(), True),
        (b"\0\0\1\0\0\0\0\0\0x", False),
        (hyperframe.frame.DataFrame(7, b"x" * 16_384).serialize() * 8_192, True),
    ],
    ids=["window", "initial window", "data of no call", "much of an unknown call"],
)
async def test_what_overflows_or_belongs_to_nothing_ends_its_connection_at_most(
    lone_server: ServerProcess,
    bystander: Caller,
    frames: bytes,
    is_the_end: bool,  # noqa: FBT001  a case
) -> None:
    async with wire(await lone_server.address()) as raw:
        await raw.receive()
        await raw.send(frames)
        await _is_served(bystander)
        if is_the_end:
            assert await raw.until_closed()
