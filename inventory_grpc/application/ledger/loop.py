"""The writer's loop: one log, one writer at a time.

    mailbox  ->  take waiting commands  ->  one transaction  ->  publish  ->  answer

A batch is everything that was queued while the last one was written: one caller needs one
fsync, and a thousand callers share one. Commands are decided under the write lock, so
overselling is impossible, and nothing is retried because of a conflict.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from inventory_grpc.application.bus import EventBus
from inventory_grpc.application.failpoints import pause
from inventory_grpc.application.failures import ShuttingDown, bug
from inventory_grpc.application.ledger.atomic import AtomicBatch
from inventory_grpc.application.ledger.bulk import Groups
from inventory_grpc.application.ledger.circuit_breaker import (
    BreakerState,
    CircuitBreaker,
    refusal_after,
)
from inventory_grpc.application.ledger.clock import LogClock
from inventory_grpc.application.ledger.counts import Work
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ledger.mailbox import (
    Answers,
    Entry,
    Mailbox,
    divided,
)
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.ledger.traced_batch import execute
from inventory_grpc.application.ledger.upkeep import FOLLOW_AGAIN_SECONDS, Upkeep
from inventory_grpc.application.ledger.writer import Writer, watched
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.ports import Fault, Storage, StorageError
from inventory_grpc.domain.refusals import CommandTooLarge, Refusal

_log = logging.getLogger(__name__)

MAX_COMMANDS: Final = 512
"""Commands in a batch."""

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
        max_batch: int | None = None,
        traces: bool = False,
        needs_catalogue: bool = False,
    ) -> None:
        self._writer = Writer(storage, bus, head, clock, states, needs_catalogue=needs_catalogue)
        self.counts = self._writer.counts
        self._breaker = breaker
        self._upkeep = Upkeep(self._writer, clock, breaker, remember_seconds)
        self._max_batch = max_batch or MAX_COMMANDS
        self._traces = traces
        self._mailbox = Mailbox(self.counts.answered, traces=traces)
        self._wake = asyncio.Event()
        self._groups = Groups(self._mailbox, self._admit, self._wake.set)
        self._closing = asyncio.Event()

    async def start(self) -> None:
        """Read the end of the log.

        Raises:
            StorageError: the log cannot be read.
        """
        await self._writer.start()

    async def record(self, submission: Submission, deadline: float | None = None) -> Outcome:
        """Execute a command once, however often the same request is sent.

        On return its events are on disk, and readers and followers can see them. If the caller
        cancels, the command is recorded completely or not at all.

        Raises:
            Refusal: nothing was recorded, except for `OutcomeUnknown`.
            TimeoutError: the *deadline*, on the event loop's clock, passed before the command
                was started.
        """
        if isinstance(submission.command, AtomicBatch):
            return await self._record_together(submission, len(submission.command.parts), deadline)
        try:
            await self._admit()
            answer = self._mailbox.put(submission, deadline)
        except Refusal as refusal:
            self.counts.answered([submission.command], [refusal])
            raise
        self._wake.set()
        try:
            return await answer
        finally:
            del answer  # breaks the cycle of a refusal, its traceback and this frame

    async def _record_together(
        self, submission: Submission, parts: int, deadline: float | None
    ) -> Outcome:
        """Record an atomic batch, which waits for space in the mailbox as other bulk does."""
        [answer] = await (await self._groups.submit([submission], deadline, parts))
        if isinstance(answer, Outcome):
            return answer
        try:
            raise answer
        finally:
            del answer  # as in `record`

    async def record_all(
        self, submissions: Sequence[Submission], deadline: float | None = None
    ) -> Answers:
        """Execute each command as `record` does; return the future of the answers.

        It returns when all commands are enqueued. Cancelling it, or the future, cancels the
        commands that were not started.
        """
        return await self._groups.submit(submissions, deadline)

    async def _admit(self) -> None:
        """Raise a refusal if no commands are accepted."""
        self._breaker.check()
        if self._closing.is_set():
            raise ShuttingDown(1.0)
        await pause("admit")

    def follow(self) -> None:
        """Schedule a read of the events of other processes."""
        self._upkeep.follow()
        self._wake.set()

    def close(self) -> None:
        """Accept no more commands; `run` returns when the waiting ones are answered."""
        self._closing.set()
        self._wake.set()

    def commands_waiting(self) -> int:
        return len(self._mailbox)

    def expiry_lag(self) -> int:
        """Return how long the oldest overdue hold has been overdue, in microseconds."""
        return self._upkeep.expiry_lag()

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
        upkeep = self._upkeep
        while self._mailbox or not self._closing.is_set():
            if self._breaker.fault is Fault.SEALED:
                await self._only_follow()
            elif self._breaker.state is not BreakerState.CLOSED:
                await self._recover()
            elif upkeep.is_forgetting_due(commands_wait=bool(self._mailbox)):
                await upkeep.forget()
            elif self._mailbox and upkeep.lets_commands_pass():
                most = min(self._max_batch, MAX_COMMANDS)
                await self._mailbox.fill(most)
                await self._answer(self._mailbox.take(most))
            elif upkeep.is_step_due():
                await upkeep.step()
            elif upkeep.is_behind():
                await upkeep.catch_up()
            else:
                await self._sleep()

    async def _answer(self, entries: Sequence[Entry]) -> None:
        """Execute *entries* in one transaction, and answer every caller."""
        self._upkeep.just_stepped = False
        if not entries:
            return
        try:
            with watched(self._breaker, self.counts.seconds[Work.COMMANDS]):
                answers = await execute(self._writer, entries, traced=self._traces)
        except StorageError as error:
            self._mailbox.refuse(entries, partial(refusal_after, error))
        except Exception as error:  # noqa: BLE001  a bug in one command must not fail the others
            if sum(len(entry.submissions) for entry in entries) > 1:
                await self._answer_singly(entries)
            else:
                # only storage knows the bytes of a command, and refuses too many
                answer = error if isinstance(error, CommandTooLarge) else bug(_log, error)
                self._mailbox.give(entries, [answer])
        else:
            await pause("before_ack")
            self._mailbox.give(entries, answers)

    async def _answer_singly(self, entries: Sequence[Entry]) -> None:
        """Execute each in a separate transaction, so that only the faulty one fails."""
        while entries:
            if self._breaker.state is not BreakerState.CLOSED:
                self._mailbox.put_back(entries)
                return
            one, entries = divided(entries, 1)
            await self._answer(one)

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
        self._upkeep.follow()

    async def _only_follow(self) -> None:
        """Refuse commands for good, and read what was recorded before the log was sealed."""
        self._mailbox.refuse_all(self._breaker.refusal)
        if self._upkeep.is_behind():
            await self._upkeep.catch_up()
            return
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(FOLLOW_AGAIN_SECONDS):
                await self._wake.wait()

    async def _sleep(self) -> None:
        """Wait for a command, the next expiry, or events of other processes."""
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._upkeep.seconds_to_next()):
                await self._wake.wait()
