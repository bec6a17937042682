"""Follows the log, and reconnects after failures."""

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
from inventory_grpc.client.tracing import trace_context
from inventory_grpc.client.translation import translated
from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest, SubscribeResponse

_log = logging.getLogger(__name__)


class Backoff:
    """The delay after a failure: full jitter over a window that doubles.

    The window is reset after a stream that was healthy for a while. It is not reset when a
    stream opens; otherwise a server that fails at once would be called ten times a second.
    """

    FIRST: Final = 0.1
    MOST: Final = 10.0
    HEALTHY: Final = 30.0

    def __init__(self) -> None:
        self._window = self.FIRST

    def wait(self, healthy: float) -> float:
        """Return the delay in seconds after a stream that was healthy for *healthy* seconds."""
        if healthy >= self.HEALTHY:
            self._window = self.FIRST
        window, self._window = self._window, min(2 * self._window, self.MOST)
        return random.uniform(0, window)  # noqa: S311  not a secret


async def follow(
    connections: Connections, request: SubscribeRequest, *, dead_after: float
) -> AsyncGenerator[SubscribeResponse, None]:
    """Yield the responses to *request*; after a failure, resume after the last one yielded.

    Every message has the position that it reaches, so nothing is missed or yielded twice. A
    stream that is silent for *dead_after* seconds counts as failed.

    Raises:
        InventoryError: a failure that a retry cannot fix.
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
        failure: InventoryError = _lost("the stream ended unexpectedly")
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
        failure.in_doubt = False  # a subscription records nothing
        # A server that was trusted before may be renewing its certificate.
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
        call = connection.events.Subscribe(request, metadata=trace_context())
        try:
            while True:
                message = await connections.next_of(call, dead_after)
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
            # A call that is not cancelled stays open, here and on the server.
            call.cancel()


def _lost(why: str) -> Unavailable:
    return Unavailable(grpc.StatusCode.UNAVAILABLE, message=why)
