"""The faults of a simulation: their kind, their times and their end."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from inventory_grpc.application.ports import Fault, StorageError
from tests.robustness.simulation.disk import Condition, Strike
from tests.robustness.simulation.stage import Stage
from tests.support.world import DAY, MINUTE

CONDITIONS = {
    "slow": Condition.SLOW,
    "busy": Condition.BUSY,
    "full": Condition.FULL,
    "broken": Condition.BROKEN,
    "gone": Condition.GONE,
}


class Nemesis:
    """Applies the faults of a profile to the stage, and restarts processes."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._chance = stage.chance
        self._doing: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "killed": self._kill,
            "power cut": self._cut_power,
            "drained": self._drain,
            "hogged": self._hog,
            "killed while committing": self._lie_in_wait,
            "power cut while committing": self._lie_in_wait_for_all,
        }

    async def run(self) -> None:
        for fault in self._stage.profile.faults:
            await self._chance.pause(self._stage.profile.pace)
            self._stage.trace.saw("nemesis", f"fault: {fault}")
            if fault in CONDITIONS:
                await self._be(CONDITIONS[fault])
            elif fault in self._doing:
                await self._doing[fault]()
            else:
                self._at_once(fault)

    async def keep_up(self) -> None:
        """Restart processes that are down, for ever, as a service manager does."""
        while True:
            await asyncio.sleep(0.1 + self._chance.random() * 0.4)
            for process in self._stage.processes:
                if not process.is_up and not process.is_busy:
                    await self._stage.bring_up(process)

    def stop(self) -> None:
        """Have nothing fail any more."""
        stage = self._stage
        stage.disk.condition = Condition.WELL
        stage.disk.strikes.clear()
        stage.disk.ambushes.clear()
        stage.network.loses = 0.0
        stage.clock.thaw_wall()
        stage.trace.note("nemesis", "rests")

    def _at_once(self, fault: str) -> None:
        chance, clock, disk = self._chance, self._stage.clock, self._stage.disk
        match fault:
            case "sync fails":
                kind = chance.choice((Fault.BROKEN, Fault.BROKEN, Fault.FULL, Fault.BUSY))
                disk.strikes.append(Strike(kind))
            case "statement fails":
                kind = chance.choice((Fault.BROKEN, Fault.FULL, Fault.BUSY, Fault.DAMAGED))
                disk.strikes.append(Strike(kind, chance.choice((1, 1, 2, 3))))
            case "stalled":
                self._stage.loop.stall(chance.random() * chance.choice((0.05, 2.0, 20.0)))
            case "wall back":
                clock.step_wall(-60 * MINUTE)
            case "wall ahead":
                clock.step_wall(DAY)
            case "wall frozen":
                clock.freeze_wall()

    async def _be(self, condition: Condition) -> None:
        disk = self._stage.disk
        disk.condition = condition
        lasts = self._chance.choice((0.05, 0.5, 3.0, 3.0, 20.0, 90.0))
        await asyncio.sleep(self._chance.random() * lasts)
        disk.condition = Condition.WELL

    async def _kill(self) -> None:
        self._chance.choice(self._stage.processes).kill()

    async def _cut_power(self) -> None:
        self._kill_all()

    def _kill_all(self) -> None:
        for process in self._stage.processes:
            process.kill()

    async def _lie_in_wait(self) -> None:
        """Kill the next process to commit: during the commit, or before it answers."""

        def strike(who: str) -> None:
            for process in self._stage.processes:
                if who == process.who:
                    process.kill()

        self._stage.disk.ambushes.append(strike)

    async def _lie_in_wait_for_all(self) -> None:
        self._stage.disk.ambushes.append(lambda _: self._kill_all())

    async def _drain(self) -> None:
        await self._chance.choice(self._stage.processes).drain()

    async def _hog(self) -> None:
        """Have another program on the machine hold the lock."""
        with suppress(StorageError):
            async with self._stage.disk.locked("somebody"):
                await asyncio.sleep(self._chance.random() * self._chance.choice((0.1, 1.0, 6.0)))
