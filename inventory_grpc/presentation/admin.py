"""`InventoryAdmin`: the state of the server."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from inventory_grpc.application.access import Role
from inventory_grpc.application.ledger.circuit_breaker import BreakerState, CircuitBreaker
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ports import StorageError
from inventory_grpc.application.store import Durability
from inventory_grpc.domain.values import Instant
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.to_proto import fill_span, fill_time
from inventory_grpc_protos.v1 import admin_pb2 as pb

ROLES: Final[Mapping[str, Role]] = {"GetServerInfo": Role.ADMIN}

_STATES: Final = {
    BreakerState.CLOSED: pb.CIRCUIT_BREAKER_STATE_CLOSED,
    BreakerState.OPEN: pb.CIRCUIT_BREAKER_STATE_OPEN,
    BreakerState.HALF_OPEN: pb.CIRCUIT_BREAKER_STATE_HALF_OPEN,
}

_DURABILITIES: Final = {
    Durability.FULL: pb.DURABILITY_FULL,
    Durability.RELAXED: pb.DURABILITY_RELAXED,
}


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The values that `GetServerInfo` returns; durations are in microseconds."""

    version: str
    log_id: Callable[[], str]
    durability: Durability
    start_time: Instant
    breaker: CircuitBreaker
    head: Callable[[], Awaitable[int]]
    """Reads the last position of the log; raises `StorageError` if it cannot be read."""
    published: Head
    lock_wait: Callable[[], int]
    expiry_lag: Callable[[], int]
    clock_difference: Callable[[], int]
    unsettled_changes: Callable[[], Awaitable[int]]
    """Counts the changes that have not reached all stocks; raises as `head` does."""


class Admin:
    def __init__(self, facts: ServerFacts) -> None:
        self._facts = facts

    async def GetServerInfo(
        self, _request: pb.GetServerInfoRequest, _call: Call
    ) -> pb.GetServerInfoResponse:
        facts, breaker = self._facts, self._facts.breaker
        closed, lock_wait = breaker.state is BreakerState.CLOSED, facts.lock_wait()
        response = pb.GetServerInfoResponse(
            version=facts.version,
            log_id=facts.log_id(),
            head_position=await self._head(),
            durability=_DURABILITIES[facts.durability],
            writes=_writes(closed=closed, waits=lock_wait > 0),
            writes_refused_reason="" if closed else str(breaker.refusal()),
            circuit_breaker=pb.CircuitBreaker(state=_STATES[breaker.state]),
            unsettled_changes=await self._unsettled_changes(),
        )
        fill_time(response.start_time, facts.start_time)
        retry_seconds = breaker.retry_seconds() if breaker.state is BreakerState.OPEN else 0.0
        fill_span(response.circuit_breaker.retry_delay, round(retry_seconds * 1e6))
        fill_span(response.write_lock_wait, lock_wait)
        fill_span(response.expiry_lag, facts.expiry_lag())
        fill_span(response.clock_difference, facts.clock_difference())
        return response

    async def _head(self) -> int:
        """Return the head of the log; if it cannot be read, the last known one."""
        try:
            return await self._facts.head()
        except StorageError:
            return self._facts.published.position

    async def _unsettled_changes(self) -> int:
        try:
            return await self._facts.unsettled_changes()
        except StorageError:
            return 0


def _writes(*, closed: bool, waits: bool) -> pb.Writes.ValueType:
    if not closed:
        return pb.WRITES_REFUSED
    return pb.WRITES_WAITING if waits else pb.WRITES_ACCEPTED
