"""What is no gRPC, or hardly: refused on its own, while others are served."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import hyperframe.frame
import pytest
from grpc import StatusCode

from inventory.v1.queries_pb2 import GetStockRequest
from tests.robustness.raw_http2 import PREFACE, Ended, Wire, frame, headers, wire
from tests.support.caller import Caller, adding, calling
from tests.support.server_process import ServerProcess, server_process

GET_STOCK: Final = "/inventory.v1.InventoryQueries/GetStock"
ADD_STOCK: Final = "/inventory.v1.InventoryCommands/AddStock"
ASKED: Final = GetStockRequest(product_id="kettle", store_id="lisbon").SerializeToString()
KIB: Final = 1024
MIB: Final = 1024 * KIB
GROWTH: Final = 48 * MIB


@pytest.fixture
async def server(path: Path, tmp_path: Path) -> AsyncIterator[ServerProcess]:
    async with server_process(path, tmp_path / "log") as server:
        yield server


@pytest.fixture
async def caller(server: ServerProcess) -> AsyncIterator[Caller]:
    """Serve others; and see in the end that it did so all along, and has not grown."""
    async with calling(await server.address()) as caller:
        await caller.commands.AddStock(adding(5))
        begun = server.resident_bytes()
        yield caller
        got = await caller.queries.GetStock(GetStockRequest(product_id="kettle", store_id="lisbon"))
        assert (got.stock.on_hand, got.as_of_position) == (5, 1), "something was written"
        assert server.resident_bytes() - begun < GROWTH
        assert not [line for line in server.log() if line["level"] == "error"]


@pytest.fixture
async def raw(server: ServerProcess, caller: Caller) -> AsyncIterator[Wire]:  # noqa: ARG001  who looks after it
    async with wire(await server.address()) as connected:
        yield connected


async def _asked(
    raw: Wire, data: bytes = frame(ASKED), method: str = GET_STOCK, **changed: str | None
) -> Ended:
    sent = headers(method, {name.replace("_", "-"): value for name, value in changed.items()})
    return await raw.answer(await raw.begin(sent, data))


async def test_a_call_made_by_hand_is_a_call(raw: Wire) -> None:
    ended = await _asked(raw)
    assert (ended.http, ended.grpc) == (200, 0)
    assert len(ended.data) > 5


@pytest.mark.parametrize(
    "method", ["/inventory.v1.InventoryQueries/Nothing", "/no.Such/Thing", "/", "/../../etc/passwd"]
)
async def test_what_is_not_there_is_unimplemented(raw: Wire, method: str) -> None:
    assert (await _asked(raw, method=method)).grpc == StatusCode.UNIMPLEMENTED.value[0]


@pytest.mark.parametrize(
    "changed",
    [
        {":method": "GET"},
        {":method": "PUT"},
        {"te": None},
        {":path": None},
        {":scheme": None},
        {"grpc-encoding": "brotli"},
        {"grpc-timeout": "soon"},
    ],
    ids=str,
)
async def test_headers_of_no_call_are_refused_or_do_no_harm(
    raw: Wire, changed: dict[str, str | None]
) -> None:
    ended = await raw.answer(await raw.begin(headers(GET_STOCK, changed), frame(ASKED)))
    assert ended.is_refused or ended.grpc == 0


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(b"\xff\xff"), StatusCode.INVALID_ARGUMENT),
        (frame(b""), StatusCode.INVALID_ARGUMENT),
        (frame(b"x" * (MIB + 1)), StatusCode.RESOURCE_EXHAUSTED),
        (frame(b"x" * MIB), StatusCode.INVALID_ARGUMENT),
        (frame(ASKED, compressed=1), None),
        (frame(ASKED, length=2**31), StatusCode.RESOURCE_EXHAUSTED),
        (frame(ASKED, length=len(ASKED) + 1), None),
        (frame(ASKED) * 2, None),
        (b"", None),
        (b"\0\0", None),
    ],
    ids=[
        "junk",
        "empty",
        "too long",
        "as long as may be",
        "not compressed",
        "2 GiB",
        "one more",
        "two",
        "none",
        "cut",
    ],
)
async def test_messages_that_are_none_are_refused_and_nothing_is_written(
    raw: Wire, data: bytes, code: StatusCode | None
) -> None:
    ended = await _asked(raw, data)
    if code is None:
        assert ended.is_refused or ended.grpc == 0
        assert ended.grpc != StatusCode.UNKNOWN.value[0]
    else:
        assert ended.grpc == code.value[0]


async def test_a_bomb_does_not_go_off(raw: Wire) -> None:
    bomb = gzip.compress(bytes(50 * MIB))
    assert len(bomb) < MIB
    ended = await _asked(raw, frame(bomb, compressed=1), grpc_encoding="gzip")
    assert ended.grpc == StatusCode.RESOURCE_EXHAUSTED.value[0]


@pytest.mark.parametrize(
    ("more", "is_taken"),
    [
        ({"x-trace": "x" * 7 * KIB}, True),
        ({"x-trace": "x" * 17 * KIB}, False),
        ({"x-trace": "x" * 70 * KIB}, False),
        ({f"x-{number}": "y" for number in range(2_000)}, False),
        ({"x-trace-bin": "this is no base64!"}, None),
        ({"x-trace": "a\nb"}, None),
        ({"X-Trace": "capitals"}, None),
    ],
    ids=["7 KiB", "17 KiB", "70 KiB", "2,000 of them", "no base64", "control", "capitals"],
)
async def test_metadata_is_bounded(
    server: ServerProcess,
    caller: Caller,  # noqa: ARG001  who looks after it
    more: dict[str, str],
    is_taken: bool | None,  # noqa: FBT001  a case
) -> None:
    async with wire(await server.address()) as raw:
        # gRPC holds a caller to its limits once they are agreed on, and not before
        await _asked(raw)
        ended = await raw.answer(await raw.begin(headers(GET_STOCK, more), frame(ASKED)))
    if is_taken is not None:
        assert (ended.grpc == 0) == is_taken
    assert ended.is_refused or ended.grpc == 0


async def test_metadata_before_limits_are_agreed_on_costs_no_more_than_itself(raw: Wire) -> None:
    ended = await raw.answer(
        await raw.begin(headers(GET_STOCK, {"x-trace": "x" * 128 * KIB}), frame(ASKED))
    )
    assert ended.is_refused or ended.grpc == 0


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        bytes(range(256)) * 8,
        PREFACE + bytes(range(256)) * 8,
        PREFACE + hyperframe.frame.HeadersFrame(1, b"\xff" * 40, flags=["END_HEADERS"]).serialize(),
    ],
    ids=["HTTP/1.1", "TLS", "junk", "junk after the preface", "headers that cannot be read"],
)
async def test_who_speaks_otherwise_is_hung_up_on(
    server: ServerProcess,
    caller: Caller,  # noqa: ARG001  who looks after it
    said: bytes,
) -> None:
    async with wire(await server.address(), greet=False) as raw:
        await raw.send(said)
        assert await raw.until_closed()


async def test_calls_that_are_taken_back_at_once_leave_nothing(
    server: ServerProcess, caller: Caller
) -> None:
    async with wire(await server.address()) as raw:
        for _ in range(1_000):
            stream = raw.http2.get_next_available_stream_id()
            raw.http2.send_headers(stream, headers(ADD_STOCK))
            raw.http2.reset_stream(stream)
        await raw.flush()
        await asyncio.sleep(0.2)
        added = await caller.queries.GetStock(
            GetStockRequest(product_id="kettle", store_id="lisbon")
        )
        assert added.as_of_position == 1


@pytest.mark.parametrize("kind", ["pings", "settings"])
async def test_floods_end_the_connection_they_come_on_and_no_other(
    server: ServerProcess, caller: Caller, kind: str
) -> None:
    ping = hyperframe.frame.PingFrame(0, b"12345678").serialize()
    settings = hyperframe.frame.SettingsFrame(0, {3: 100}).serialize()
    async with wire(await server.address()) as raw:
        for _ in range(20):
            await raw.send((ping if kind == "pings" else settings) * 500)
            await caller.queries.GetStock(
                GetStockRequest(product_id="kettle", store_id="lisbon"), timeout=10
            )
        if kind == "pings":
            assert await raw.until_closed()


async def test_who_sends_a_byte_at_a_time_keeps_nobody_waiting(
    server: ServerProcess, caller: Caller
) -> None:
    async with wire(await server.address()) as raw:
        stream = await raw.begin(headers(GET_STOCK), end=False)
        for byte in frame(ASKED)[:8]:
            await raw.body(stream, bytes([byte]), end=False)
            await caller.queries.GetStock(
                GetStockRequest(product_id="kettle", store_id="lisbon"), timeout=10
            )
        assert raw.ended[stream].grpc == -1
        # it has five seconds, by its own word
        assert (await raw.answer(stream)).is_refused
