"""The work of the writer that no caller waits for: expiry, fills, walks, forgetting, following.

None of it may starve the commands, and the commands may not starve it.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from inventory_grpc.application.failpoints import pause
from inventory_grpc.application.failures import bug
from inventory_grpc.application.ledger.circuit_breaker import CircuitBreaker
from inventory_grpc.application.ledger.clock import LogClock
from inventory_grpc.application.ledger.counts import Work
from inventory_grpc.application.ledger.writer import Writer, watched
from inventory_grpc.application.ports import StorageError

_log = logging.getLogger(__name__)

EXPIRY_PATIENCE_MICROS: Final = 200_000
"""Overdue holds yield to waiting commands for this long, then take every other batch."""

WALK_PAUSE_SECONDS: Final = 0.1
"""Walks pause for this long after a step, if commands come meanwhile. Nobody waits for them:
commands are decided on the terms in force anyway."""

_STEPS: Final = (Work.FILLS, Work.WALKS, Work.EXPIRY)
"""The kinds of steps in the order of their turns."""

FORGOTTEN_AT_ONCE: Final = 1_000
"""Old requests deleted in one step."""

FORGET_EVERY_SECONDS: Final = 10.0
FORGET_PATIENCE_SECONDS: Final = 0.25
"""The deletion of old requests yields to waiting commands for this long."""

FOLLOW_AGAIN_SECONDS: Final = 1.0
"""The retry delay after events of other processes could not be read."""


class Upkeep:
    """Expires overdue reservations, fills backorders, has changed terms reach their stocks.

    It also deletes old requests, and follows the events of other processes.
    """

    def __init__(
        self, writer: Writer, clock: LogClock, breaker: CircuitBreaker, remember_seconds: float
    ) -> None:
        self._writer, self._clock, self._breaker = writer, clock, breaker
        self._remember_micros = round(remember_seconds * 1e6)
        self._moved_elsewhere = True
        self.just_stepped = False
        """Whether the last transaction was a step of this work."""
        self._last_step = Work.FILLS
        self._step_at = 0.0
        self._walk_at = 0.0
        """The time from which a walk goes on between commands."""
        self._follow_at = 0.0
        self._forget_at = _monotonic()

    def follow(self) -> None:
        """Make a read of the events of other processes due."""
        self._moved_elsewhere = True
        self._follow_at = 0.0

    def expiry_lag(self) -> int:
        """Return how long the oldest overdue hold has been overdue, in microseconds."""
        expiry = self._writer.pending.expiry
        return 0 if expiry is None else max(0, self._clock.now() - expiry)

    def lets_commands_pass(self) -> bool:
        """Return whether waiting commands come before the next step."""
        if self.just_stepped or not self.is_step_due():
            return True
        due = self._due()
        return due == [Work.EXPIRY] and self.expiry_lag() < EXPIRY_PATIENCE_MICROS

    def is_step_due(self) -> bool:
        return bool(self._due())

    def _due(self) -> Sequence[Work]:
        """Return the kinds of work of which a step is due."""
        if _monotonic() < self._step_at:
            return []
        pending = self._writer.pending
        due = [Work.FILLS] if pending.fills else []
        if pending.walks and (self.just_stepped or _monotonic() >= self._walk_at):
            due.append(Work.WALKS)
        if pending.expiry is not None and pending.expiry <= self._clock.now():
            due.append(Work.EXPIRY)
        return due

    def is_forgetting_due(self, *, commands_wait: bool) -> bool:
        patience = FORGET_PATIENCE_SECONDS if commands_wait else 0.0
        return _monotonic() >= self._forget_at + patience

    def is_behind(self) -> bool:
        """Return whether events of other processes are to be read now."""
        return self._moved_elsewhere and _monotonic() >= self._follow_at

    def seconds_to_next(self) -> float:
        """Return how long there is nothing to do, unless another process records events."""
        seconds = self._forget_at - _monotonic()
        if self._moved_elsewhere:  # and the events could not be read
            seconds = min(seconds, self._follow_at - _monotonic())
        pending = self._writer.pending
        until_step = self._step_at - _monotonic()  # a failed one is not retried before
        if pending.fills:
            seconds = min(seconds, until_step)
        if pending.walks:
            seconds = min(seconds, max(until_step, self._walk_at - _monotonic()))
        if pending.expiry is not None:
            until_expiry = self._clock.micros_until(pending.expiry) / 1e6
            seconds = min(seconds, max(until_expiry, until_step))
        return max(0.0, seconds)

    async def step(self) -> None:
        """Do one step: of the kind whose turn is next, if several are due."""
        due = self._due()
        turn = _STEPS.index(self._last_step) + 1
        self._last_step = next(kind for kind in (*_STEPS[turn:], *_STEPS) if kind in due)
        self.just_stepped = True
        await pause("before_expire")
        writer = self._writer
        works = {
            Work.FILLS: writer.fill_due,
            Work.WALKS: writer.walk,
            Work.EXPIRY: writer.expire_due,
        }
        if not await self._in_background(works[self._last_step](), self._last_step):
            self._step_at = _monotonic() + 1.0
        if self._last_step is Work.WALKS:
            self._walk_at = _monotonic() + WALK_PAUSE_SECONDS

    async def forget(self) -> None:
        """Delete one step of requests that are too old to be repeated."""
        begun = _monotonic()
        self._forget_at = begun + FORGET_EVERY_SECONDS

        async def forget_old() -> None:
            forgotten = await self._writer.forget(self._remember_micros, FORGOTTEN_AT_ONCE)
            if forgotten == FORGOTTEN_AT_ONCE:
                self._forget_at = begun  # there may be more

        await self._in_background(forget_old(), Work.FORGETTING)

    async def catch_up(self) -> None:
        self._moved_elsewhere = False
        if not await self._in_background(self._writer.catch_up()):
            self._moved_elsewhere = True
            self._follow_at = _monotonic() + FOLLOW_AGAIN_SECONDS

    async def _in_background(
        self, work: Coroutine[Any, Any, object], kind: Work | None = None
    ) -> bool:
        """Run *work*, which no caller waits for; return whether it succeeded."""
        try:
            with watched(self._breaker, self._writer.counts.seconds[kind] if kind else None):
                await work
        except StorageError:
            return False  # the breaker has counted it
        except Exception as error:  # noqa: BLE001  a bug, and there is no caller to refuse
            bug(_log, error)
            self._writer.evict_states()
            return False
        return True


def _monotonic() -> float:
    """Return the time of the event loop, which tests may replace."""
    return asyncio.get_running_loop().time()
