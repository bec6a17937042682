"""What time is it, for the log?"""

import asyncio
import logging
from typing import Final

from inventory_grpc.application.ports import MonotonicClock, WallClock
from inventory_grpc.domain.values import Instant

_log = logging.getLogger(__name__)

STEP_MICROS: Final = 1_000_000
"""A difference that grows by more between two looks is a step, and worth a warning."""

LOOK_EVERY_SECONDS: Final = 5.0


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


async def watch_for_steps(clock: LogClock) -> None:
    """Warn when the wall clock steps; nothing here follows it before the next start."""
    before = clock.difference()
    while True:
        await asyncio.sleep(LOOK_EVERY_SECONDS)
        difference = clock.difference()
        if abs(difference - before) > STEP_MICROS:
            _log.warning(
                "the wall clock has stepped by %.3f s; the log's time goes on as it was, "
                "and differs by %.3f s until this server is started again",
                (difference - before) / 1e6,
                difference / 1e6,
            )
        before = difference
