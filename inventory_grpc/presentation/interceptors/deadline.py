"""Does anybody still wait for the answer?"""

import asyncio
from typing import Final, cast

from inventory_grpc.presentation.grpc_types import Behaviour, Context
from inventory_grpc.presentation.interceptors.around import Around

MAX_SECONDS: Final = 30.0
"""How long a call of one response may take, where its caller has set no deadline."""


class KeepDeadlines(Around):
    """Does not begin a call whose deadline has passed, and lets none go on for ever.

    A deadline that passes later is gRPC's to notice: it cancels the call.
    """

    def __init__(self, max_seconds: float = MAX_SECONDS) -> None:
        super().__init__()
        self._max_seconds = max_seconds

    def around(self, method: str, call: Behaviour, *, streams: bool) -> Behaviour:  # noqa: ARG002
        max_seconds = None if streams else self._max_seconds

        async def timely(request: object, context: Context) -> object:
            seconds = cast("float | None", context.time_remaining())
            if seconds is None:
                async with asyncio.timeout(max_seconds):
                    return await call(request, context)
            if seconds <= 0:
                raise TimeoutError
            return await call(request, context)

        return timely
