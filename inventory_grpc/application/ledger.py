"""The loop on which every promise rests: one log, one writer at a time.

    mailbox  ->  take what is waiting  ->  one transaction  ->  publish  ->  answer

A batch is whatever queued up while the last one was being made durable: one caller
pays one fsync, a thousand callers share one. A command is decided under the write
lock, so overselling is impossible rather than unlikely, and nothing is ever retried
here because of a lost race.
"""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from inventory_grpc.application.batch import Batch, Request
from inventory_grpc.application.circuit_breaker import BreakerState, CircuitBreaker, refusal_of
from inventory_grpc.application.clock import LogClock
from inventory_grpc.application.failures import (
    Internal,
    OutcomeUnknown,
    Overloaded,
    ShuttingDown,
)
from inventory_grpc.application.head import Head
from inventory_grpc.application.ports import (
    EventBus,
    Outcome,
    Skipped,
    Storage,
    StorageError,
    Transaction,
)
from inventory_grpc.application.states import States
from inventory_grpc.domain.commands import Command
from inventory_grpc.domain.events import Event
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.values import Instant

_log = logging.getLogger(__name__)

MAX_WAITING: Final = 4_096
"""Commands in the mailbox; one more is refused with `Overloaded`."""

MAX_COMMANDS: Final = 512
"""Commands in a batch."""

MAX_EVENTS: Final = 2_048
"""Events in a batch, and at most one command more."""

EXPIRY_PATIENCE_SECONDS: Final = 0.2
"""Overdue holds yield to waiting commands for so long, then take a batch in between."""

FORGET_EVERY_SECONDS: Final = 10.0
GIVE_UP_SECONDS: Final = 60.0


@dataclass(slots=True, eq=False)
class Entry:
    """A command in the mailbox, and the caller who waits for its answer."""

    command: Command
    request: Request
    caller: asyncio.Future[Outcome]


@dataclass(slots=True)
class Result:
    """What one transaction brings back to the event loop."""

    answers: list[Outcome | Refusal]
    events: Sequence[Event]
    skipped: bool
    head: int
    next_expiry: Instant | None


Work = Callable[[Batch], list[Outcome | Refusal]]
"""What a batch is for; it answers its commands, in order, as far as it got."""


class LedgerBroken(Exception):
    """Storage could not be reopened for too long; the process should end."""


