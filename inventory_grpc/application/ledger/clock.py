"""The log's clock, which all its processes share; it does not follow steps of their wall clocks."""

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

_OF_FILE: Final = "the log's time is not adjusted, see `inventory-grpc clock`"
_OF_STORAGE: Final = "the log's time is that of the database server"
_SET_OF_FILE: Final = (
    "if the wall clock is wrong, stop, set it, and run `inventory-grpc clock --adopt-wall`"
)
_SET_OF_STORAGE: Final = "if the clock of the database server is wrong, stop, and set it"


class LogClock:
    """The time of the log, which all processes share; between transactions it is only computed.

    Storage on a server has a clock of its own, and every transaction takes its time. So servers on
    machines with different wall clocks agree. If that clock is set back, time stands still until
    it is where it was.

    Otherwise it is the monotonic clock plus an offset, which the database file stores. The first
    process to write after a boot adopts its wall clock, and stores the offset. All other
    processes of that boot use the offset, even if the wall clock was set since. So a step of the
    wall clock expires nothing early, revives nothing, and forgets no request. Every boot adopts
    the wall clock again; so does every process on a system without boot ids.

    The time is never before that of the last event. If it would be, all processes continue from
    that event's time.
    """

    def __init__(self, wall: WallClock, monotonic: MonotonicClock, boot: str = "") -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._boot = boot
        self._offset = wall() - monotonic()
        self._floor = 0
        """The time at which the log stands still, if the clock of its storage is behind that."""
        self._is_agreed = False
        """Whether the file had the same offset when it was last read."""
        self.is_of_storage = False
        """Whether storage has a clock of its own."""
        self.gap = 0
        """The time from the last event to the adopted wall clock, or 0."""

    def now(self) -> Instant:
        return Instant(max(self._floor, self._monotonic() + self._offset))

    def micros_until(self, time: Instant) -> int:
        """Return how long it takes until `now` reaches a later *time*."""
        return time - (self._monotonic() + self._offset)

    def read(self, transaction: Transaction, floor: Instant) -> Instant:
        """Return the time of a transaction; it and all later times are at least *floor*.

        A file is read only until it has the same offset, and whenever *floor* is ahead.
        """
        time = self._monotonic() + self._offset
        if time < floor or not self._is_agreed:
            return self._agree(transaction, floor)
        return Instant(time)

    def _agree(self, transaction: Transaction, floor: Instant) -> Instant:
        now, kept = self._monotonic(), transaction.time()
        if isinstance(kept, Instant):
            return self._follow(kept, floor, now)
        if not self._boot:
            self._is_agreed = True
            self._offset = max(self._offset, floor - now)
            return Instant(now + self._offset)
        is_ours = kept is not None and kept.boot == self._boot
        agreed = kept.offset if kept and is_ours else self._offset
        self.gap = 0 if is_ours or not floor else now + agreed - floor
        ours = KeptTime(self._boot, max(agreed, floor - now))
        self._offset = ours.offset
        self._is_agreed = kept == ours
        if kept != ours:
            transaction.keep_time(ours)  # the next read confirms the commit
        return Instant(now + self._offset)

    def _follow(self, time: Instant, floor: Instant, now: int) -> Instant:
        """Go on from the *time* of storage."""
        if not self.is_of_storage and floor:
            self.gap = time - floor
        self.is_of_storage = True
        self._offset, self._floor = time - now, floor
        return max(time, floor)

    def reread(self) -> None:
        """Read the file again, after it was reopened."""
        self._is_agreed = False

    def difference(self) -> int:
        """Return the wall clock less the log's clock, in microseconds."""
        return self._wall() - self.now()

    def wall_offset(self) -> int:
        """Return the wall clock less the monotonic clock, in microseconds."""
        return self._wall() - self._monotonic()


async def watch_for_steps(clock: LogClock) -> Never:
    """Log a warning if the wall clock and the log's clock differ, and when this changes."""
    wall, difference = clock.wall_offset(), clock.difference()
    rule = _OF_STORAGE if clock.is_of_storage else _OF_FILE
    if clock.gap > LONG_MICROS:
        _log.warning(
            "the log's time continues %s days after its last event; %s before more is recorded",
            f"{clock.gap // (LONG_MICROS // 30):,}",
            _SET_OF_STORAGE if clock.is_of_storage else _SET_OF_FILE,
        )
    if abs(difference) > STEP_MICROS:
        _log.warning(
            "the wall clock differs from the log's time by %.3f s; %s", difference / 1e6, rule
        )

    async def check() -> None:
        nonlocal wall, difference
        wall_before, wall = wall, clock.wall_offset()
        before, difference = difference, clock.difference()
        if abs(wall - wall_before) > STEP_MICROS:
            _log.warning(
                "the wall clock has stepped by %.3f s, and differs from the log's time by %.3f s; "
                "%s",
                (wall - wall_before) / 1e6,
                difference / 1e6,
                rule,
            )
        elif abs(difference - before) > STEP_MICROS:
            _log.warning(
                "the log's time was moved ahead by %.3f s, to the time of %s",
                (before - difference) / 1e6,
                "the database server, whose clock was set"
                if clock.is_of_storage
                else "an event of another process, see `inventory-grpc clock`",
            )

    await repeat("the watch of the wall clock", check, CHECK_EVERY_SECONDS)
