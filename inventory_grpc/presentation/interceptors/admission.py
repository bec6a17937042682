"""Is there room for one more stream?"""

from typing import Final

from inventory_grpc.application.failures import Overloaded
from inventory_grpc.presentation.grpc_types import Behaviour, Context
from inventory_grpc.presentation.interceptors.around import Around

MAX_STREAMS: Final = 1_000
"""Streams of this service that are open at once, over all connections."""

RETRY_SECONDS: Final = 1.0

_OURS: Final = "/inventory.v1."


class AdmitStreams(Around):
    """Refuses a stream beyond so many. Health and reflection are never refused."""

    def __init__(self, most: int = MAX_STREAMS) -> None:
        super().__init__()
        self._most = most
        self._open = 0

    def around(self, method: str, call: Behaviour, *, streams: bool) -> Behaviour:
        if not streams or not method.startswith(_OURS):
            return call

        async def admitted(request: object, context: Context) -> object:
            if self._open >= self._most:
                raise Overloaded(RETRY_SECONDS)
            self._open += 1
            try:
                return await call(request, context)
            finally:
                self._open -= 1

        return admitted
