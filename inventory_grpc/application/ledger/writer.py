"""What is around every transaction: state kept in step, the breaker and the bus told."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from inventory_grpc.application.failpoints import pause
from inventory_grpc.application.failures import bug
from inventory_grpc.application.ledger.batch import Batch
from inventory_grpc.application.ledger.circuit_breaker import CircuitBreaker
from inventory_grpc.application.ledger.clock import LogClock
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ports import (
    EventBus,
    Outcome,
    Skipped,
    Storage,
    StorageError,
    Transaction,
)
from inventory_grpc.domain.event import Event
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.values import Instant

_log = logging.getLogger(__name__)

Answers = list[Outcome | Refusal]
Work = Callable[[Batch], Answers]
"""What a batch is for; it answers its commands, in order, as far as it gets."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one transaction brings back to the event loop."""

    answers: Answers
    events: Sequence[Event]
    skipped: bool
    head: int
    next_expiry: Instant | None


class Writer:
    """Runs batches, one at a time, and tells this process what came of them.

    When a method returns, what it has done is on disk, and the bus and the head say so.
    """

    def __init__(
        self, storage: Storage, bus: EventBus, head: Head, clock: LogClock, states: States
    ) -> None:
        self._storage = storage
        self._bus = bus
        self._head = head
        self._clock = clock
        self._states = states
        self.next_expiry: Instant | None = None
        """When the next hold is over, as of the last transaction."""

    async def start(self) -> None:
        """Take up where the log ends; whatever was known before may be wrong.

        Raises:
            StorageError: it cannot be read.
        """
        self._clock.look_again()
        position = await self._storage.observe(self._begin)
        self._states.clear()
        self._states.position = position
        self._skip_to(position)

    def _begin(self, transaction: Transaction) -> int:
        """Return where the log ends, and go on with its time."""
        position, record_time = transaction.head()
        self._clock.read(transaction, record_time)
        return position

    async def recover(self) -> None:
        """Have storage reopened, and start anew.

        Raises:
            StorageError: it still does not work.
        """
        await self._storage.recover()
        await self.start()

    async def transact(self, work: Work) -> Answers:
        """Run *work* in a transaction of its own.

        Raises:
            StorageError: storage failed; see there for what that means.
        """
        with self._undoing():
            result = await self._storage.transact(partial(self._batch, work))
        self._states.keep(result.head)
        await pause("before_publish")
        self._publish(result)
        await pause("after_publish")
        return result.answers

    async def catch_up(self) -> None:
        """Follow what other processes have recorded, outside the write lock.

        Raises:
            StorageError: it cannot be read.
        """
        with self._undoing():
            result = await self._storage.observe(partial(self._batch, lambda _: []))
        self._states.keep(result.head)
        self._publish(result)

    @contextmanager
    def _undoing(self) -> Iterator[None]:
        """If what is inside fails, have the state be that of the log again."""
        try:
            yield
        except BaseException:
            self._states.undo()
            # what others recorded may have been applied by then, and is not read again
            self._skip_to(self._states.position)
            raise

    def forget_state(self) -> None:
        """Fold everything anew when it is next needed."""
        self._states.clear()

    def _batch(self, work: Work, transaction: Transaction) -> Result:
        batch = Batch(transaction, self._states, self._clock)
        answers = work(batch)
        return Result(
            answers, batch.recorded, batch.skipped, batch.head, transaction.earliest_expiry()
        )

    def _publish(self, result: Result) -> None:
        """Tell this process; an error here must not become the answer to what is committed."""
        try:
            self._tell(result)
        except Exception as error:  # noqa: BLE001  see above
            bug(_log, error, "what follows a commit")
            self._states.clear()
            self._skip_to(result.head)

    def _tell(self, result: Result) -> None:
        if result.skipped:
            self._bus.publish(Skipped(result.head))
        for event in result.events:
            self._bus.publish(event)
        self._head.advance(result.head)
        self.next_expiry = result.next_expiry

    def _skip_to(self, position: int) -> None:
        self._bus.publish(Skipped(position))
        self._head.advance(position)


@contextmanager
def watched(breaker: CircuitBreaker) -> Iterator[None]:
    """Tell *breaker* how storage does inside."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        yield
    except StorageError as error:
        breaker.failed(error)
        raise
    breaker.succeeded(loop.time() - started)
