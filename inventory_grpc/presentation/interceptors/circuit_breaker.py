"""Refuses commands, before they are decoded, while writes are not possible."""

from typing import Final, Protocol

from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.grpc_types import Behaviour
from inventory_grpc.presentation.interceptors.around import Around

COMMANDS: Final = "/inventory.v1.InventoryCommands/"


class WriteGate(Protocol):
    """Knows whether writes are possible; see `application.ledger.circuit_breaker`."""

    def check(self) -> None:
        """Raise a refusal with the reason if they are not."""


class GuardCommands(Around):
    def __init__(self, gate: WriteGate) -> None:
        super().__init__()
        self._gate = gate

    def around(self, method: str, inner: Behaviour, *, streams: bool) -> Behaviour:  # noqa: ARG002
        if not method.startswith(COMMANDS):
            return inner

        async def guarded(request: object, call: Call) -> object:
            self._gate.check()
            return await inner(request, call)

        return guarded
