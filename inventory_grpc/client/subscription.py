"""Following the log for ever, although connections do not last that long."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import grpc

from inventory_grpc.client.calls import closed
from inventory_grpc.client.connections import Connections
from inventory_grpc.client.errors import InventoryError, Unavailable, Untrusted
from inventory_grpc.client.translation import translated
from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest, SubscribeResponse

_log = logging.getLogger(__name__)


class Backoff:
    """How long to wait after a failure: full jitter over a window that doubles.

    A stream that was healthy for a while has earned a fresh start. One that merely was
    opened has not, or a server that fails at once would be asked ten times a second.
    """

    FIRST: Final = 0.1
    MOST: Final = 10.0
    HEALTHY: Final = 30.0

    def __init__(self) -> None:
        self._window = self.FIRST

    def wait(self, healthy: float) -> float:
        """Return the seconds to wait after a stream that was *healthy* for so many."""
        if healthy >= self.HEALTHY:
            self._window = self.FIRST
        window, self._window = self._window, min(2 * self._window, self.MOST)
        return random.uniform(0, window)  # noqa: S311  nobody gains by guessing it


async def follow(
    connections: Connections, request: SubscribeRequest, *, dead_after: float
) -> AsyncGenerator[SubscribeResponse, None]:
    """Yield what *request* brings; after a failure, go on behind the last message yielded.

    Since every message names the position it leads up to, nothing is missed and nothing
    is yielded twice. A stream that is silent for *dead_after* seconds counts as failed.

    Raises:
        InventoryError: a failure that asking again will not mend.
    """
    with connections.for_stream():
        async with aclosing(_resumed(connections, request, dead_after)) as messages:
            async for message in messages:
                yield message


async def _resumed(
    connections: Connections, request: SubscribeRequest, dead_after: float
) -> AsyncGenerator[SubscribeResponse, None]:
    backoff = Backoff()
    trusted = False
    while True:
        first = last = None
        complete = False
        failure: InventoryError = _lost("the stream ended, and was to go on")
        try:
            async with aclosing(_stream(connections, request, dead_after)) as stream:
                async for message in stream:
                    last = time.monotonic()
                    first = first or last
                    trusted = True
                    request.after_position = message.position
                    request.log_id = message.log_id
                    complete = request.stop_at_head and message.caught_up
                    yield message
        except InventoryError as error:
            failure = error
        if complete:
            return
        failure.in_doubt = False  # nothing was to be recorded
        # A server that was trusted once may be about to renew its certificate.
        if not failure.repeatable and not (trusted and isinstance(failure, Untrusted)):
            raise failure
        healthy = last - first if first and last else 0.0
        wait = (failure.retry_after or 0.0) + backoff.wait(healthy)
        _log.warning("resuming after %d in %.2f s: %s", request.after_position, wait, failure)
        await connections.pause(wait)
        if connections.closed:
            raise closed(in_doubt=False)


async def _stream(
    connections: Connections, request: SubscribeRequest, dead_after: float
) -> AsyncGenerator[SubscribeResponse, None]:
    with connections.borrowed() as connection:
        call = connection.events.Subscribe(request)
        try:
            while True:
                async with asyncio.timeout(dead_after):
                    message = await call.read()
                if not isinstance(message, SubscribeResponse):
                    return
                yield message
        except TimeoutError:
            raise _lost(f"the stream was silent for {dead_after:g} s") from None
        except grpc.aio.AioRpcError as error:
            raise translated(error) from error
        except asyncio.CancelledError:
            if connections.closed_under_a_call():
                raise closed() from None
            raise
        finally:
            # A call that is only forgotten stays open, here and on the server.
            call.cancel()


def _lost(why: str) -> Unavailable:
    return Unavailable(grpc.StatusCode.UNAVAILABLE, message=why)
