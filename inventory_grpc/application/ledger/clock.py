"""The time of the log: one for all processes of a boot, whatever their wall clocks say."""

import logging
from typing import Final, Never

from inventory_grpc.application.background import repeat
from inventory_grpc.application.ports import KeptTime, MonotonicClock, Transaction, WallClock
from inventory_grpc.domain.values import Instant

_log = logging.getLogger(__name__)

STEP_MICROS: Final = 1_000_000
"""A difference that grows by more between two looks is a step, and worth a warning."""

LOOK_EVERY_SECONDS: Final = 5.0

LONG_MICROS: Final = 30 * 24 * 3600 * 1_000_000
"""A wall clock that is adopted so long after the last event may be a wrong one."""


class LogClock:
    """A time that runs with the machine's monotonic clock, from a start that the file keeps.

    The first process to write after a boot adopts its wall clock, and keeps in the file how the
    log's time follows from the time since the boot. Every other process of that boot goes on
    with it, also one that is started after the wall clock was set: a step of the wall clock
    expires nothing early, revives nothing, and forgets no request. A boot of the machine adopts
    the wall clock anew; so does each process where the system has no id for its boots.

    Time never falls behind what the log has seen: where it would, it goes on from there, at its
    own pace, for all of them.
    """

    def __init__(self, wall: WallClock, monotonic: MonotonicClock, boot: str = "") -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._boot = boot
        self._offset = wall() - monotonic()
        self._is_agreed = not boot
        """The file says the same, as of the last look at it."""
        self.gap = 0
        """How long after the last event this wall clock was adopted, if it was."""

    def now(self) -> Instant:
        return Instant(self._monotonic() + self._offset)

    def read(self, transaction: Transaction, floor: Instant) -> Instant:
        """Return the time of a transaction, at least *floor*; from then on it is never below it.

        The file is looked at only until it was found to agree, and when *floor* is ahead.
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
            transaction.keep_time(ours)  # found at the next look, if it was committed
        return Instant(now + self._offset)

    def look_again(self) -> None:
        """Look at the file once more: it was opened anew."""
        self._is_agreed = not self._boot

    def difference(self) -> int:
        """Return by how many microseconds the wall clock is ahead of the log's."""
        return self._wall() - self.now()

    def since_boot(self) -> int:
        """Return by how many microseconds the wall clock is ahead of the monotonic one."""
        return self._wall() - self._monotonic()


async def watch_for_steps(clock: LogClock) -> Never:
    """Warn where the wall clock and the log's differ: at the start, and when that changes."""
    wall, difference = clock.since_boot(), clock.difference()
    if clock.gap > LONG_MICROS:
        _log.warning(
            "the log's time goes on %s days after its last event; if the wall clock is wrong, "
            "stop, set it, and run `inventory-grpc clock --adopt-wall` before more is recorded",
            f"{clock.gap // (LONG_MICROS // 30):,}",
        )
    if abs(difference) > STEP_MICROS:
        _log.warning(
            "the wall clock differs from the log's time by %.3f s; the log's time goes on at its "
            "own pace, see `inventory-grpc clock`",
            difference / 1e6,
        )

    async def look() -> None:
        nonlocal wall, difference
        wall_before, wall = wall, clock.since_boot()
        before, difference = difference, clock.difference()
        if abs(wall - wall_before) > STEP_MICROS:
            _log.warning(
                "the wall clock has stepped by %.3f s; the log's time goes on as it was, and "
                "the wall clock differs from it by %.3f s, see `inventory-grpc clock`",
                (wall - wall_before) / 1e6,
                difference / 1e6,
            )
        elif abs(difference - before) > STEP_MICROS:
            _log.warning(
                "the log's time was moved ahead by %.3f s, to that of an event which another "
                "process has recorded, see `inventory-grpc clock`",
                (before - difference) / 1e6,
            )

    await repeat("the watch of the wall clock", look, LOOK_EVERY_SECONDS)
