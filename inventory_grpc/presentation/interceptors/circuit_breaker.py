"""May a command be tried now? If not, it is refused before it is even decoded."""

from collections.abc import Awaitable, Callable
from typing import Final, Never, Protocol

import grpc
import grpc.aio

from inventory_grpc.application.failures import WritesRefused
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.presentation.grpc_types import Context, Handler, MaybeHandler

COMMANDS: Final = "/inventory.v1.InventoryCommands/"

_AGAIN_SECONDS: Final = 0.05


class WriteGate(Protocol):
    """Knows whether writes are possible; see `inventory_grpc.application.circuit_breaker`."""

    def check(self) -> None:
        """Raise the refusal that says why they are not."""
        ...


class GuardCommands(grpc.aio.ServerInterceptor):
    """Lets commands pass only while the gate is open; everything else always."""

    def __init__(self, gate: WriteGate) -> None:
        self._gate = gate
        self._refusing: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[MaybeHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> MaybeHandler:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(COMMANDS):
            return handler
        try:
            self._gate.check()
        except Refusal:
            if method not in self._refusing:
                self._refusing[method] = grpc.unary_unary_rpc_method_handler(self._refuse)
            return self._refusing[method]
        return handler

    async def _refuse(self, _message: bytes, _context: Context) -> Never:
        self._gate.check()
        raise WritesRefused(_AGAIN_SECONDS, "storage has only just come back; try again")
