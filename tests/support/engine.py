"""The engine as in a server, over any store, with a clock that the test sets."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from inventory_grpc.application.following import Followers
from inventory_grpc.application.ledger.atomic import AtomicBatch, Part
from inventory_grpc.application.ledger.circuit_breaker import CircuitBreaker
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ledger.loop import Ledger
from inventory_grpc.application.ledger.mailbox import Answer
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.queries.snapshot import Queries
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.values import ReservationId, StockId
from inventory_grpc.infrastructure.event_bus import InProcessBus
from inventory_grpc.presentation.stock_answers import StockAnswers
from tests.support.clock import ManualClock
from tests.support.scribe import log_of
from tests.support.stock_reads import StockReads
from tests.support.stores import Store

REMEMBER_SECONDS = 7 * 24 * 3600.0
PATIENCE_SECONDS = 10.0
"""The time that a test waits for a condition."""


@dataclass
class Engine:
    """One process; several of them may share a store, and a clock."""

    store: Store
    clock: ManualClock
    head: Head
    bus: InProcessBus
    breaker: CircuitBreaker
    states: States
    ledger: Ledger
    queries: Queries
    answers: StockAnswers
    followers: Followers

    async def record(self, command: Command, request_id: str = "") -> Outcome:
        """Ask for *command*, and wait for the answer."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.ask(command, request_id)

    def ask(
        self, command: Command, request_id: str = "", deadline: float | None = None
    ) -> "asyncio.Task[Outcome]":
        """Put *command* into the mailbox, in the order of these calls, and do not wait.

        The fingerprint is the command's text.
        """
        asked = Submission.of(command, Cause(request_id), repr(command).encode())
        return asyncio.ensure_future(self.ledger.record(asked, deadline))

    def ask_together(self, *commands: Command) -> "asyncio.Task[Outcome]":
        """Put *commands* into the mailbox as an atomic batch."""
        parts = [Part(command, Cause(part=part)) for part, command in enumerate(commands, 1)]
        return asyncio.ensure_future(self.ledger.record(Submission.of(AtomicBatch(parts))))

    def ask_all(
        self, *commands: Command, request_ids: Sequence[str] = (), deadline: float | None = None
    ) -> "asyncio.Task[Sequence[Answer]]":
        """Ask for *commands* as a group, and do not wait; they have these request ids."""
        ids = [*request_ids, *[""] * (len(commands) - len(request_ids))]
        asked = [
            Submission.of(command, Cause(request_id), repr(command).encode())
            for command, request_id in zip(commands, ids, strict=True)
        ]

        async def answered() -> Sequence[Answer]:
            return await (await self.ledger.record_all(asked, deadline))

        return asyncio.ensure_future(answered())

    async def go_on(self, span: int) -> None:
        """Let time pass, and have the ledger notice."""
        self.clock.go_on(span)
        self.ledger.follow()
        await settle()

    @property
    def stocks(self) -> StockReads:
        return StockReads(self.queries, self.answers)

    async def log(self) -> list[bytes]:
        return await log_of(self.store)


def assemble(
    store: Store,
    clock: ManualClock | None = None,
    *,
    max_states: int = 1_000,
    remember_seconds: float = REMEMBER_SECONDS,
    jitter: Callable[[], float] = lambda: 0.0,
    traces: bool = False,
    needs_catalogue: bool = False,
) -> Engine:
    """Return an engine of which nothing runs yet."""
    clock = clock or ManualClock()
    bus, head = InProcessBus(), Head()
    answers = StockAnswers(head, 1_000, clock.seconds)
    bus.subscribe(answers)
    # the breaker waits in real time, so it reads real time
    breaker = CircuitBreaker(lambda: round(asyncio.get_running_loop().time() * 1e6), jitter)
    states = States({StockId: max_states, ReservationId: max_states})
    ledger = Ledger(
        store.storage,
        bus,
        head,
        clock.over_any_storage(),
        breaker,
        states=states,
        remember_seconds=remember_seconds,
        traces=traces,
        needs_catalogue=needs_catalogue,
    )
    return Engine(
        store=store,
        clock=clock,
        head=head,
        bus=bus,
        breaker=breaker,
        states=states,
        ledger=ledger,
        queries=Queries(store.views, store.event_log),
        answers=answers,
        followers=Followers(store.event_log, head),
    )


@asynccontextmanager
async def running(engine: Engine) -> AsyncIterator[Engine]:
    """Run the ledger; on leaving, see it come to its end."""
    await engine.ledger.start()
    run = asyncio.create_task(engine.ledger.run(), name="ledger")
    try:
        yield engine
    finally:
        engine.ledger.close()
        engine.head.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await run


async def settle(turns: int = 20) -> None:
    """Let everything that is ready run."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def until(happened: Callable[[], bool]) -> None:
    """Wait for what has to happen by itself."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not happened():  # noqa: ASYNC110  what is waited for sets no event of ours
            await asyncio.sleep(0.005)
