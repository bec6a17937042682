"""Requests that break gRPC or HTTP/2 are refused alone, while others are served."""

import gzip
from collections.abc import AsyncIterator
from typing import Final

import hyperframe.frame
import pytest
from grpc import StatusCode

from inventory_grpc_protos.v1.queries_pb2 import GetStockRequest
from tests.robustness.raw_http2 import PREFACE, Ended, Wire, frame, headers, wire
from tests.support.caller import Caller, adding
from tests.support.server_process import ServerProcess

GET_STOCK: Final = "/inventory.v1.InventoryQueries/GetStock"
ADD_STOCK: Final = "/inventory.v1.InventoryCommands/AddStock"
ASKED: Final = GetStockRequest(product_id="kettle", store_id="lisbon").SerializeToString()
ADDING: Final = adding(1).SerializeToString()
KIB: Final = 1024
MIB: Final = 1024 * KIB


@pytest.fixture
async def raw(lone_server: ServerProcess, bystander: Caller) -> AsyncIterator[Wire]:  # noqa: ARG001  who looks after it
    async with wire(await lone_server.address()) as connected:
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
async def test_malformed_headers_are_refused_or_harmless(
    raw: Wire, changed: dict[str, str | None]
) -> None:
    ended = await raw.answer(await raw.begin(headers(GET_STOCK, changed), frame(ASKED)))
    assert ended.is_refused or ended.grpc == 0


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(b"\xff\xff"), StatusCode.INVALID_ARGUMENT),
        (frame(b""), StatusCode.INVALID_ARGUMENT),
        (frame(ASKED, length=-1 % 2**32), StatusCode.RESOURCE_EXHAUSTED),
        (frame(b"x" * (MIB + 1)), StatusCode.RESOURCE_EXHAUSTED),
        (frame(b"x" * (MIB - 1)), StatusCode.INVALID_ARGUMENT),
        (frame(b"x" * MIB), StatusCode.INVALID_ARGUMENT),
        (frame(ASKED, compressed=1), StatusCode.INTERNAL),
        (frame(ASKED, compressed=2), None),
        (frame(ASKED, length=2**31), StatusCode.RESOURCE_EXHAUSTED),
        (frame(ASKED, length=len(ASKED) + 1), None),
        (frame(ASKED) * 2, None),
        (b"", None),
        (b"\0\0", None),
    ],
    ids=[
        "junk",
        "empty",
        "4 GiB",
        "too long",
        "nearly too long",
        "as long as may be",
        "not compressed",
        "an unknown flag",
        "2 GiB",
        "one more",
        "two",
        "none",
        "cut",
    ],
)
async def test_malformed_messages_are_refused_and_nothing_is_written(
    raw: Wire, data: bytes, code: StatusCode | None
) -> None:
    ended = await _asked(raw, data, grpc_timeout="1S" if code is None else "5S")
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
    ended = await _asked(raw, frame(gzip.compress(bomb), compressed=1), grpc_encoding="gzip")
    assert ended.grpc == StatusCode.INVALID_ARGUMENT.value[0], "once is enough"


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
    lone_server: ServerProcess,
    bystander: Caller,  # noqa: ARG001  who looks after it
    more: dict[str, str],
    is_taken: bool | None,  # noqa: FBT001  a case
) -> None:
    async with wire(await lone_server.address()) as raw:
        # gRPC holds a caller to its limits once they are agreed on, and not before
        await _asked(raw)
        ended = await raw.answer(await raw.begin(headers(GET_STOCK, more), frame(ASKED)))
    if is_taken is not None:
        assert (ended.grpc == 0) == is_taken
    assert ended.is_refused or ended.grpc == 0


async def test_a_command_with_too_much_metadata_is_not_recorded(raw: Wire) -> None:
    """The bystander sees that nothing is; gRPC has let the call begin by the time it knows."""
    await _asked(raw)
    for size in (17 * KIB, 70 * KIB):
        sent = headers(ADD_STOCK, {"x-trace": "x" * size})
        ended = await raw.answer(await raw.begin(sent, frame(ADDING)))
        assert ended.grpc == StatusCode.RESOURCE_EXHAUSTED.value[0]


@pytest.mark.parametrize("deadline", ["0n", "0S", "-1S", "soon", "", "1", "1X"])
async def test_a_command_whose_deadline_has_passed_or_means_nothing_is_not_recorded(
    raw: Wire, deadline: str
) -> None:
    ended = await _asked(raw, frame(ADDING), ADD_STOCK, grpc_timeout=deadline)
    assert ended.is_refused


@pytest.mark.parametrize("deadline", ["99999999H", "999999999999H", None])
async def test_a_deadline_may_be_far_away(raw: Wire, deadline: str | None) -> None:
    assert (await _asked(raw, grpc_timeout=deadline)).grpc == 0


@pytest.mark.parametrize("kind", ["application/json", "text/html", "", None, "application/grpc"])
async def test_the_type_of_the_content_is_nothing_to_go_by(raw: Wire, kind: str | None) -> None:
    """It is not looked at by gRPC, and kept from us; what is no gRPC message is refused as that."""
    assert (await _asked(raw, content_type=kind)).grpc == 0
    if kind == "application/json":
        ended = await _asked(raw, b'{"product_id": ""}', content_type=kind, grpc_timeout="1S")
        assert ended.is_refused


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
    lone_server: ServerProcess,
    bystander: Caller,  # noqa: ARG001  who looks after it
    said: bytes,
) -> None:
    async with wire(await lone_server.address(), greet=False) as raw:
        await raw.send(said)
        assert await raw.until_closed()
