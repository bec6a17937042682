"""How fast can a stream of a server's be read to its end?"""

import asyncio
import time
from typing import Final, NamedTuple

from scripts.bench.frames import OK, headers_of_call
from scripts.bench.load import connect
from scripts.bench.wire import CallFailed, Connection

DRAIN_SECONDS: Final = 120.0


class Drained(NamedTuple):
    """A stream that was read to its end."""

    seconds: float
    messages: int
    size: int
    last: bytes
    busy: float


async def drained(address: str, method: str, request: bytes) -> Drained:
    """Read a stream as fast as it comes, and do nothing with it.

    Raises:
        CallFailed: it did not end well, or not in time.
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
        raise CallFailed(f"the stream has no end after {DRAIN_SECONDS:g} s") from None
    finally:
        connection.close()
    seconds = time.perf_counter() - started
    return Drained(seconds, messages, size, last, (time.process_time() - worked) / seconds)
