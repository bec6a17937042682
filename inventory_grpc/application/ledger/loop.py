"""The writer's loop: one log, one writer at a time.

    mailbox  ->  take waiting commands  ->  one transaction  ->  publish  ->  answer

A batch is everything that was queued while the last one was written: one caller needs one
fsync, and a thousand callers share one. Commands are decided under the write lock, so
overselling is impossible, and nothing is retried because of a conflict.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final

from inventory_grpc.application.failpoints import pause
from inventory_grpc.application.failures import ShuttingDown, bug
from inventory_grpc.application.ledger.bulk import Groups
from inventory_grpc.application.ledger.circuit_breaker import BreakerState, CircuitBreaker
from inventory_grpc.application.ledger.clock import LogClock
from inventory_grpc.application.ledger.counts import Work
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ledger.mailbox import Answers, Entry, Mailbox
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ledger.submission import Request, Submission
from inventory_grpc.application.ledger.traced_batch import execute
from inventory_grpc.application.ledger.writer import Writer, watched
from inventory_grpc.application.ports import EventBus, Outcome, Storage, StorageError
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.values import Instant

_log = logging.getLogger(__name__)

MAX_COMMANDS: Final = 512
"""Commands in a batch."""

EXPIRY_PATIENCE_MICROS: Final = 200_000
"""Overdue holds yield to waiting commands for this long, then take every other batch."""

FORGOTTEN_AT_ONCE: Final = 1_000
"""Old requests deleted in one step."""

FORGET_EVERY_SECONDS: Final = 10.0
FORGET_PATIENCE_SECONDS: Final = 0.25
"""The deletion of old requests yields to waiting commands for this long."""

FOLLOW_AGAIN_SECONDS: Final = 1.0
"""The retry delay after events of other processes could not be read."""

GIVE_UP_SECONDS: Final = 60.0


class LedgerBroken(Exception):
    """Storage could not be reopened for too long; the process should exit."""


class Ledger:
    """Records commands, expires overdue reservations, and follows other processes."""

    def __init__(  # noqa: PLR0913  the parts of the engine, each replaceable in a test
        self,
        storage: Storage,
        bus: EventBus,
        head: Head,
        clock: LogClock,
        breaker: CircuitBreaker,
        *,
        states: States,
        remember_seconds: float,
        traces: bool = False,
    ) -> None:
        self._writer = Writer(storage, bus, head, clock, states)
        self.counts = self._writer.counts
        self._clock, self._breaker = clock, breaker
        self._remember_micros = round(remember_seconds * 1e6)
        self._traces = traces
        self._mailbox = Mailbox(self.counts.answered, traces=traces)
        self._wake = asyncio.Event()
        self._groups = Groups(self._mailbox, self._admit, self._wake.set)
        self._closing = asyncio.Event()
        self._moved_elsewhere = True
        self._just_expired = False
        self._expire_at = 0.0
        self._follow_at = 0.0
        self._forget_at = _monotonic()

    async def start(self) -> None:
        """Read the end of the log.

        Raises:
            StorageError: the log cannot be read.
        """
        await self._writer.start()

    async def record(self, command: Command, request: Request) -> Outcome:
        """Execute *command* once, however often the same request is sent.

        On return its events are on disk, and readers and followers can see them. If the caller
        cancels, the command is recorded completely or not at all.

        Raises:
            Refusal: nothing was recorded, except for `OutcomeUnknown`.
            TimeoutError: the deadline passed before the command was started.
        """
        try:
            await self._admit()
            answer = self._mailbox.put(command, request)
        except Refusal as refusal:
            self.counts.answered([command], [refusal])
            raise
        self._wake.set()
        try:
            return await answer
        finally:
            del answer  # breaks the cycle of a refusal, its traceback and this frame

    async def record_all(self, submissions: Sequence[Submission]) -> Answers:
        """Execute each command as `record` does; return the future of the answers.

        It returns when all commands are enqueued. Cancelling it, or the future, cancels the
        commands that were not started.
        """
        return await self._groups.submit(submissions)

    async def _admit(self) -> None:
        """Raise a refusal if no commands are accepted."""
        self._breaker.check()
        if self._closing.is_set():
            raise ShuttingDown(1.0)
        await pause("admit")

    def follow(self) -> None:
        """Schedule a read of the events of other processes."""
        self._moved_elsewhere = True
        self._follow_at = 0.0
        self._wake.set()

    def close(self) -> None:
        """Accept no more commands; `run` returns when the waiting ones are answered."""
        self._closing.set()
        self._wake.set()

    def commands_waiting(self) -> int:
        return len(self._mailbox)

    def expiry_lag(self) -> int:
        """Return how long the oldest overdue hold has been overdue, in microseconds."""
        expiry = self._writer.next_expiry
        return 0 if expiry is None else max(0, self._clock.now() - expiry)

    async def run(self) -> None:
        """Run the writer until `close`.

        Raises:
            LedgerBroken: storage has failed for a minute and cannot be reopened.
        """
        try:
            await self._write()
        except BaseException:
            # without a writer, no caller would get an answer
            self.close()
            self._mailbox.refuse_all(lambda: ShuttingDown(1.0))
            raise

    async def _write(self) -> None:
        while self._mailbox or not self._closing.is_set():
            overdue = self._overdue()
            if self._breaker.state is not BreakerState.CLOSED:
                await self._recover()
            elif self._forget_is_due():
                await self._forget()
            elif self._mailbox and (
                overdue is None or self._just_expired or overdue < EXPIRY_PATIENCE_MICROS
            ):
                await self._mailbox.fill(MAX_COMMANDS)
                await self._answer(self._mailbox.take(MAX_COMMANDS))
            elif overdue is not None:
                await self._expire()
            elif self._moved_elsewhere and _monotonic() >= self._follow_at:
                await self._catch_up()
            else:
                await self._sleep()

    def _overdue(self) -> int | None:
        """Return `expiry_lag` if holds are to be expired now, else None."""
        expiry = self._writer.next_expiry
        if expiry is None or _monotonic() < self._expire_at:
            return None
        overdue = self._clock.now() - expiry
        return overdue if overdue >= 0 else None

    def _forget_is_due(self) -> bool:
        patience = FORGET_PATIENCE_SECONDS if self._mailbox else 0.0
        return _monotonic() >= self._forget_at + patience

    async def _answer(self, entries: list[Entry]) -> None:
        """Execute *entries* in one transaction, and answer every caller."""
        self._just_expired = False
        if not entries:
            return
        try:
            with watched(self._breaker, self.counts.seconds[Work.COMMANDS]):
                answers = await execute(self._writer, entries, traced=self._traces)
        except StorageError as error:
            self._mailbox.give(entries, [entry.failure(error) for entry in entries])
        except Exception as error:  # noqa: BLE001  a bug in one command must not fail the others
            if len(entries) > 1:
                await self._answer_singly(entries)
            else:
                self._mailbox.give(entries, [bug(_log, error)])
        else:
            await pause("before_ack")
            self._mailbox.give(entries, answers)

    async def _answer_singly(self, entries: Sequence[Entry]) -> None:
        """Execute each in a separate transaction, so that only the faulty one fails."""
        for done, entry in enumerate(entries):
            if self._breaker.state is not BreakerState.CLOSED:
                self._mailbox.put_back(entries[done:])
                return
            await self._answer([entry])

    async def _expire(self) -> None:
        """Expire one step of overdue reservations."""
        self._just_expired = True
        await pause("before_expire")
        if not await self._in_background(self._writer.expire_due(), Work.EXPIRY):
            self._expire_at = _monotonic() + 1.0

    async def _forget(self) -> None:
        """Delete one step of requests that are too old to be repeated."""
        begun = _monotonic()
        self._forget_at = begun + FORGET_EVERY_SECONDS

        async def forget_old() -> None:
            before = Instant(self._clock.now() - self._remember_micros)
            if await self._writer.forget(before, FORGOTTEN_AT_ONCE) == FORGOTTEN_AT_ONCE:
                self._forget_at = begun  # there may be more

        await self._in_background(forget_old(), Work.FORGETTING)

    async def _catch_up(self) -> None:
        self._moved_elsewhere = False
        if not await self._in_background(self._writer.catch_up()):
            self._moved_elsewhere = True
            self._follow_at = _monotonic() + FOLLOW_AGAIN_SECONDS

    async def _in_background(
        self, work: Coroutine[Any, Any, object], kind: Work | None = None
    ) -> bool:
        """Run *work*, which no caller waits for; return whether it succeeded."""
        try:
            with watched(self._breaker, self.counts.seconds[kind] if kind else None):
                await work
        except StorageError:
            return False  # the breaker has counted it
        except Exception as error:  # noqa: BLE001  a bug, and there is no caller to refuse
            bug(_log, error)
            self._writer.evict_states()
            return False
        return True

    async def _recover(self) -> None:
        """Refuse all waiting commands, wait, then reopen storage, which is the breaker's probe."""
        self._mailbox.refuse_all(self._breaker.refusal)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._breaker.retry_seconds()):
                await self._closing.wait()
                return
        try:
            async with self._breaker.probing():
                await self._writer.recover()
        except Exception as error:
            if isinstance(error, StorageError):
                _log.error("storage cannot be reopened: %s", error)
            else:
                bug(_log, error, "recovery")
            if self._breaker.is_hopeless(GIVE_UP_SECONDS):
                raise LedgerBroken(str(error)) from error
        self._moved_elsewhere = True

    async def _sleep(self) -> None:
        """Wait for a command, the next expiry, or events of other processes."""
        self._wake.clear()
        seconds = self._forget_at - _monotonic()
        if self._moved_elsewhere:  # and the events could not be read
            seconds = min(seconds, self._follow_at - _monotonic())
        if self._writer.next_expiry is not None:
            until_expiry = (self._writer.next_expiry - self._clock.now()) / 1e6
            # a failed expiry is not retried before `_expire_at`
            seconds = min(seconds, max(until_expiry, self._expire_at - _monotonic()))
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._wake.wait()


def _monotonic() -> float:
    """Return the time of the event loop, which tests may replace."""
    return asyncio.get_running_loop().time()
