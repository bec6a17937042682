"""The admin service reports the state of the server."""

from collections.abc import Awaitable, Callable
from typing import Any, Never

from inventory_grpc.application.ledger.circuit_breaker import CircuitBreaker
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.application.store import Durability
from inventory_grpc.presentation.admin import Admin, ServerFacts
from inventory_grpc_protos.v1 import admin_pb2 as pb
from tests.support.world import NOON, SECOND

NO_CONTEXT: Any = None


async def readable() -> int:
    return 812


async def info(
    breaker: CircuitBreaker, head: Callable[[], Awaitable[int]] = readable, lock_wait: int = 0
) -> pb.GetServerInfoResponse:
    facts = ServerFacts(
        version="0.1.0",
        log_id=lambda: "k3v9x0q2m7ab",
        durability=Durability.RELAXED,
        start_time=NOON,
        breaker=breaker,
        head=head,
        published=Head(700),
        lock_wait=lambda: lock_wait,
        expiry_lag=lambda: 1_500,
        clock_difference=lambda: -2_500_000,
        unsettled_changes=head,
    )
    return await Admin(facts).GetServerInfo(pb.GetServerInfoRequest(), NO_CONTEXT)


def closed() -> CircuitBreaker:
    return CircuitBreaker(lambda: 0, lambda: 0.5)


async def test_a_server_says_what_it_serves_and_since_when() -> None:
    told = await info(closed())
    assert (told.version, told.log_id, told.head_position) == ("0.1.0", "k3v9x0q2m7ab", 812)
    assert told.durability == pb.DURABILITY_RELAXED
    assert told.start_time.ToMicroseconds() == NOON
    assert told.expiry_lag.ToMicroseconds() == 1_500
    assert told.unsettled_changes == 812
    assert told.clock_difference.ToMicroseconds() == -2_500_000


async def test_while_all_is_well_writes_are_accepted() -> None:
    told = await info(closed())
    assert told.writes == pb.WRITES_ACCEPTED
    assert told.writes_refused_reason == ""
    assert told.circuit_breaker.state == pb.CIRCUIT_BREAKER_STATE_CLOSED
    assert told.circuit_breaker.retry_delay.ToMicroseconds() == 0


async def test_while_storage_is_in_trouble_it_says_so_and_when_it_tries_again() -> None:
    breaker = closed()
    breaker.failed(StorageError(Fault.BROKEN, why="Input/output error", detail="/srv/a.db"))
    told = await info(breaker)
    assert told.writes == pb.WRITES_REFUSED
    assert "storage failed: Input/output error" in told.writes_refused_reason
    assert "/srv" not in told.writes_refused_reason
    assert told.circuit_breaker.state == pb.CIRCUIT_BREAKER_STATE_OPEN
    assert told.circuit_breaker.retry_delay.ToMicroseconds() == SECOND // 2


async def test_while_commands_wait_for_another_process_it_says_so_and_for_how_long() -> None:
    told = await info(closed(), lock_wait=3 * SECOND)
    assert told.writes == pb.WRITES_WAITING
    assert told.write_lock_wait.ToMicroseconds() == 3 * SECOND
    breaker = closed()
    breaker.failed(StorageError(Fault.BROKEN))
    assert (await info(breaker, lock_wait=3 * SECOND)).writes == pb.WRITES_REFUSED


async def test_while_the_log_cannot_be_read_the_last_head_is_told() -> None:
    async def unreadable() -> Never:
        raise StorageError(Fault.BROKEN)

    told = await info(closed(), unreadable)
    assert told.head_position == 700
