"""Runs transactions, then updates the cached states, the event bus and the published head."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from inventory_grpc.application.bus import EventBus
from inventory_grpc.application.failpoints import pause
from inventory_grpc.application.failures import bug
from inventory_grpc.application.ledger.batch import Batch
from inventory_grpc.application.ledger.circuit_breaker import CircuitBreaker
from inventory_grpc.application.ledger.clock import LogClock
from inventory_grpc.application.ledger.counts import LedgerCounts
from inventory_grpc.application.ledger.driver import Prefetch, Result, Work, drive
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.ledger.traced_batch import BatchTimes
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.ports import (
    Pending,
    Storage,
    StorageError,
    Transaction,
    nothing,
)
from inventory_grpc.application.tally import Tally
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.values import Instant

_log = logging.getLogger(__name__)


class Writer:
    """Runs batches, one at a time, and publishes their events to this process.

    When a method returns, its writes are on disk, and the bus and the head are up to date. Each
    method may raise `StorageError`.
    """

    def __init__(  # noqa: PLR0913  the parts of the engine
        self,
        storage: Storage,
        bus: EventBus,
        head: Head,
        clock: LogClock,
        states: States,
        *,
        needs_catalogue: bool = False,
    ) -> None:
        self.counts = LedgerCounts()
        self._storage = storage
        self._bus = bus
        self._head = head
        self._clock = clock
        self._states = states
        self._drive = partial(drive, needs_catalogue=needs_catalogue)
        self.pending = Pending()
        """As of the last transaction."""

    async def start(self) -> None:
        """Read the end of the log, and discard all cached states."""
        self._clock.reread()
        position = await self._storage.observe(self._begin)
        self._states.restart(position)
        self._skip_to(position)

    def _begin(self, transaction: Transaction) -> int:
        """Return the end of the log, and advance the clock to its time."""
        position, record_time = transaction.head()
        self._clock.read(transaction, record_time)
        return position

    async def recover(self) -> None:
        """Reopen storage and restart."""
        await self._storage.recover()
        await self.start()

    async def answer(
        self, submissions: Iterable[Submission], times: BatchTimes | None = None
    ) -> Sequence[Outcome | Refusal]:
        """Answer *submissions* in order, as many as fit in one transaction; note its *times*.

        They are iterated on the writer's thread, where those that are unread are read.
        """
        needs = Prefetch(submissions, self._states)
        batch = await self._transact(
            lambda batch: batch.answer_all(needs.submissions), needs, times
        )
        self.counts.transaction_commands.add(len(batch.answers))
        return batch.answers

    async def expire_due(self) -> None:
        """Expire one step of overdue subjects."""
        await self._transact(lambda batch: batch.expiry.expire_due())

    async def fill_due(self) -> None:
        """Record one step of the fills that are due."""
        await self._transact(lambda batch: batch.fills.fill_due())

    async def walk(self) -> None:
        """Do one step of the walks of changed terms."""
        await self._transact(Batch.walk)

    async def forget(self, age: int, limit: int) -> int:
        """Delete up to *limit* requests that are older than *age*; return their number.

        The time is read again for it, so an idle server stays at that of its storage.
        """

        def forget(transaction: Transaction) -> int:
            now = self._clock.read(transaction, transaction.head().record_time)
            return transaction.forget(Instant(now - age), limit)

        return await self._storage.transact(forget)

    async def _transact(
        self, work: Work, prefetched: Prefetch | None = None, times: BatchTimes | None = None
    ) -> Batch:
        if times:
            work = times.up_to_here(work)

        def run(transaction: Transaction) -> Result:
            return self._drive(transaction, self._states, self._clock, work, prefetched)

        result = await self._storage.transact(
            times.from_here(run) if times else run, prefetched.prepare if prefetched else nothing
        )
        if times:
            times.note_commit()
        self._keep(result)
        await pause("before_publish")
        self._publish(result)
        await pause("after_publish")
        return result.batch

    async def catch_up(self) -> None:
        """Read the events of other processes, without the write lock."""
        result = await self._storage.observe(
            lambda transaction: drive(transaction, self._states, self._clock, None)
        )
        self._keep(result)
        self._publish(result)

    def evict_states(self) -> None:
        """Evict all cached states; they are read again when needed."""
        self._states.restart(self._states.position)

    def _keep(self, result: Result) -> None:
        self._states.keep(result.batch.book.head, result.batch.book.states)
        self.pending = result.pending

    def _publish(self, result: Result) -> None:
        """Notify this process; an error here must not become the answer to committed commands."""
        try:
            recorded = result.batch.book.recorded
            before = result.batch.book.head - len(recorded)
            if result.skipped:
                self._bus.skip(before)
            self._bus.publish_elsewhere(result.news.streams, before)
            self._bus.publish(recorded)
            self.counts.published(recorded)
            self._head.advance(result.batch.book.head)
        except Exception as error:  # noqa: BLE001  see above
            bug(_log, error, "publication of a commit")
            self.evict_states()
            self._skip_to(result.batch.book.head)

    def _skip_to(self, position: int) -> None:
        self._bus.skip(position)
        self._head.advance(position)


@contextmanager
def watched(breaker: CircuitBreaker, seconds: Tally | None = None) -> Iterator[None]:
    """Report the success or failure of the enclosed transaction to *breaker*.

    Its duration is added to *seconds*.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        yield
    except StorageError as error:
        breaker.failed(error)
        raise
    else:
        breaker.succeeded(loop.time() - started)
    finally:
        if seconds is not None:
            seconds.add(loop.time() - started)
