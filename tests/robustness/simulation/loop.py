"""An event loop with virtual time and a seeded order: one seed is one exact replay.

Nothing here waits. When nothing is ready, the clock jumps to the next timer; when there is
no timer either, the simulation is deadlocked, and that is an error.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from heapq import heappop
from typing import Any, Final, TypeVar

T = TypeVar("T")

START_SECONDS: Final = 1_000.0
TURN_SECONDS: Final = 20e-6
"""The virtual duration of a turn, so that timers also fire while there is work to do."""

MAX_TURNS: Final = 300_000
"""Many times what a seed needs; more is a loop that waits for what never comes."""


class Deadlock(Exception):
    """Every task waits, and none can wake another: a deadlock."""


class Livelock(Exception):
    """Everybody is busy, and nothing comes of it."""


class SeededLoop(asyncio.BaseEventLoop):
    """Runs what is ready in an order of its own: no sockets, no threads, no real time."""

    def __init__(self, seed: int, disorder: float = 1.0) -> None:
        super().__init__()
        self._chance = random.Random(f"order-{seed}")
        self._disorder = disorder
        self._now = START_SECONDS
        self.turns = 0
        self._most_turns = MAX_TURNS
        self.fingerprint = 0
        """Of every choice made so far: two runs that differ anywhere differ here."""
        self.at_turn: dict[int, Callable[[], None]] = {}
        """Actions to run before given turns."""

    def time(self) -> float:
        return self._now

    def stall(self, seconds: float) -> None:
        """Have the machine be busy with something else for so long."""
        self._now += seconds

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        self._now += TURN_SECONDS
        self.turns += 1
        if self.at_turn and (happening := self.at_turn.pop(self.turns, None)):
            happening()
        while scheduled and (scheduled[0].cancelled() or not ready or self._is_due(scheduled[0])):
            timer = heappop(scheduled)
            timer._scheduled = False  # type: ignore[attr-defined]
            if not timer.cancelled():
                self._now = max(self._now, timer.when())
                ready.append(timer)
        if not ready:
            raise Deadlock(f"nothing is ready at {self._now:.6f}, and there is no timer")
        if self.turns > self._most_turns:
            self._most_turns += MAX_TURNS  # for those who clean up
            raise Livelock(f"{self.turns} turns, and still at it")
        choice = self._choose(len(ready))
        self.fingerprint = hash((self.fingerprint, len(ready), choice, self._now))
        if choice:
            ready.rotate(-choice)
        handle: Any = ready.popleft()
        if not handle.cancelled():
            handle._run()

    def _is_due(self, timer: asyncio.TimerHandle) -> bool:
        return timer.when() <= self._now

    def _choose(self, among: int) -> int:
        if among == 1 or self._chance.random() >= self._disorder:
            return 0
        return int(self._chance.random() * among)


def run(loop: SeededLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run *main* to its end, and see that it leaves nothing behind.

    Raises:
        Deadlock, Livelock: it would never come to its end.
        AssertionError: it did, and some task is still there.
    """
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(main)
        left = [task.get_name() for task in asyncio.all_tasks(loop)]
        assert not left, f"tasks are left over: {sorted(left)}"
        return result
