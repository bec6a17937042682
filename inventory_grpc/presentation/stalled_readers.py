"""Sends the responses of a stream, and ends the stream if its reader stalls.

A streaming method yields responses, and this interceptor sends them one by one. It does so
within the call, so that the method is closed in its own task and at once when the call ends.
"""

import asyncio
import inspect
from contextlib import aclosing
from typing import Any, Final

import grpc.aio

from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.grpc_types import Behaviour
from inventory_grpc.presentation.interceptors.around import Around

MAX_SECONDS: Final = 60.0
"""The longest time to send one message.

A reader acknowledges data by flow control, and not after every message: by default a client on
gRPC's C core does so after half of 4 MiB. A reader that is slower than that in this time cannot
be distinguished from one that reads nothing. Its stream is closed too, and it misses nothing:
it reads the messages already sent, and resumes.
"""

LEAVING_SECONDS: Final = 1.0
"""gRPC cancels a call whose reader has left within this time."""


class ReaderStalled(Exception):
    """The reader has read nothing for too long.

    Its stream is closed with `UNAVAILABLE`, after which clients resume, and the reason
    `OVERLOADED`; it receives that only when it reads again.
    """


class SendInTime(Around):
    """Sends the responses of streaming methods, each within *max_seconds*."""

    def __init__(self, max_seconds: float = MAX_SECONDS) -> None:
        super().__init__()
        self._max_seconds = max_seconds

    def around(self, method: str, inner: Behaviour, *, streams: bool) -> Behaviour:  # noqa: ARG002
        if not inspect.isasyncgenfunction(inner):
            return inner
        responses_of: Any = inner

        async def sent(request: object, call: Call) -> None:
            is_begun = False
            async with aclosing(responses_of(request, call)) as responses:
                async for response in responses:
                    try:
                        if not is_begun:
                            is_begun = True
                            await _begin(call)
                        async with asyncio.timeout(self._max_seconds):
                            await call.context.write(response)
                    except TimeoutError:
                        raise ReaderStalled from None
                    except grpc.aio.InternalError:
                        # the reader has left, and gRPC is about to cancel the call
                        await asyncio.sleep(LEAVING_SECONDS)
                        raise

        return sent


async def _begin(call: Call) -> None:
    """Send the response headers; a cancelled call waits until they are sent.

    gRPC records that it has sent them at the end. If it were interrupted, it would send them
    again together with the status, which fails, and the caller would wait forever.
    """
    sending = asyncio.ensure_future(call.context.send_initial_metadata(()))
    try:
        await asyncio.shield(sending)
    except asyncio.CancelledError:
        await asyncio.wait([sending])
        if not sending.cancelled():
            sending.exception()  # retrieved, so that asyncio does not log it
        raise
