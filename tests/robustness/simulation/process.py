"""A simulated server process: the real engine and its calls, killable at any moment."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from inventory_grpc.application.ledger.circuit_breaker import BreakerState
from inventory_grpc.application.ledger.loop import LedgerBroken
from inventory_grpc.application.ports import StorageError
from inventory_grpc.domain.event import Event, Key
from tests.robustness.simulation.disk import Disk
from tests.robustness.simulation.machine import MachineClock
from tests.robustness.simulation.port import Port
from tests.support.engine import Engine, assemble

T = TypeVar("T")

POLL_SECONDS = 0.02
"""The delay after which a process learns of another's commit."""


class Process:
    """One of several on a disk. Each start is a new life: nothing but the disk outlasts it."""

    def __init__(self, name: str, disk: Disk, clock: MachineClock, *, max_states: int) -> None:
        self.name = name
        self.disk = disk
        self.clock = clock
        self.life = 0
        self.is_up = False
        self.had_bug = False
        """A faulty command has had its batch split: later ones of it were begun before."""
        self.engine: Engine
        self.port: Port
        self._max_states = max_states
        self._tasks: dict[asyncio.Task[Any], None] = {}  # in order: a set would not be
        self._ledger: asyncio.Task[None] | None = None
        self._troubles_when_closed = 0
        disk.on_commit.append(self._poll_soon)

    async def start(self, *, first: bool) -> bool:
        """Come up, the *first* to open the file or not; return whether that went well."""
        self.life += 1
        self.had_bug = False
        trace = self.disk.trace
        starting = self.spawn(self._start(first=first))
        await asyncio.wait([starting])
        if starting.cancelled() or isinstance(starting.exception(), StorageError):
            trace.note(self.name, "did not come up")
            return False
        starting.result()
        trace.note(self.name, "is up", self.life, self.engine.head.position)
        return True

    async def _start(self, *, first: bool) -> None:
        who, base = self.who, self.clock.base()
        self.port = Port(self.disk, who, base)
        self.disk.max_base = max(self.disk.max_base, base)
        chance = self.disk.chance
        engine = assemble(
            self.port.store(), self.clock, max_states=self._max_states, jitter=chance.random
        )
        self.port.ledger = engine.ledger
        self._troubles_when_closed = 0
        engine.breaker.on_change(self._on_breaker)
        self.disk.check_read()
        if first:
            self.disk.open_anew()
        await engine.ledger.start()
        engine.bus.subscribe(self)
        self.engine = engine
        self._ledger = self.spawn(engine.ledger.run())
        self._ledger.add_done_callback(self._on_ledger_done)
        self.is_up = True

    @property
    def who(self) -> str:
        """This life of it, by name."""
        return f"{self.name}/{self.life}"

    @property
    def is_busy(self) -> bool:
        """Tell whether something of it is still there: then it can neither start nor be gone."""
        return bool(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Run *work* in this process: it ends with it."""
        task = asyncio.get_running_loop().create_task(work, name=self.who)
        self._tasks[task] = None
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()  # whoever asked for it sees it, or has gone

    def kill(self) -> None:
        """End at once, in the middle of whatever is being done."""
        if self._tasks:
            self.disk.trace.saw(self.name, "killed")
        self.is_up = False
        for task in list(self._tasks):
            task.cancel()

    async def drain(self) -> None:
        """Accept no more calls, answer those accepted, end the followers, exit."""
        self.disk.trace.saw(self.name, "drained")
        life, ledger = self.life, self._ledger
        if not self.is_up or ledger is None:
            return
        self.engine.ledger.close()
        self.engine.head.close()
        await asyncio.wait([ledger], timeout=30.0)
        if self.life == life and self.is_up:
            self.disk.trace.require(ledger.done(), f"{self.name} does not come to its end")
            self.disk.trace.require(not self.engine.ledger._mailbox, "somebody was not answered")
            others = list(self._tasks)
            if others:  # answers on their way, followers that say where they are
                await asyncio.wait(others, timeout=1.0)
            self.is_up = False
            for task in list(self._tasks):
                task.cancel()

    def _on_ledger_done(self, ledger: "asyncio.Task[None]") -> None:
        error = None if ledger.cancelled() else ledger.exception()
        if isinstance(error, LedgerBroken):
            self.disk.trace.saw(self.name, "gave up")
            self.kill()
        elif error:
            self.disk.trace.violated(f"the ledger of {self.name} died: {error!r}")

    def _on_breaker(self, state: BreakerState) -> None:
        """Check that only failed or slow storage opens the breaker, never a request."""
        trace, troubles = self.disk.trace, self.port.troubles
        trace.saw(self.name, f"breaker: {state.value}")
        if state is BreakerState.OPEN and troubles == self._troubles_when_closed:
            trace.violated(f"the breaker of {self.name} opened, and storage had not failed")
        if state is BreakerState.CLOSED:
            self._troubles_when_closed = troubles

    def recorded(self, events: Sequence[Event]) -> None:
        """Take no note of what the log shows."""

    def recorded_elsewhere(self, streams: Sequence[Key]) -> None:
        """Take no note of what the log shows."""

    def skipped(self, upto: int) -> None:
        """Note that it has caught up without reading."""
        engine = self.engine
        if engine.breaker.state is BreakerState.CLOSED and upto > engine.head.position:
            self.disk.trace.saw(self.name, "catching up: skipped", upto)

    def _poll_soon(self) -> None:
        """Notice another's commit within the interval of a poll, as `poll_head` does."""
        delay = self.disk.chance.random() * POLL_SECONDS
        if self.is_up:
            asyncio.get_running_loop().call_later(delay, self._poll, self.life)

    def _poll(self, life: int) -> None:
        if not self.is_up or life != self.life:
            return
        try:
            self.disk.check_read()
        except StorageError:
            self._poll_soon()
            return
        if self.disk.tables.head > self.engine.head.position:
            self.disk.trace.saw(self.name, "catching up: with others")
            self.engine.ledger.follow()
