"""The circuit breaker agrees with a small model of it, and never sticks (G18)."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import pytest

from inventory_grpc.application.failures import (
    LogDamaged,
    Overloaded,
    PositionAhead,
    RequestIdReused,
    StorageFull,
    WritesRefused,
)
from inventory_grpc.application.ledger.circuit_breaker import BreakerState, CircuitBreaker
from inventory_grpc.application.ledger.writer import watched
from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.domain.refusals import (
    InsufficientStock,
    InvalidValue,
    Refusal,
    ReservationExists,
    ReservationNotFound,
    VersionConflict,
)
from inventory_grpc.domain.stock import Inventory
from tests.support.clock import ManualClock
from tests.support.effort import SEED, campaign, runs
from tests.support.world import KETTLES, R1

JITTER: Final = 0.25

OF_CALLERS: Final[tuple[Callable[[], BaseException], ...]] = (
    lambda: InvalidValue([]),
    lambda: ReservationNotFound(R1),
    lambda: ReservationExists(R1),
    lambda: RequestIdReused("cart-1"),
    lambda: InsufficientStock([]),
    lambda: VersionConflict(1, Inventory(KETTLES)),
    lambda: PositionAhead(2, 1),
    lambda: Overloaded(0.1),
    TimeoutError,
    asyncio.CancelledError,
)
"""Ends of transactions that are no fault of storage."""

TOLD: Final = {
    Fault.BUSY: WritesRefused,
    Fault.SLOW: WritesRefused,
    Fault.READ_ONLY: WritesRefused,
    Fault.SEALED: WritesRefused,
    Fault.FAILED_OVER: WritesRefused,
    Fault.BROKEN: WritesRefused,
    Fault.FULL: StorageFull,
    Fault.DAMAGED: LogDamaged,
    Fault.REWOUND: LogDamaged,
}


@dataclass
class Machine:
    """A model of the breaker: seconds, and the last twenty outcomes."""

    now: float = 0.0
    state: str = "CLOSED"
    fault: Fault | None = None
    last: list[bool] = field(default_factory=list)
    wait: float = 0.5
    probe_at: float = 0.0
    opened_at: float = 0.0

    def transaction(self, *, failed: bool, at_once: bool, fault: Fault) -> None:
        self.last = [*self.last, failed][-20:]
        often = len(self.last) >= 10 and 2 * sum(self.last) >= len(self.last)
        if failed and (at_once or often):
            self.wait, self.opened_at = 0.5, self.now
            self._open(fault)

    def probe(self, fault: Fault | None, *, ended_well: bool) -> None:
        if ended_well:
            self.state, self.fault, self.last = "CLOSED", None, []
        else:
            self.wait = min(15.0, 2 * self.wait)
            self._open(fault or self.fault or Fault.BROKEN)

    def _open(self, fault: Fault) -> None:
        self.state, self.fault = "OPEN", fault
        self.probe_at = self.now + self.wait * (0.5 + JITTER)


class Pair:
    """The breaker and its model, driven by the same steps."""

    def __init__(self, chance: random.Random, clock: ManualClock) -> None:
        self._chance = chance
        self._clock = clock
        self._machine = Machine()
        self.breaker = CircuitBreaker(clock.monotonic, lambda: JITTER)
        self.seen: Counter[str] = Counter()
        self.breaker.on_change(lambda state: self.seen.update([state.name]))

    async def step(self) -> None:
        """Have something happen to both, and see that they agree."""
        self._pass_time(self._chance.choice((0.0, 0.0, 0.001, 0.2, 3.0)))
        if self._chance.random() < 0.1:
            self._clock.step_wall(self._chance.randint(-(10**10), 10**10))
        if self._machine.state == "CLOSED":
            self._transact()
        elif self._chance.random() < 0.5:
            await self._probe()
        self._compare()

    def _pass_time(self, seconds: float) -> None:
        self._clock.go_on(round(seconds * 1e6))
        self._machine.now = self._clock.monotonic() / 1e6

    def _transact(self) -> None:
        self.breaker.check()
        kind = self._chance.choices(("fine", "slow", "caller", "busy", "other"), (4, 1, 3, 4, 0.3))[
            0
        ]
        self.seen[kind] += 1
        error: BaseException | None = None
        fault, committing = Fault.SLOW if kind == "slow" else Fault.BUSY, False
        if kind == "caller":
            error = self._chance.choice(OF_CALLERS)()
        elif kind in {"busy", "other"}:
            fault = Fault.BUSY if kind == "busy" else self._chance.choice(list(Fault))
            committing = kind == "other" and (fault is Fault.BUSY or self._chance.random() < 0.5)
            error = StorageError(fault, committing)
        with (
            suppress(StorageError, Refusal, TimeoutError, asyncio.CancelledError),
            watched(self.breaker),
        ):
            self._pass_time(10.5 if kind == "slow" else 0.01)
            if error is not None:
                raise error
        if kind != "caller":
            self._machine.transaction(failed=kind != "fine", at_once=kind == "other", fault=fault)

    async def _probe(self) -> None:
        kind = self._chance.choice(("well", "storage", "cancelled", "bug"))
        self.seen[f"probe {kind}"] += 1
        fault = self._chance.choice(list(Fault)) if kind == "storage" else None
        begun = asyncio.Event()

        async def probe() -> None:
            async with self.breaker.probing():
                begun.set()
                assert self.breaker.state is BreakerState.HALF_OPEN
                with pytest.raises(Refusal):
                    self.breaker.check()  # one at a time, and it is ours
                self._pass_time(0.02)
                match kind:
                    case "storage":
                        raise StorageError(fault or Fault.BROKEN)
                    case "bug":
                        raise ZeroDivisionError
                    case "cancelled":
                        await asyncio.Event().wait()

        task = asyncio.create_task(probe())
        await begun.wait()
        if kind == "cancelled":
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._machine.probe(fault, ended_well=kind == "well")

    def _compare(self) -> None:
        machine, breaker = self._machine, self.breaker
        assert breaker.state.name == machine.state
        assert breaker.fault is machine.fault
        if machine.state == "CLOSED":
            breaker.check()
            return
        left = max(0.0, machine.probe_at - machine.now)
        assert breaker.retry_seconds() == pytest.approx(left, abs=2e-6)
        assert machine.fault is not None
        with pytest.raises(TOLD[machine.fault]):
            breaker.check()
        for seconds in (1.0, 60.0):
            long = machine.now - machine.opened_at > seconds + 1e-6
            assert breaker.is_hopeless(seconds) == (long and machine.fault is Fault.BROKEN)


async def test_it_is_the_machine_that_was_thought_of(monkeypatch: pytest.MonkeyPatch) -> None:
    steps, seen = runs(least=4_000, ci=10_000, deep=50_000), Counter[str]()
    chance, clock = random.Random(SEED), ManualClock()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", clock.seconds)
    pair = Pair(chance, clock)
    with campaign("breaker model", steps=steps) as noted:
        for number in range(steps):
            try:
                await pair.step()
            except BaseException as error:
                raise AssertionError(f"step {number} of ROBUSTNESS_SEED={SEED}") from error
        seen = pair.seen
        noted.update(seen)
    assert seen["OPEN"] > steps // 50
    assert min(seen[kind] for kind in ("fine", "slow", "caller", "busy")) > steps // 100
    assert min(seen[f"probe {kind}"] for kind in ("well", "storage", "cancelled", "bug")) > 5


async def test_no_number_of_errors_of_callers_opens_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", clock.seconds)
    pair = CircuitBreaker(clock.monotonic, lambda: JITTER)
    for error in OF_CALLERS * 100:
        with suppress(Refusal, TimeoutError, asyncio.CancelledError), watched(pair):
            raise error()
    pair.check()
