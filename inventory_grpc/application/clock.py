"""What time is it, for the log?"""

from inventory_grpc.application.ports import MonotonicClock, WallClock
from inventory_grpc.domain.values import Instant


class LogClock:
    """The wall's time when the process started, carried on at the monotonic pace.

    A step of the wall clock while the service runs therefore expires nothing early and
    revives nothing; a restart adopts it. Time never falls behind what the log has seen:
    where it would, it goes on from there, at its own pace.
    """

    def __init__(self, wall: WallClock, monotonic: MonotonicClock) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def now(self, floor: Instant | None = None) -> Instant:
        """Return the time, at least *floor*; from then on it is never below it again."""
        time = self._monotonic() + self._offset
        if floor is not None and time < floor:
            self._offset += floor - time
            time = floor
        return Instant(time)

    def difference(self) -> int:
        """Return by how many microseconds the wall clock is ahead of the log's."""
        return self._wall() - self.now()
