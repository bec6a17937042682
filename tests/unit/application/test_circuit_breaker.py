"""The rules of the circuit breaker, under a clock that the test sets."""

import asyncio
from collections.abc import Callable

import pytest

from inventory_grpc.application.failures import LogDamaged, StorageFull, WritesRefused
from inventory_grpc.application.ledger.circuit_breaker import (
    FIRST_WAIT_SECONDS,
    MAX_WAIT_SECONDS,
    MIN_CALLS,
    SLOW_SECONDS,
    WINDOW,
    BreakerState,
    CircuitBreaker,
    refusal_of,
    refusal_of_read,
)
from inventory_grpc.application.ports import Fault, StorageError
from tests.support.clock import ManualClock
from tests.support.world import SECOND

BUSY = StorageError(Fault.BUSY)
BROKEN = StorageError(Fault.BROKEN)
FAST = 0.001


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def breaker(clock: ManualClock) -> CircuitBreaker:
    return CircuitBreaker(clock.monotonic, lambda: 0.5)


async def fail_probe(breaker: CircuitBreaker, error: BaseException = BROKEN) -> None:
    with pytest.raises(type(error)):
        async with breaker.probing():
            raise error


def test_it_begins_closed(breaker: CircuitBreaker) -> None:
    breaker.check()
    assert breaker.state is BreakerState.CLOSED


def test_successes_keep_it_closed(breaker: CircuitBreaker) -> None:
    for _ in range(1_000):
        breaker.succeeded(FAST)
    breaker.check()


@pytest.mark.parametrize(
    "error",
    [
        BROKEN,
        StorageError(Fault.FULL),
        StorageError(Fault.DAMAGED),
        StorageError(Fault.BROKEN, committing=True),
        StorageError(Fault.BUSY, committing=True),
    ],
    ids=str,
)
def test_what_makes_it_unsafe_to_write_opens_it_at_once(
    breaker: CircuitBreaker, error: StorageError
) -> None:
    breaker.failed(error)
    assert breaker.state is BreakerState.OPEN
    assert breaker.fault is error.fault


def test_a_held_lock_opens_it_only_after_enough_calls(breaker: CircuitBreaker) -> None:
    for _ in range(MIN_CALLS - 1):
        breaker.failed(BUSY)
        breaker.check()
    breaker.failed(BUSY)
    assert breaker.state is BreakerState.OPEN


