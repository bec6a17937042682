"""The loop on which every promise rests: one log, one writer at a time.

    mailbox  ->  take what is waiting  ->  one transaction  ->  publish  ->  answer

A batch is whatever queued up while the last one was being made durable: one caller
pays one fsync, a thousand callers share one. A command is decided under the write
lock, so overselling is impossible rather than unlikely, and nothing is ever retried
here because of a lost race.
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
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ledger.mailbox import Answer, Entry, Mailbox
from inventory_grpc.application.ledger.question import Question, Request
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ledger.writer import Writer, watched
from inventory_grpc.application.ports import EventBus, Outcome, Storage, StorageError
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.values import Instant

_log = logging.getLogger(__name__)

MAX_COMMANDS: Final = 512
"""Commands in a batch."""

EXPIRY_PATIENCE_MICROS: Final = 200_000
"""Overdue holds yield to waiting commands for so long, then take every other batch."""

FORGOTTEN_AT_ONCE: Final = 1_000
"""Requests forgotten in one step."""

FORGET_EVERY_SECONDS: Final = 10.0
FORGET_PATIENCE_SECONDS: Final = 0.25
"""Old requests are looked for every so often; they yield to waiting commands for so long."""

FOLLOW_AGAIN_SECONDS: Final = 1.0
"""When to look again at what others have recorded, where that has failed."""

GIVE_UP_SECONDS: Final = 60.0


class LedgerBroken(Exception):
    """Storage could not be reopened for too long; the process should end."""


class Ledger:
    """Records commands, lets go of what is overdue, follows what others record."""

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
    ) -> None:
        self._writer = Writer(storage, bus, head, clock, states)
        self._clock = clock
        self._breaker = breaker
        self._remember_micros = round(remember_seconds * 1e6)
        self._mailbox = Mailbox()
        self._wake = asyncio.Event()
        self._groups = Groups(self._mailbox, self._admit, self._wake.set)
        self._closing = asyncio.Event()
        self._moved_elsewhere = True
        self._just_expired = False
        self._expire_at = 0.0
        self._follow_at = 0.0
        self._forget_at = _monotonic()

    async def start(self) -> None:
        """Take up where the log ends.

        Raises:
            StorageError: it cannot be read.
        """
        await self._writer.start()

    async def record(self, command: Command, request: Request) -> Outcome:
        """Do what *command* asks, once, however often the same request is sent.

        On return its events are on disk, and readers and followers can see them. A
        caller that stops waiting leaves the command to its fate: whole, or not at all.

        Raises:
            Refusal: nothing was recorded, except for `OutcomeUnknown`.
            TimeoutError: the deadline passed before it was begun.
        """
        await self._admit()
        answer = self._mailbox.put(command, request)
        self._wake.set()
        try:
            return await answer
        finally:
            del answer  # a refusal's traceback has this frame, which would have the refusal

    async def record_all(self, asked: Sequence[Question]) -> "asyncio.Future[Sequence[Answer]]":
        """Do what many commands ask, each as `record` does; return when all are taken in.

        The answers are the result of what is returned. Whoever cancels it, or this, gives
        up what was not begun.
        """
        return await self._groups.take_in(asked)

    async def _admit(self) -> None:
        """Return if commands are taken.

        Raises:
            Refusal: why they are not.
        """
        self._breaker.check()
        if self._closing.is_set():
            raise ShuttingDown(1.0)
        await pause("admit")

    def follow(self) -> None:
        """Look at what other processes have recorded, soon."""
        self._moved_elsewhere = True
        self._follow_at = 0.0
        self._wake.set()

    def close(self) -> None:
        """Take no more commands; `run` returns when those that wait are answered."""
        self._closing.set()
        self._wake.set()

    def expiry_lag(self) -> int:
        """Return for how many microseconds the oldest overdue hold has been waiting."""
        expiry = self._writer.next_expiry
        return 0 if expiry is None else max(0, self._clock.now() - expiry)

    async def run(self) -> None:
        """Be the writer, until closed.

        Raises:
            LedgerBroken: storage has failed for a minute and cannot be reopened.
        """
        try:
            await self._write()
        except BaseException:
            # without a writer nobody would be answered
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
        """Return for how many microseconds a hold has been over; None if none is, or for now."""
        expiry = self._writer.next_expiry
        if expiry is None or _monotonic() < self._expire_at:
            return None
        overdue = self._clock.now() - expiry
        return overdue if overdue >= 0 else None

    def _forget_is_due(self) -> bool:
        patience = FORGET_PATIENCE_SECONDS if self._mailbox else 0.0
        return _monotonic() >= self._forget_at + patience

    async def _answer(self, entries: list[Entry]) -> None:
        """Record what *entries* ask in one transaction, and answer every caller."""
        self._just_expired = False
        if not entries:
            return
        try:
            with watched(self._breaker):
                answers = await self._writer.answer([entry.question for entry in entries])
        except StorageError as error:
            for entry in entries:
                entry.fail(error)
        except Exception as error:  # noqa: BLE001  a bug in one command must not be the others' fate
            if len(entries) > 1:
                await self._answer_singly(entries)
            else:
                entries[0].answer(bug(_log, error))
        else:
            await pause("before_ack")
            for entry, answer in zip(entries, answers, strict=False):
                entry.answer(answer)
            self._mailbox.put_back(entries[len(answers) :])

    async def _answer_singly(self, entries: Sequence[Entry]) -> None:
        """Give each its own transaction, so that the faulty one fails alone."""
        for done, entry in enumerate(entries):
            if self._breaker.state is not BreakerState.CLOSED:
                self._mailbox.put_back(entries[done:])
                return
            await self._answer([entry])

    async def _expire(self) -> None:
        """Let go of what is overdue, one step."""
        self._just_expired = True
        await pause("before_expire")
        if not await self._unasked(self._writer.expire_due()):
            self._expire_at = _monotonic() + 1.0

    async def _forget(self) -> None:
        """Forget requests that were recorded too long ago to be repeated, one step."""
        begun = _monotonic()
        self._forget_at = begun + FORGET_EVERY_SECONDS

        async def forget_old() -> None:
            before = Instant(self._clock.now() - self._remember_micros)
            if await self._writer.forget(before, FORGOTTEN_AT_ONCE) == FORGOTTEN_AT_ONCE:
                self._forget_at = begun  # there may be more

        await self._unasked(forget_old())

    async def _catch_up(self) -> None:
        self._moved_elsewhere = False
        if not await self._unasked(self._writer.catch_up()):
            self._moved_elsewhere = True
            self._follow_at = _monotonic() + FOLLOW_AGAIN_SECONDS

    async def _unasked(self, work: Coroutine[Any, Any, object]) -> bool:
        """Do what no caller waits for; return whether it succeeded."""
        try:
            with watched(self._breaker):
                await work
        except StorageError:
            return False  # the breaker knows
        except Exception as error:  # noqa: BLE001  a bug, and nobody there who could be told
            bug(_log, error)
            self._writer.forget_states()
            return False
        return True

    async def _recover(self) -> None:
        """Refuse what waits, wait, then have storage reopened: that is the breaker's probe."""
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
        """Wait for a command, for the next hold to be over, or for news of other processes."""
        self._wake.clear()
        seconds = self._forget_at - _monotonic()
        if self._moved_elsewhere:  # and it could not be read
            seconds = min(seconds, self._follow_at - _monotonic())
        if self._writer.next_expiry is not None:
            over = (self._writer.next_expiry - self._clock.now()) / 1e6
            # one that could not be let go is not tried again before its time
            seconds = min(seconds, max(over, self._expire_at - _monotonic()))
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._wake.wait()


def _monotonic() -> float:
    """Return the time of the event loop, which a test may run at its own pace."""
    return asyncio.get_running_loop().time()
