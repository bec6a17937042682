"""Sends the responses of a stream, and ends one whose reader takes nothing for too long.

A streaming method yields; here its responses are sent one by one. That happens within
the call, so that the method is closed in its own task, and at once, however the call ends.
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
"""How long one message may wait to be taken.

A reader tells by its flow control how much it has taken, and not after every message: by
default a client on gRPC's C core tells after half of 4 MiB. One that takes less in that time
cannot be told from one that takes nothing. It is closed as well, and misses nothing: it reads
the messages it was sent, and resumes.
"""

LEAVING_SECONDS: Final = 1.0
"""gRPC cancels a call whose reader has left within this time."""


class ReaderStalled(Exception):
    """The reader has taken nothing for too long.

    It is closed with `UNAVAILABLE`, for which clients resume elsewhere or later, and the
    reason `OVERLOADED`; it hears of that only when it reads again.
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
                        # the reader has left, of which gRPC is just about to tell us
                        await asyncio.sleep(LEAVING_SECONDS)
                        raise

        return sent


async def _begin(call: Call) -> None:
    """Send the headers of the responses; a call that is cancelled meanwhile waits for that.

    gRPC notes that it has sent them when it is done. If it were interrupted, it would send them
    once more together with the status, which fails: the caller would wait for ever.
    """
    sending = asyncio.ensure_future(call.context.send_initial_metadata(()))
    try:
        await asyncio.shield(sending)
    except asyncio.CancelledError:
        await asyncio.wait([sending])
        if not sending.cancelled():
            sending.exception()  # it matters no more, and was looked at
        raise