class Ledger:
    """Records commands, lets go of what is overdue, and tells the bus, in this order of time."""

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
        self._storage = storage
        self._bus = bus
        self._head = head
        self._clock = clock
        self._breaker = breaker
        self._states = states
        self._remember_micros = round(remember_seconds * 1e6)
        self._mailbox: deque[Entry] = deque()
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._moved_elsewhere = True
        self._next_expiry: Instant | None = None
        self._expire_at = 0.0
        self._forget_at = 0.0

    async def start(self) -> None:
        """Take up where the log ends. What was read of it before is not known here.

        Raises:
            StorageError: it cannot be read.
        """
        head = await self._storage.observe(lambda transaction: transaction.head())
        self._states.clear()
        self._states.position = head.position
        self._bus.publish(Skipped(head.position))
        self._head.advance(head.position)
        self._moved_elsewhere = True

    async def record(self, command: Command, request: Request) -> Outcome:
        """Do what *command* asks, once, however often the same request is sent.

        On return its events are on disk, and readers and followers can see them. A
        caller that stops waiting leaves the command to its fate: whole, or not at all.

        Raises:
            Refusal: nothing was recorded, except for `OutcomeUnknown`.
            TimeoutError: the deadline passed before it was begun.
        """
        self._breaker.check()
        if self._closing.is_set():
            raise ShuttingDown(1.0)
        if len(self._mailbox) >= MAX_WAITING:
            raise Overloaded(0.1)
        entry = Entry(command, request, asyncio.get_running_loop().create_future())
        self._mailbox.append(entry)
        self._wake.set()
        return await entry.caller

    def follow(self) -> None:
        """Look at what other processes have recorded, soon."""
        self._moved_elsewhere = True
        self._wake.set()

    def close(self) -> None:
        """Take no more commands; `run` returns when those that wait are answered."""
        self._closing.set()
        self._wake.set()

    def expiry_lag(self) -> int:
        """Return for how many microseconds the oldest overdue hold has been waiting."""
        if self._next_expiry is None:
            return 0
        return max(0, self._clock.now() - self._next_expiry)

    async def run(self) -> None:
        """Be the writer, until closed.

        Raises:
            LedgerBroken: storage has failed for a minute and cannot be reopened.
        """
        while not (self._closing.is_set() and not self._mailbox):
            overdue = self._overdue_seconds()
            if self._breaker.state is not BreakerState.CLOSED:
                await self._recover()
            elif self._mailbox and overdue < EXPIRY_PATIENCE_SECONDS:
                await self._answer(self._take())
            elif overdue:
                await self._expire()
                await self._answer(self._take())
            elif time.monotonic() >= self._forget_at:
                await self._forget()
            elif self._moved_elsewhere:
                await self._catch_up()
            else:
                await self._sleep()

    def _overdue_seconds(self) -> float:
        """Return how long the oldest overdue hold has waited; 0 if it is not to be tried now."""
        return self.expiry_lag() / 1e6 if time.monotonic() >= self._expire_at else 0.0

    def _take(self) -> list[Entry]:
        """Take what is waiting, except what nobody is waiting for any more."""
        now = asyncio.get_running_loop().time()
        taken: list[Entry] = []
        while self._mailbox and len(taken) < MAX_COMMANDS:
            entry = self._mailbox.popleft()
            if entry.caller.done():
                continue
            if entry.request.deadline is not None and entry.request.deadline <= now:
                entry.caller.set_exception(TimeoutError("deadline passed before it was begun"))
                continue
            taken.append(entry)
        return taken

    async def _answer(self, entries: list[Entry]) -> None:
        """Record what *entries* ask in one transaction, and answer every caller."""
        if not entries:
            return
        try:
            result = await self._transact(partial(_answer_all, entries))
        except StorageError as error:
            _tell(entries, error)
        except Exception as error:  # noqa: BLE001  a bug in one command must not be the others' fate
            if len(entries) > 1:
                for entry in entries:
                    await self._answer([entry])
            else:
                entries[0].caller.set_exception(_internal(error))
        else:
            self._publish(result)
            for entry, answer in zip(entries, result.answers, strict=False):
                if not entry.caller.done():
                    _settle(entry.caller, answer)
            self._mailbox.extendleft(reversed(entries[len(result.answers) :]))

    async def _expire(self) -> None:
        """Let go of what is overdue, one step."""
        try:
            self._publish(await self._transact(_expire_due))
        except StorageError:
            pass  # the breaker knows
        except Exception as error:  # noqa: BLE001  a bug; no caller waits who could be told
            _internal(error)
            self._expire_at = time.monotonic() + 1.0

    async def _forget(self) -> None:
        """Forget requests that were recorded too long ago to be repeated, one step."""
        self._forget_at = time.monotonic() + FORGET_EVERY_SECONDS
        try:
            result = await self._transact(self._forget_old)
        except StorageError:
            return
        self._publish(result)

    def _forget_old(self, batch: Batch) -> list[Outcome | Refusal]:
        if batch.forget(Instant(batch.now - self._remember_micros)):
            self._forget_at = 0.0
        return []

    async def _catch_up(self) -> None:
        """Follow what other processes have recorded, outside the write lock."""
        self._moved_elsewhere = False
        try:
            with self._timed():
                result = await self._storage.observe(partial(self._batch, work=lambda _: []))
        except StorageError:
            return
        self._publish(result)

    async def _transact(self, work: Work) -> Result:
        try:
            with self._timed():
                result = await self._storage.transact(partial(self._batch, work=work))
        except BaseException:
            self._states.undo()
            # what others recorded may have been applied, and will not be read again
            self._bus.publish(Skipped(self._states.position))
            self._head.advance(self._states.position)
            raise
        self._states.keep()
        self._states.position = result.head
        return result

    def _batch(self, transaction: Transaction, work: Work) -> Result:
        batch = Batch(transaction, self._states, self._clock)
        answers = work(batch)
        return Result(
            answers, batch.recorded, batch.skipped, batch.head, transaction.earliest_expiry()
        )

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Tell the breaker how storage did."""
        started = time.monotonic()
        try:
            yield
        except StorageError as error:
            self._breaker.failed(error)
            raise
        self._breaker.succeeded(time.monotonic() - started)

    def _publish(self, result: Result) -> None:
        """Tell this process what is on disk now, before any caller is answered."""
        if result.skipped:
            self._bus.publish(Skipped(result.head))
        for event in result.events:
            self._bus.publish(event)
        self._head.advance(result.head)
        self._next_expiry = result.next_expiry

    async def _recover(self) -> None:
        """Wait, then reopen storage; that is the breaker's probe."""
        self._refuse_waiting()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._breaker.retry_seconds()):
                await self._closing.wait()
                return
        try:
            async with self._breaker.probing():
                await self._storage.recover()
                await self.start()
        except StorageError as error:
            _log.error("storage cannot be reopened: %s", error)
            if self._breaker.is_hopeless(GIVE_UP_SECONDS):
                raise LedgerBroken(str(error)) from error

    def _refuse_waiting(self) -> None:
        while self._mailbox:
            caller = self._mailbox.popleft().caller
            if not caller.done():
                caller.set_exception(self._breaker.refusal())

    async def _sleep(self) -> None:
        """Wait for a command, for the next hold to be over, or for news of other processes."""
        self._wake.clear()
        seconds = self._forget_at - time.monotonic()
        if self._next_expiry is not None:
            seconds = min(seconds, (self._next_expiry - self._clock.now()) / 1e6)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._wake.wait()


def _answer_all(entries: Sequence[Entry], batch: Batch) -> list[Outcome | Refusal]:
    """Answer as many as fit in one transaction, in order."""
    answers: list[Outcome | Refusal] = []
    for entry in entries:
        if batch.added >= MAX_EVENTS:
            break
        try:
            answers.append(batch.answer(entry.command, entry.request))
        except Refusal as refusal:
            answers.append(refusal)
    return answers


def _expire_due(batch: Batch) -> list[Outcome | Refusal]:
    batch.expire_due()
    return []


def _settle(caller: asyncio.Future[Outcome], answer: Outcome | Refusal) -> None:
    if isinstance(answer, Refusal):
        caller.set_exception(answer)
    else:
        caller.set_result(answer)


def _tell(entries: Sequence[Entry], error: StorageError) -> None:
    """Tell everybody in the batch that it failed; none of it is acknowledged."""
    for entry in entries:
        if not entry.caller.done():
            entry.caller.set_exception(
                OutcomeUnknown(entry.request.cause.request_id)
                if error.committing
                else refusal_of(error.fault, 0.5)
            )


def _internal(error: Exception) -> Internal:
    """Log *error* under an id, and return what may be said of it."""
    error_id = secrets.token_hex(4)
    _log.error("internal error %s", error_id, exc_info=error)
    return Internal(error_id)
