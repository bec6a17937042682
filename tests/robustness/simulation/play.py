"""One seed, from an empty disk to the verdict: safety under faults, then liveness."""

import asyncio
import gc
from collections import Counter
from collections.abc import Coroutine
from typing import Any, Final, NamedTuple

from inventory_grpc.application.ledger.circuit_breaker import BreakerState
from tests.robustness.simulation.client import Client
from tests.robustness.simulation.follower import Follower
from tests.robustness.simulation.loop import run
from tests.robustness.simulation.nemesis import Nemesis
from tests.robustness.simulation.profile import limited
from tests.robustness.simulation.reader import Reader
from tests.robustness.simulation.stage import Stage, set_up
from tests.robustness.simulation.trace import Trace
from tests.robustness.simulation.verdict_told import judge
from tests.robustness.simulation.wishes import Wishes
from tests.support.model import Model

ANSWER_SECONDS: Final = 90.0
"""Within which everything that was asked is answered, once nothing fails any more."""
FOLLOW_SECONDS: Final = 40.0
"""Within which who follows is where the log ends, and the breaker closed: a sync may have just
begun that takes 10 s, and holds the lock, and the breaker that found it so waits for 22 s."""
EXPIRY_SECONDS: Final = 1.5
"""Within which what is over is let go: one try may have failed, and waits for a second."""
ACTIVE_SECONDS: Final = 600.0


class Played(NamedTuple):
    """The outcome of a seed."""

    seed: int
    trace: Trace
    error: BaseException | None

    @property
    def replay(self) -> str:
        return f"python -m tests.robustness.simulation --seed {self.seed} --trace"

    def told(self) -> list[str]:
        """Return the whole story, and its hash."""
        return [*map(str, self.trace.lines), f"seed {self.seed}: {self.trace.digest()}"]

    @property
    def seen(self) -> Counter[str]:
        return self.trace.seen


def play(seed: int) -> Played:
    """Play *seed*; whatever is wrong is in what is returned."""
    stage = set_up(seed)
    # when the collector comes by depends on what was played before, and it closes streams
    gc.disable()
    try:
        with stage.trace.listening(), limited(stage.profile.limits):
            run(stage.loop, _Play(stage).story())
            if stage.trace.violations:
                raise AssertionError(stage.trace.violations[0])  # noqa: TRY301  as any other
            judge(stage)
    except Exception as error:  # noqa: BLE001  the caller decides what to make of it
        return Played(seed, stage.trace, error)
    finally:
        gc.enable()
    return Played(seed, stage.trace, None)


class _Play:
    def __init__(self, stage: Stage) -> None:
        profile = stage.profile
        self._stage = stage
        self._nemesis = Nemesis(stage)
        wishes = Wishes(stage.chance, scarce=profile.scarce)
        self._clients = [Client(f"client-{n}", stage, wishes) for n in range(profile.clients)]
        self._followers = [Follower(f"follower-{n}", stage) for n in range(profile.followers)]
        self._readers = [Reader(f"reader-{n}", stage, wishes) for n in range(profile.readers)]

    async def story(self) -> None:
        stage = self._stage
        stage.loop.set_exception_handler(self._on_exception)
        for process in stage.processes:
            await stage.bring_up(process)
        background = [
            asyncio.ensure_future(each)
            for each in (self._nemesis.keep_up(), *(each.run() for each in self._followers))
        ]
        try:
            await self._within(ACTIVE_SECONDS, self._active(), "comes to no end")
            self._nemesis.stop()
            settling = asyncio.gather(*(client.settle() for client in self._clients))
            await self._within(ANSWER_SECONDS, settling, "not everybody is answered")
            await self._within(FOLLOW_SECONDS, self._all_is_well(), "not all is well again")
            await self._check_expired()
        finally:
            for task in background[:1]:
                task.cancel()
        for process in stage.processes:
            await process.drain()
            stage.trace.require(not stage.disk.holder, "the lock is still held")
        for task in background:
            if task.done() and not task.cancelled():
                task.result()
            task.cancel()
        await asyncio.sleep(1.0)

    async def _active(self) -> None:
        profile = self._stage.profile
        await asyncio.gather(
            self._nemesis.run(),
            *(client.run(profile.requests) for client in self._clients),
            *(reader.run(2 * profile.requests) for reader in self._readers),
        )

    async def _within(
        self, seconds: float, what: "Coroutine[Any, Any, Any] | asyncio.Future[Any]", otherwise: str
    ) -> None:
        try:
            async with asyncio.timeout(seconds):
                await what
        except TimeoutError:
            raise self._stage.trace.violated(f"{otherwise} within {seconds} s") from None

    async def _all_is_well(self) -> None:
        """Wait until nothing is left to do, and all processes and followers know every event."""
        stage = self._stage
        while not self._is_well():  # noqa: ASYNC110  it is looked at from outside
            await asyncio.sleep(0.1)
        stage.trace.note("oracle", "all is well", stage.disk.tables.head)

    def _is_well(self) -> bool:
        stage, head = self._stage, self._stage.disk.tables.head
        return (
            not stage.disk.holder
            and not stage.disk.tables.filled
            and not stage.disk.tables.walks
            and all(
                process.is_up
                and process.engine.breaker.state is BreakerState.CLOSED
                and process.engine.head.position == head
                and not process.engine.ledger._mailbox
                for process in stage.processes
            )
            and all(follower.position == head for follower in self._followers)
        )

    async def _check_expired(self) -> None:
        """Wait until every hold is over, and check that it expired in time."""
        stage = self._stage
        ends = [end for _, end in self._active_holds()]
        if ends:
            await asyncio.sleep(max(0.0, (max(ends) - self._now()) / 1e6) + EXPIRY_SECONDS)
        # what was still being recorded before may have made one more
        bound = self._now() - EXPIRY_SECONDS * 1e6
        late = [name for name, end in self._active_holds() if end <= bound]
        stage.trace.require(not late, f"they were not let go within a second: {late}")

    def _active_holds(self) -> list[tuple[str, int]]:
        """Return the reservations that will be over, and when."""
        promises = Model(self._stage.disk.tables.encoded).promises
        return [
            (name, promise.expire_time)
            for name, promise in promises.items()
            if promise.state == "active" and promise.expire_time is not None
        ]

    def _now(self) -> int:
        return max(process.engine.ledger._upkeep._clock.now() for process in self._stage.processes)

    def _on_exception(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._stage.trace.violated(f"the loop: {context.get('exception') or context['message']!r}")
