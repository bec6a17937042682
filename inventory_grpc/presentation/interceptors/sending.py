"""Does the reader of a stream still take what it is sent?

A streaming method yields; here its responses are sent one by one. That happens within
the call, so that whatever ends it, the method is closed in its own task, and at once.
"""

import asyncio
import inspect
from contextlib import aclosing
from typing import Any, Final

import grpc.aio

from inventory_grpc.presentation.grpc_types import Behaviour, Context
from inventory_grpc.presentation.interceptors.around import Around

MAX_SECONDS: Final = 60.0
"""How long one message may wait to be taken.

What the reader has taken is known only by its flow control, which does not tell of every
message: by default a client on gRPC's C core tells after half of 4 MiB. One that takes
less in that time cannot be told from one that takes nothing. It is closed as well, and
misses nothing: it reads what it has been sent, and resumes.
"""

LEAVING_SECONDS: Final = 1.0
"""By when a call whose reader has left is cancelled, at the latest."""


class ReaderStalled(Exception):
    """The reader has taken nothing for too long.

    It is closed with `UNAVAILABLE`, for which clients resume elsewhere or later, and the
    reason `OVERLOADED`; it hears of that only when it reads again.
    """


class SendInTime(Around):
    """Sends what a streaming method yields, each message within so long."""

    def __init__(self, max_seconds: float = MAX_SECONDS) -> None:
        super().__init__()
        self._max_seconds = max_seconds

    def around(self, method: str, call: Behaviour, *, streams: bool) -> Behaviour:  # noqa: ARG002
        if not inspect.isasyncgenfunction(call):
            return call
        responses_of: Any = call

        async def sent(request: object, context: Context) -> None:
            async with aclosing(responses_of(request, context)) as responses:
                async for response in responses:
                    try:
                        async with asyncio.timeout(self._max_seconds):
                            await context.write(response)
                    except TimeoutError:
                        raise ReaderStalled from None
                    except grpc.aio.InternalError:
                        # the reader has left, of which gRPC is just about to tell us
                        await asyncio.sleep(LEAVING_SECONDS)
                        raise

        return sent
