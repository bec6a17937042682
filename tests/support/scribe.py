"""Writes history into a store, one command a transaction, without a ledger."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from inventory_grpc.application.ledger.atomic import AnyCommand
from inventory_grpc.application.ledger.batch import Batch
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.ports import Storage
from inventory_grpc.application.queries.events import EventFilter
from inventory_grpc.domain.event import Cause, Event
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.infrastructure.codec import decode
from tests.support.clock import ManualClock
from tests.support.history import doing
from tests.support.stores import Store

T = TypeVar("T")

EVERYTHING = EventFilter()


@dataclass
class Scribe:
    """Every command finds its state folded anew: nothing is at hand but what is stored."""

    store: Store
    clock: ManualClock = field(default_factory=ManualClock)

    async def record(
        self, *commands: AnyCommand, request_id: str = "", reference: str = ""
    ) -> Outcome:
        """Do *commands*, each in a transaction of its own, the last under the request id.

        Return the answer to that one.
        """
        *before, last = commands
        for command in before:
            await self._record(command, Cause(reference=reference))
        return await self._record(last, Cause(request_id=request_id, reference=reference))

    async def _record(self, command: AnyCommand, cause: Cause) -> Outcome:
        submission = Submission.of(command, cause, repr(command).encode())
        batch = await self._do(lambda batch: batch.answer_all([submission]))
        [answer] = batch.answers
        if isinstance(answer, Refusal):
            raise answer
        return answer

    async def expire_due(self) -> None:
        await self._do(lambda batch: batch.expiry.expire_due())

    async def fill_due(self) -> None:
        await self._do(lambda batch: batch.fills.fill_due())

    async def walk(self) -> None:
        """Do one step of the walks of changed terms."""
        await self._do(Batch.walk)

    async def _do(self, work: Callable[[Batch], None]) -> Batch:
        return await self.store.storage.transact(doing(work, self.clock))


async def log_of(store: Store) -> list[bytes]:
    """Return all events, as they are stored."""
    rows: list[tuple[int, bytes]] = []
    end = (await store.event_log.head()) + 1
    done = False
    while not done:
        found = await store.event_log.search(EVERYTHING, len(rows), end, end, newest_first=False)
        rows += found.rows
        done = found.done
    return [data for _, data in rows]


async def events_of(store: Store) -> list[Event]:
    return [decode(data) for data in await log_of(store)]


async def position_of_head(storage: Storage) -> int:
    return await storage.observe(lambda transaction: transaction.head().position)
