"""All parts of one simulation, wired together."""

from dataclasses import dataclass, field
from itertools import count

from tests.robustness.simulation.chance import Chance
from tests.robustness.simulation.disk import Disk
from tests.robustness.simulation.history import Asked, Read
from tests.robustness.simulation.loop import SeededLoop
from tests.robustness.simulation.machine import MachineClock
from tests.robustness.simulation.network import Network
from tests.robustness.simulation.process import Process
from tests.robustness.simulation.profile import Profile, profile_of
from tests.robustness.simulation.trace import Trace


@dataclass
class Stage:
    """The machine, its processes, and the record of their callers."""

    seed: int
    chance: Chance
    profile: Profile
    loop: SeededLoop
    trace: Trace
    clock: MachineClock
    disk: Disk
    network: Network
    processes: list[Process]
    asked: list[Asked] = field(default_factory=list)
    reused: list[Asked] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=count)

    def next_number(self) -> int:
        return next(self._numbers)

    async def bring_up(self, process: Process) -> None:
        first = not any(other.is_up for other in self.processes)
        await process.start(first=first)


def set_up(seed: int, profile: Profile | None = None) -> Stage:
    """Return the stage of *seed*, with a profile of its own if none is given."""
    chance = Chance(f"chance-{seed}")
    profile = profile or profile_of(chance)
    loop = SeededLoop(seed, profile.disorder)
    trace = Trace(loop)
    clock, disk = MachineClock(loop), Disk(loop, chance, trace, profile.sync_seconds)
    return Stage(
        seed,
        chance,
        profile,
        loop,
        trace,
        clock,
        disk,
        Network(chance, seconds=profile.network_seconds, loses=profile.loses),
        [
            Process(f"process-{number}", disk, clock, max_states=profile.max_states)
            for number in range(profile.processes)
        ],
    )
