"""`grpc.health.v1`: the health of each service, by its full name.

The servicer that comes with gRPC holds a lock while it writes to a watcher, and so lets
one that reads nothing keep everybody from hearing that the server shuts down.
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
"""Methods that probes and load balancers call, which have no token; they tell only the state."""

SERVING: Final = pb.HealthCheckResponse.SERVING
NOT_SERVING: Final = pb.HealthCheckResponse.NOT_SERVING
UNKNOWN: Final = pb.HealthCheckResponse.SERVICE_UNKNOWN

COMMANDS: Final = "inventory.v1.InventoryCommands"

MAX_REQUEST_BYTES: Final = 256
"""The largest request to watch, which needs no token and is kept as long as the watch."""


class Health:
    """Serves the status of each service; the empty name is the server as a whole."""

    def __init__(self, services: Iterable[str]) -> None:
        self._statuses: dict[str, int] = {service: SERVING for service in ("", *services)}  # noqa: C420  so that its values may change
        self._changed = asyncio.Event()
        self._closed = False

    def set_writes_accepted(self, accepted: bool) -> None:  # noqa: FBT001  a handler of states
        """Set the status of `InventoryCommands`; reads go on, and so does the server."""
        if not self._closed:
            self._statuses[COMMANDS] = SERVING if accepted else NOT_SERVING
            self._wake()

    def close(self) -> None:
        """Set every status to `NOT_SERVING`, for good."""
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
        told = None
        while not (self._closed and told == NOT_SERVING):
            changed = self._changed  # first the signal, then the value
            status = self._statuses.get(request.service, UNKNOWN)
            if self._closed:
                status = NOT_SERVING
            if status == told:
                await changed.wait()
            else:
                yield pb.HealthCheckResponse(status=status)
                told = status
        raise ShuttingDown(1.0)