def test_it_opens_when_half_of_the_last_calls_have_failed(breaker: CircuitBreaker) -> None:
    for _ in range(WINDOW // 2):
        breaker.succeeded(FAST)
    for _ in range(WINDOW // 2 - 1):
        breaker.failed(BUSY)
        breaker.check()
    breaker.failed(BUSY)
    assert breaker.state is BreakerState.OPEN


def test_fewer_than_half_never_open_it(breaker: CircuitBreaker) -> None:
    for _ in range(200):
        breaker.succeeded(FAST)
        breaker.failed(BUSY)
        breaker.succeeded(FAST)
    breaker.check()


def test_what_is_further_back_than_the_window_is_forgotten(breaker: CircuitBreaker) -> None:
    for _ in range(MIN_CALLS - 1):
        breaker.failed(BUSY)
    for _ in range(WINDOW):
        breaker.succeeded(FAST)
    for _ in range(WINDOW // 2 - 1):
        breaker.failed(BUSY)
    breaker.check()


def test_a_success_does_not_open_it_whatever_came_before(breaker: CircuitBreaker) -> None:
    for _ in range(MIN_CALLS - 1):
        breaker.failed(BUSY)
    breaker.succeeded(FAST)
    breaker.check()


def test_a_commit_that_was_too_slow_counts_as_a_failure(breaker: CircuitBreaker) -> None:
    for _ in range(MIN_CALLS - 1):
        breaker.succeeded(SLOW_SECONDS + 0.1)
    breaker.check()
    breaker.succeeded(SLOW_SECONDS + 0.1)
    assert breaker.state is BreakerState.OPEN


def test_one_that_was_just_fast_enough_does_not(breaker: CircuitBreaker) -> None:
    for _ in range(WINDOW):
        breaker.succeeded(SLOW_SECONDS)
    breaker.check()


@pytest.mark.parametrize(
    ("fault", "refusal"),
    [
        (Fault.BROKEN, WritesRefused),
        (Fault.BUSY, WritesRefused),
        (Fault.SLOW, WritesRefused),
        (Fault.READ_ONLY, WritesRefused),
        (Fault.FULL, StorageFull),
        (Fault.DAMAGED, LogDamaged),
    ],
)
def test_while_it_is_open_callers_are_told_why(
    breaker: CircuitBreaker, fault: Fault, refusal: type[Exception]
) -> None:
    breaker.failed(StorageError(fault, committing=True))
    with pytest.raises(refusal):
        breaker.check()


def test_every_fault_has_its_refusal() -> None:
    for fault in Fault:
        assert str(refusal_of(StorageError(fault), 1.0))


WITH_A_CAUSE = StorageError(
    Fault.BROKEN, why="Input/output error", detail="/srv/inventory.db: disk I/O error, errno 5"
)


def test_callers_are_told_the_cause_in_words_and_the_log_has_the_path(
    breaker: CircuitBreaker, caplog: pytest.LogCaptureFixture
) -> None:
    breaker.failed(WITH_A_CAUSE)
    refusal = breaker.refusal()
    assert isinstance(refusal, WritesRefused)
    assert refusal.why == "storage failed: Input/output error"
    for told in (refusal, refusal_of_read(WITH_A_CAUSE, 1.0)):
        assert "/srv" not in f"{told} {told.facts()}"
    assert "/srv/inventory.db: disk I/O error, errno 5" in caplog.text


async def test_the_cause_of_the_last_probe_is_the_one_that_is_told(
    breaker: CircuitBreaker,
) -> None:
    breaker.failed(WITH_A_CAUSE)
    await fail_probe(breaker, StorageError(Fault.READ_ONLY, why="Read-only file system"))
    assert "is read-only: Read-only file system" in str(breaker.refusal())


def test_transactions_that_take_too_long_are_not_told_as_a_lock_of_others(
    breaker: CircuitBreaker,
) -> None:
    for _ in range(MIN_CALLS):
        breaker.succeeded(12.0)
    assert str(breaker.refusal()) == (
        "writes are refused: storage is too slow: a transaction took 12.0 s"
    )


def test_callers_are_told_when_to_come_again_and_never_at_once(
    breaker: CircuitBreaker, clock: ManualClock
) -> None:
    breaker.failed(BROKEN)
    assert _retry(breaker) == FIRST_WAIT_SECONDS
    clock.go_on(SECOND // 10)
    assert _retry(breaker) == pytest.approx(FIRST_WAIT_SECONDS - 0.1)
    clock.go_on(10 * SECOND)
    assert breaker.retry_seconds() == 0.0
    assert _retry(breaker) == 0.05


def _retry(breaker: CircuitBreaker) -> float:
    with pytest.raises(WritesRefused) as refused:
        breaker.check()
    return refused.value.retry_seconds


async def test_time_alone_does_not_close_it(breaker: CircuitBreaker, clock: ManualClock) -> None:
    breaker.failed(BROKEN)
    clock.go_on(3_600 * SECOND)
    with pytest.raises(WritesRefused):
        breaker.check()


async def test_a_probe_that_succeeds_closes_it(breaker: CircuitBreaker) -> None:
    breaker.failed(BROKEN)
    async with breaker.probing():
        assert breaker.state is BreakerState.HALF_OPEN
        with pytest.raises(WritesRefused):
            breaker.check()
    breaker.check()
    assert breaker.fault is None
    assert breaker.open_since is None


async def test_what_failed_before_it_was_closed_counts_no_more(breaker: CircuitBreaker) -> None:
    for _ in range(MIN_CALLS):
        breaker.failed(BUSY)
    async with breaker.probing():
        pass
    for _ in range(MIN_CALLS - 1):
        breaker.failed(BUSY)
        breaker.check()


async def test_each_probe_that_fails_makes_the_next_wait_longer_up_to_a_bound(
    breaker: CircuitBreaker, clock: ManualClock
) -> None:
    breaker.failed(BROKEN)
    waits = [breaker.retry_seconds()]
    for _ in range(8):
        clock.go_on(60 * SECOND)
        await fail_probe(breaker)
        assert breaker.state is BreakerState.OPEN
        waits.append(breaker.retry_seconds())
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, *[MAX_WAIT_SECONDS] * 4]


async def test_when_it_opens_anew_the_wait_is_short_again(
    breaker: CircuitBreaker, clock: ManualClock
) -> None:
    breaker.failed(BROKEN)
    for _ in range(5):
        await fail_probe(breaker)
    async with breaker.probing():
        clock.go_on(SECOND)
    breaker.failed(BROKEN)
    assert breaker.retry_seconds() == FIRST_WAIT_SECONDS


def test_processes_that_broke_together_do_not_come_back_together(clock: ManualClock) -> None:
    waits = []
    for jitter in (0.0, 0.5, 0.999):
        breaker = CircuitBreaker(clock.monotonic, lambda jitter=jitter: jitter)  # type: ignore[misc]
        breaker.failed(BROKEN)
        waits.append(breaker.retry_seconds())
    assert waits == sorted(set(waits))
    assert FIRST_WAIT_SECONDS / 2 <= waits[0] < waits[-1] <= FIRST_WAIT_SECONDS * 1.5


async def test_a_probe_tells_what_is_wrong_now(breaker: CircuitBreaker) -> None:
    breaker.failed(BROKEN)
    await fail_probe(breaker, StorageError(Fault.FULL))
    with pytest.raises(StorageFull):
        breaker.check()


async def test_a_probe_that_is_cancelled_leaves_it_open_not_stuck(breaker: CircuitBreaker) -> None:
    breaker.failed(BROKEN)
    begun = asyncio.Event()

    async def probe() -> None:
        async with breaker.probing():
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(probe())
    await begun.wait()
    with pytest.raises(WritesRefused):
        breaker.check()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert breaker.state is BreakerState.OPEN
    assert breaker.retry_seconds() > 0
    async with breaker.probing():
        pass
    breaker.check()


async def test_a_probe_with_a_bug_leaves_it_open_not_stuck(breaker: CircuitBreaker) -> None:
    breaker.failed(BROKEN)
    await fail_probe(breaker, ZeroDivisionError())
    assert breaker.state is BreakerState.OPEN


async def test_it_is_hopeless_when_broken_for_too_long_and_only_then(
    breaker: CircuitBreaker, clock: ManualClock
) -> None:
    assert not breaker.is_hopeless(60)
    breaker.failed(BROKEN)
    for _ in range(6):
        assert not breaker.is_hopeless(60)
        clock.go_on(10 * SECOND)
        await fail_probe(breaker)
    clock.go_on(1)
    assert breaker.is_hopeless(60)


async def test_a_full_disk_and_damage_are_never_hopeless(clock: ManualClock) -> None:
    for fault in (Fault.FULL, Fault.DAMAGED):
        breaker = CircuitBreaker(clock.monotonic, lambda: 0.0)
        breaker.failed(StorageError(fault))
        clock.go_on(3_600 * SECOND)
        assert not breaker.is_hopeless(60)


async def test_every_change_of_state_is_told_once_in_order(breaker: CircuitBreaker) -> None:
    told: list[BreakerState] = []
    breaker.on_change(told.append)
    breaker.failed(BROKEN)
    breaker.failed(BROKEN)
    await fail_probe(breaker)
    async with breaker.probing():
        pass
    assert [state.name for state in told] == ["OPEN", "HALF_OPEN", "OPEN", "HALF_OPEN", "CLOSED"]


async def test_steps_of_the_wall_clock_change_nothing(
    breaker: CircuitBreaker, clock: ManualClock
) -> None:
    breaker.failed(BROKEN)
    clock.step_wall(-3_600 * SECOND)
    assert breaker.retry_seconds() == FIRST_WAIT_SECONDS
    clock.step_wall(7_200 * SECOND)
    assert breaker.retry_seconds() == FIRST_WAIT_SECONDS
    assert not breaker.is_hopeless(60)


def test_a_handler_sees_the_new_state(breaker: CircuitBreaker) -> None:
    seen: list[bool] = []
    handler: Callable[[BreakerState], None] = lambda state: seen.append(state is breaker.state)  # noqa: E731
    breaker.on_change(handler)
    breaker.failed(BROKEN)
    assert seen == [True]


def test_a_handler_that_raises_keeps_the_next_one_and_the_breaker_from_nothing(
    breaker: CircuitBreaker, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: BreakerState) -> None:
        raise ValueError("a bug")

    told: list[BreakerState] = []
    breaker.on_change(fail)
    breaker.on_change(told.append)
    breaker.failed(BROKEN)
    assert told == [BreakerState.OPEN]
    assert "a bug" in caplog.text
