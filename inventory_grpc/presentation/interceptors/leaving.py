"""Is this server staying?

When a server is stopped, gRPC cancels what has come in and was not looked at yet, and
`CANCELLED` does not tell a caller that nothing has happened. So for a moment before,
calls are still taken, and told to go elsewhere.
"""

import asyncio
from typing import Final

from inventory_grpc.application.failures import ShuttingDown
from inventory_grpc.presentation.grpc_types import Behaviour, Context
from inventory_grpc.presentation.interceptors.around import Around

QUIET_SECONDS: Final = 0.1
"""When nobody has called for so long, all have been told who are not far away: what is on
its way at that moment is cancelled by gRPC."""

PATIENCE_SECONDS: Final = 0.5
"""Whoever still calls after that is not listening."""

RETRY_SECONDS: Final = 1.0

_OURS: Final = "/inventory.v1."


class TurnAway(Around):
    """Refuses calls once it was told to. Health and reflection are answered to the end."""

    def __init__(self) -> None:
        super().__init__()
        self._is_leaving = False
        self._turned_away = 0

    def around(self, method: str, call: Behaviour, *, streams: bool) -> Behaviour:  # noqa: ARG002
        if not method.startswith(_OURS):
            return call

        async def staying(request: object, context: Context) -> object:
            if self._is_leaving:
                self._turned_away += 1
                raise ShuttingDown(RETRY_SECONDS)
            return await call(request, context)

        return staying

    async def leave(self) -> None:
        """Refuse what comes from now on; return when nothing comes any more, or soon."""
        self._is_leaving = True
        loop = asyncio.get_running_loop()
        give_up = loop.time() + PATIENCE_SECONDS
        told = -1
        while told != self._turned_away and loop.time() < give_up:
            told = self._turned_away
            await asyncio.sleep(QUIET_SECONDS)
