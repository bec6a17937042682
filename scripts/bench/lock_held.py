"""The time for which a batch holds the lock of a log in PostgreSQL, while other servers wait.

It is measured without gRPC, and where nobody else asks for the lock: from the request for it to
the answer of COMMIT, with the turns of the writer's thread.
"""

import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count, islice
from statistics import median
from typing import Final, TypeVar

from inventory_grpc.application.ledger.clock import LogClock
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.ledger.writer import Writer
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.ports import Expected, Storage, Transaction, nothing
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.stock_commands import AddStock
from inventory_grpc.domain.values import ProductId, Quantity, StockId, StoreId
from inventory_grpc.infrastructure import clocks
from inventory_grpc.infrastructure.event_bus import InProcessBus
from inventory_grpc.infrastructure.store import open_store
from inventory_grpc.settings import Settings
from scripts.bench import goods
from scripts.bench.figures import BenchmarkFailed, Group, Sample, Series
from scripts.bench.load import percentile
from scripts.bench.measuring import WARM_SECONDS, Bench, Case
from scripts.bench.postgres import new_schema, url_of

T = TypeVar("T")

MOST_MS: Final = {64: 6.0, 512: 40.0}
"""The numbers of commands in a batch, and the most milliseconds for which it holds the lock."""


def case(bench: Bench) -> Case:
    url = url_of(bench, "lock")
    series = {
        number: Series(f"{number} AddStock in a batch", "ms", most=most)
        for number, most in MOST_MS.items()
    }

    async def measure() -> None:
        with new_schema(url) as schema:
            async with _log(schema.url, bench.options.stocks) as log:
                for _ in range(bench.options.repeat):
                    for number, one in series.items():
                        await log.batches(number, WARM_SECONDS)
                        held = await log.batches(number, bench.options.seconds)
                        p99 = percentile(held, 99)
                        one.samples.append(Sample(median(held), p99_ms=p99))

    return Case(Group("lock", [*series.values()]), measure, 1)


class _Timed:
    """A `Storage` that notes how long its last transaction took."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.observe = storage.observe
        self.recover = storage.recover
        self.milliseconds = 0.0

    async def transact(
        self, work: Callable[[Transaction], T], prepare: Callable[[], Expected] = nothing
    ) -> T:
        began = 0.0

        def prepare_first() -> Expected:
            nonlocal began
            expected = prepare()
            began = time.perf_counter()
            return expected

        result = await self._storage.transact(work, prepare_first)
        self.milliseconds = (time.perf_counter() - began) * 1_000
        return result


class _Log:
    """The writer of a log, and commands on its stocks, which it knows."""

    def __init__(self, storage: Storage) -> None:
        self._storage = _Timed(storage)
        clock = LogClock(clocks.wall, clocks.monotonic, clocks.boot())
        self._writer = Writer(self._storage, InProcessBus(), Head(), clock, States())
        self._numbers = count(1)
        self._chance = random.Random(5)
        self._stocks: Sequence[StockId] = ()

    async def begin(self, stocks: Sequence[StockId]) -> None:
        """Give every stock a history."""
        await self._writer.start()
        self._stocks = stocks
        left = iter(stocks)
        while some := list(islice(left, max(MOST_MS))):
            await self._add(some)

    async def batches(self, number: int, seconds: float) -> Sequence[float]:
        """Record batches of *number* commands for this time; return the time of each."""
        end = time.perf_counter() + seconds
        held: list[float] = []
        while not held or time.perf_counter() < end:
            await self._add(self._chance.choices(self._stocks, k=number))
            held.append(self._storage.milliseconds)
        return held

    async def _add(self, stocks: Sequence[StockId]) -> None:
        submissions = []
        for stock in stocks:
            name = f"delivery-{next(self._numbers)}"
            command = AddStock(stock, Quantity(1))
            submissions.append(Submission.of(command, Cause(name), name.encode()))
        answers = await self._writer.answer(submissions)
        if not all(isinstance(answer, Outcome) for answer in answers):
            raise BenchmarkFailed("lock: a command was refused")


@asynccontextmanager
async def _log(url: str, stocks: int) -> AsyncIterator[_Log]:
    async with open_store(Settings(database=url), clocks.wall()) as store:
        log = _Log(store.storage)
        made_up = goods.made_up(stocks)
        await log.begin([StockId(ProductId(one), StoreId(other)) for one, other in made_up])
        yield log
