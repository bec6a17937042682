"""The clocks of the machine that all simulated processes run on."""

from inventory_grpc.domain.values import Instant
from tests.robustness.simulation.loop import SeededLoop
from tests.support.clock import ManualClock
from tests.support.world import NOON


class MachineClock(ManualClock):
    """Its monotonic time is the loop's; so is its wall clock, until it is set."""

    def __init__(self, loop: SeededLoop) -> None:
        super().__init__()
        self._loop = loop
        self._ahead = NOON - self.monotonic()
        self._frozen: Instant | None = None

    def monotonic(self) -> int:
        return round(self._loop.time() * 1e6)

    def seconds(self) -> float:
        return self._loop.time()

    def wall(self) -> Instant:
        return self._frozen or Instant(self.monotonic() + self._ahead)

    def step_wall(self, span: int) -> None:
        self._ahead += span

    def freeze_wall(self) -> None:
        self._frozen = self.wall()

    def thaw_wall(self) -> None:
        self._frozen = None

    def base(self) -> int:
        """Return what the wall is ahead of the loop's time: what a process that starts takes on."""
        return self.wall() - self.monotonic()
