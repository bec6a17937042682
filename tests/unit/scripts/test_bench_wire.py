"""The load generator speaks HTTP/2 as a gRPC server expects it."""

from collections.abc import AsyncIterator
from random import Random
from typing import Any

import grpc
import grpc.aio
import pytest

from inventory_grpc.presentation.grpc_types import Context
from scripts.bench.frames import FRAME_BYTES, WINDOW, Messages, Outgoing, prefixed
from scripts.bench.load import drive
from scripts.bench.streams import drained, pipeline
from scripts.bench.traffic import Call
from scripts.bench.wire import CallFailed

ONE, EACH, FEW, MANY = (f"/bench.Streams/{name}" for name in ("One", "Each", "Few", "Many"))


class Streams:
    """Answers each message of a stream, but the one of a number, and keeps what it was sent."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.refused: int | None = None

    async def each(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        async for request in requests:
            self.messages.append(request)
            if len(self.messages) == self.refused:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
            yield request[:5]

    async def few(self, requests: AsyncIterator[bytes], _context: Context) -> AsyncIterator[bytes]:
        """Answer all but the last message."""
        before: bytes | None = None
        async for request in requests:
            if before is not None:
                yield before
            before = request

    async def many(self, request: bytes, _context: Context) -> AsyncIterator[bytes]:
        """Answer with so many messages, each of as many bytes as its number says."""
        for number in range(int(request)):
            yield bytes(number)

    async def one(self, request: bytes, _context: Context) -> bytes:
        self.messages.append(request)
        return b""


@pytest.fixture
def streams() -> Streams:
    return Streams()


@pytest.fixture
async def address(streams: Streams) -> AsyncIterator[str]:
    server = grpc.aio.server()
    handlers: dict[str, Any] = {
        "One": grpc.unary_unary_rpc_method_handler(streams.one),
        "Each": grpc.stream_stream_rpc_method_handler(streams.each),
        "Few": grpc.stream_stream_rpc_method_handler(streams.few),
        "Many": grpc.unary_stream_rpc_method_handler(streams.many),
    }
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("bench.Streams", handlers)]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


def messages(count: int, size: int) -> list[bytes]:
    return [f"{number:05}".encode() + Random(number).randbytes(size - 5) for number in range(count)]


async def test_every_message_of_a_stream_arrives_whole_and_in_order(
    streams: Streams, address: str
) -> None:
    sent = messages(60, size=50_000)  # more than the server has room for at a time

    load = await pipeline(address, EACH, iter(sent), streams=1, warm_seconds=0, seconds=30)

    assert streams.messages == sent
    assert load.begun == len(load.latencies) == 60


async def test_streams_share_what_is_to_be_sent(streams: Streams, address: str) -> None:
    sent = messages(100, size=100)

    await pipeline(address, EACH, iter(sent), streams=3, warm_seconds=0, seconds=30)

    assert sorted(streams.messages) == sent


async def test_a_stream_that_fails_ends_the_measurement(streams: Streams, address: str) -> None:
    streams.refused = 7

    with pytest.raises(CallFailed, match="not now"):
        await pipeline(
            address, EACH, iter(messages(20, 100)), streams=1, warm_seconds=0, seconds=30
        )


async def test_a_message_that_is_not_answered_ends_the_measurement(address: str) -> None:
    with pytest.raises(CallFailed, match="1 messages were not answered"):
        await pipeline(address, FEW, iter(messages(9, 100)), streams=1, warm_seconds=0, seconds=30)


async def test_a_call_may_be_larger_than_a_window(streams: Streams, address: str) -> None:
    large = messages(4, size=3 * WINDOW)

    await drive(
        [address],
        lambda caller: iter([Call(ONE, large[caller])]),
        callers=4,
        warm_seconds=0,
        seconds=30,
        connections=1,
    )

    assert sorted(streams.messages) == large


async def test_a_stream_is_read_to_its_end(address: str) -> None:
    stream = await drained(address, MANY, b"2000")

    assert stream.messages == 2_000
    assert stream.size == sum(range(2_000))
    assert stream.last == bytes(1_999)


def test_no_more_is_sent_than_the_other_side_has_room_for() -> None:
    ready: list[bytes] = []
    outgoing = Outgoing(ready)
    data = Random(1).randbytes(3 * WINDOW)

    outgoing.send(1, data, last=True)
    assert sent(ready) == data[:WINDOW]  # both windows are full
    outgoing.make_room(0, 10_000)
    assert sent(ready) == data[:WINDOW]  # that of the stream still is
    outgoing.make_room(1, 20_000)
    assert sent(ready) == data[: WINDOW + 10_000]
    assert not ends(ready)
    outgoing.resize(10 * WINDOW)
    outgoing.make_room(0, 10 * WINDOW)

    assert sent(ready) == data
    assert ends(ready)
    assert max(map(len, ready)) == 9 + FRAME_BYTES


def test_a_stream_without_room_does_not_hold_up_another() -> None:
    ready: list[bytes] = []
    outgoing = Outgoing(ready)
    outgoing.make_room(0, 10 * WINDOW)

    outgoing.send(1, bytes(2 * WINDOW), last=True)
    ready.clear()
    outgoing.send(3, b"small", last=True)

    assert sent(ready) == b"small"


def test_messages_are_put_together_from_any_pieces() -> None:
    told = [b"", b"a", bytes(300), b"end"]
    data = b"".join(map(prefixed, told))

    for size in (1, 4, 7, 299, len(data)):
        stream = Messages()
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert [message for piece in pieces for message in stream.fed(piece)] == told


def sent(frames: list[bytes]) -> bytes:
    return b"".join(frame[9:] for frame in frames)


def ends(frames: list[bytes]) -> bool:
    return any(frame[4] & 1 for frame in frames)
