"""May a command be tried now? If not, it is refused before it is even decoded."""

from typing import Final, Protocol

from inventory_grpc.presentation.grpc_types import Behaviour, Context
from inventory_grpc.presentation.interceptors.around import Around

COMMANDS: Final = "/inventory.v1.InventoryCommands/"


class WriteGate(Protocol):
    """Knows whether writes are possible; see `inventory_grpc.application.circuit_breaker`."""

    def check(self) -> None:
        """Raise the refusal that says why they are not."""
        ...


class GuardCommands(Around):
    """Lets commands pass only while the gate is open; everything else always."""

    def __init__(self, gate: WriteGate) -> None:
        super().__init__()
        self._gate = gate

    def around(self, method: str, call: Behaviour, *, streams: bool) -> Behaviour:  # noqa: ARG002
        if not method.startswith(COMMANDS):
            return call

        async def guarded(request: object, context: Context) -> object:
            self._gate.check()
            return await call(request, context)

        return guarded
