"""The log's clock, which all processes of a boot share; it does not follow wall-clock steps."""

import logging
from typing import Final, Never

from inventory_grpc.application.background import repeat
from inventory_grpc.application.ports import KeptTime, MonotonicClock, Transaction, WallClock
from inventory_grpc.domain.values import Instant

_log = logging.getLogger(__name__)

STEP_MICROS: Final = 1_000_000
"""A difference that grows by more between two checks is a step, and is logged as a warning."""

CHECK_EVERY_SECONDS: Final = 5.0

LONG_MICROS: Final = 30 * 24 * 3600 * 1_000_000
"""A wall clock that is adopted this long after the last event may be wrong."""


class LogClock:
    """The monotonic clock plus an offset, which the database file stores.

    The first process to write after a boot adopts its wall clock, and stores the offset. All
    other processes of that boot use the offset, even if the wall clock was set since. So a step
    of the wall clock expires nothing early, revives nothing, and forgets no request. Every boot
    adopts the wall clock again; so does every process on a system without boot ids.

    The time is never before that of the last event. If it would be, all processes continue from
    that event's time.
    """

    def __init__(self, wall: WallClock, monotonic: MonotonicClock, boot: str = "") -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._boot = boot
        self._offset = wall() - monotonic()
        self._is_agreed = not boot
        """Whether the file had the same offset when it was last read."""
        self.gap = 0
        """The time from the last event to the adopted wall clock, or 0."""

    def now(self) -> Instant:
        return Instant(self._monotonic() + self._offset)

    def read(self, transaction: Transaction, floor: Instant) -> Instant:
        """Return the time of a transaction; it and all later times are at least *floor*.

        The file is read only until it has the same offset, and whenever *floor* is ahead.
        """
        time = self._monotonic() + self._offset
        if time < floor or not self._is_agreed:
            return self._agree(transaction, floor)
        return Instant(time)

    def _agree(self, transaction: Transaction, floor: Instant) -> Instant:
        now = self._monotonic()
        if not self._boot:
            self._offset = max(self._offset, floor - now)
            return Instant(now + self._offset)
        kept = transaction.kept_time()
        is_ours = kept is not None and kept.boot == self._boot
        agreed = kept.offset if kept and is_ours else self._offset
        self.gap = 0 if is_ours or not floor else now + agreed - floor
        ours = KeptTime(self._boot, max(agreed, floor - now))
        self._offset = ours.offset
        self._is_agreed = kept == ours
        if kept != ours:
            transaction.keep_time(ours)  # the next read confirms the commit
        return Instant(now + self._offset)

    def reread(self) -> None:
        """Read the file again, after it was reopened."""
        self._is_agreed = not self._boot

    def difference(self) -> int:
        """Return the wall clock less the log's clock, in microseconds."""
        return self._wall() - self.now()

    def wall_offset(self) -> int:
        """Return the wall clock less the monotonic clock, in microseconds."""
        return self._wall() - self._monotonic()


async def watch_for_steps(clock: LogClock) -> Never:
    """Log a warning if the wall clock and the log's clock differ, and when this changes."""
    wall, difference = clock.wall_offset(), clock.difference()
    if clock.gap > LONG_MICROS:
        _log.warning(
            "the log's time continues %s days after its last event; if the wall clock is wrong, "
            "stop, set it, and run `inventory-grpc clock --adopt-wall` before more is recorded",
            f"{clock.gap // (LONG_MICROS // 30):,}",
        )
    if abs(difference) > STEP_MICROS:
        _log.warning(
            "the wall clock differs from the log's time by %.3f s; the log's time is not adjusted, "
            "see `inventory-grpc clock`",
            difference / 1e6,
        )

    async def check() -> None:
        nonlocal wall, difference
        wall_before, wall = wall, clock.wall_offset()
        before, difference = difference, clock.difference()
        if abs(wall - wall_before) > STEP_MICROS:
            _log.warning(
                "the wall clock has stepped by %.3f s; the log's time is not adjusted, and the "
                "wall clock differs from it by %.3f s, see `inventory-grpc clock`",
                (wall - wall_before) / 1e6,
                difference / 1e6,
            )
        elif abs(difference - before) > STEP_MICROS:
            _log.warning(
                "the log's time was moved ahead by %.3f s, to the time of an event of another "
                "process, see `inventory-grpc clock`",
                (before - difference) / 1e6,
            )

    await repeat("the watch of the wall clock", check, CHECK_EVERY_SECONDS)
