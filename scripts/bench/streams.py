"""Streams: pipelined commands, and events read to the end."""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from scripts.bench.frames import OK, headers_of_call
from scripts.bench.load import Load, connect, measured
from scripts.bench.wire import CallFailed, Connection

AHEAD: Final = 3
"""Messages of a stream sent ahead of their answers."""

DRAIN_SECONDS: Final = 120.0


async def pipeline(  # noqa: PLR0913  address, messages and times
    address: str,
    method: str,
    messages: Iterator[bytes],
    *,
    streams: int,
    warm_seconds: float,
    seconds: float,
) -> Load:
    """Send *messages* over *streams*, each on its own connection, until time is up.

    Answered messages are counted. On return, every message has an answer, and every stream has
    succeeded.

    Raises:
        CallFailed: a stream failed.
    """
    async with measured(warm_seconds, seconds, "messages") as load:
        lanes = [_Lane(address, method, messages, load) for _ in range(streams)]
        try:
            for lane in lanes:
                await connect(address, lane.connection)
                lane.begin()
            for lane in lanes:
                await lane.connection.ended
        finally:
            for lane in lanes:
                lane.connection.close()
    return load


class _Lane:
    """One stream."""

    def __init__(self, address: str, method: str, messages: Iterator[bytes], load: Load) -> None:
        self._headers = headers_of_call(address, method)
        self._messages = messages
        self._load = load
        self._sent: deque[float] = deque()
        self._stream = 0
        self._ended = False
        self.connection = Connection(self._over, self._answered)

    def begin(self) -> None:
        self._stream = self.connection.open(self._headers)
        for _ in range(AHEAD):
            self._send()
        self.connection.flush()

    def _send(self) -> None:
        if self._ended:
            return
        now = time.perf_counter()
        message = next(self._messages, None) if now < self._load.closes else None
        if message is None:
            self._ended = True
            self.connection.end(self._stream)
            return
        self.connection.send(self._stream, message)
        self._sent.append(now)
        self._load.begun += 1

    def _answered(self, _stream: int, _message: bytes) -> None:
        self._load.answered(self._sent.popleft(), time.perf_counter())
        self._send()

    def _over(self, _stream: int, trailers: bytes) -> None:
        if OK not in trailers:
            self.connection.fail(f"the stream failed: {trailers!r}")
        elif self._sent:
            self.connection.fail(f"{len(self._sent)} messages were not answered")
        else:
            self.connection.finish()


class Drained(NamedTuple):
    """A stream that was read to the end."""

    seconds: float
    messages: int
    size: int
    last: bytes
    busy: float


async def drained(address: str, method: str, request: bytes) -> Drained:
    """Read a stream as fast as possible, and discard its messages.

    Raises:
        CallFailed: it failed, or did not end in time.
    """
    messages = size = 0
    last = b""

    def received(_stream: int, message: bytes) -> None:
        nonlocal messages, size, last
        messages += 1
        size += len(message)
        last = message

    def over(_stream: int, trailers: bytes) -> None:
        if OK in trailers:
            connection.finish()
        else:
            connection.fail(f"the stream failed: {trailers!r}")

    connection = Connection(over, received)
    await connect(address, connection)
    started, worked = time.perf_counter(), time.process_time()
    try:
        connection.begin(headers_of_call(address, method), request)
        connection.flush()
        async with asyncio.timeout(DRAIN_SECONDS):
            await connection.ended
    except TimeoutError:
        raise CallFailed(f"the stream did not end within {DRAIN_SECONDS:g} s") from None
    finally:
        connection.close()
    seconds = time.perf_counter() - started
    return Drained(seconds, messages, size, last, (time.process_time() - worked) / seconds)
