"""`grpc.health.v1`: the health of each service, by its full name.

The servicer in grpcio holds a lock while it writes to a watcher, so a watcher that does not
read would prevent all others from learning that the server shuts down.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final

from google.protobuf.message import Message
from grpc import StatusCode
from grpc_health.v1 import health_pb2 as pb

from inventory_grpc.application.access import Role
from inventory_grpc.application.failures import ShuttingDown
from inventory_grpc.domain.refusals import InvalidValue, Violation
from inventory_grpc.presentation.call import Call

SERVICE: Final = "grpc.health.v1.Health"

ROLES: Final[Mapping[str, Role]] = {
    "Check": Role.READER,
    "List": Role.READER,
    "Watch": Role.READER,
}

OPEN_METHODS: Final = frozenset({f"/{SERVICE}/Check", f"/{SERVICE}/Watch"})
"""Methods for probes and load balancers, which have no token; they reveal only the status."""

SERVING: Final = pb.HealthCheckResponse.SERVING
NOT_SERVING: Final = pb.HealthCheckResponse.NOT_SERVING
UNKNOWN: Final = pb.HealthCheckResponse.SERVICE_UNKNOWN

COMMANDS: Final = "inventory.v1.InventoryCommands"

MAX_REQUEST_BYTES: Final = 256
"""The largest `Watch` request; it needs no token and stays in memory for the whole watch."""


class Health:
    """Serves the status of each service; the empty name is the server as a whole."""

    def __init__(self, services: Iterable[str]) -> None:
        self._statuses: dict[str, int] = {service: SERVING for service in ("", *services)}  # noqa: C420  so that its values may change
        self._changed = asyncio.Event()
        self._closed = False

    def set_writes_accepted(self, accepted: bool) -> None:  # noqa: FBT001  a handler of states
        """Set the status of `InventoryCommands`; the other services stay SERVING."""
        if not self._closed:
            self._statuses[COMMANDS] = SERVING if accepted else NOT_SERVING
            self._wake()

    def close(self) -> None:
        """Set every status to `NOT_SERVING` permanently."""
        self._closed = True
        for service in self._statuses:
            self._statuses[service] = NOT_SERVING
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def Check(self, request: pb.HealthCheckRequest, call: Call) -> pb.HealthCheckResponse:
        status = self._statuses.get(request.service)
        if status is None:
            await call.context.abort(StatusCode.NOT_FOUND, "there is no such service here")
        return pb.HealthCheckResponse(status=status)

    async def List(self, _request: object, _call: Call) -> Message:
        response: Message = pb.HealthListResponse(  # type: ignore[attr-defined]  # newer than the stubs
            statuses={
                service: pb.HealthCheckResponse(status=status)
                for service, status in self._statuses.items()
            }
        )
        return response

    async def Watch(
        self, request: pb.HealthCheckRequest, _call: Call
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        if request.ByteSize() > MAX_REQUEST_BYTES:
            raise InvalidValue(
                [Violation("service", f"must have at most {MAX_REQUEST_BYTES} bytes")]
            )
        sent = None
        while not (self._closed and sent == NOT_SERVING):
            changed = self._changed  # read before the value, so that no change is missed
            status = self._statuses.get(request.service, UNKNOWN)
            if self._closed:
                status = NOT_SERVING
            if status == sent:
                await changed.wait()
            else:
                yield pb.HealthCheckResponse(status=status)
                sent = status
        raise ShuttingDown(1.0)
