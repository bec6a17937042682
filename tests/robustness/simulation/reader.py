"""A simulated reader, who queries and records the answers."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from inventory_grpc.application.failures import PositionAhead
from inventory_grpc.application.ports import StorageError
from inventory_grpc.application.queries.stock import (
    ProductInventoryById,
    StocksById,
    find_product_inventory,
)
from inventory_grpc.domain.refusals import StockNotFound
from inventory_grpc.domain.values import ReservationId
from inventory_grpc.presentation.to_proto import stock_message
from tests.robustness.simulation.history import Read
from tests.robustness.simulation.network import Lost, Unreachable
from tests.robustness.simulation.process import Process
from tests.robustness.simulation.stage import Stage
from tests.robustness.simulation.wishes import SHARED, Wishes
from tests.support.any_command import STOCKS
from tests.support.engine import Engine

AHEAD = 10**6

Question = Callable[[int, int, Engine], Awaitable[Read]]


class Reader:
    """Queries any process, at times with a position from an earlier answer."""

    def __init__(self, name: str, stage: Stage, wishes: Wishes) -> None:
        self.name = name
        self._wishes = wishes
        self._shown: dict[str, int] = {}
        """The newest state that each life of a process has shown."""
        self._stage = stage
        self._chance = stage.chance
        self._committed = asyncio.Event()
        stage.disk.on_commit.append(self._committed.set)

    async def run(self, questions: int) -> None:
        for _ in range(questions):
            await self._chance.pause(0.5 * self._stage.profile.think_seconds)
            if self._chance.happens(0.6):
                await self._next_commit()
            process = self._chance.choice(self._stage.processes)
            await self._ask(process)

    async def _next_commit(self) -> None:
        """Wait for a command to be recorded: at that moment other processes have not seen it."""
        self._committed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._stage.profile.think_seconds):
                await self._committed.wait()

    async def _ask(self, process: Process) -> None:
        trace, log = self._stage.trace, self._stage.disk.tables
        told = log.head  # all of it may have been told to somebody
        at_least = self._chance.choice((0, 0, told, AHEAD))
        # from storage it is as new as what anybody was told; from the cache, as what was
        # published here
        questions = (self._stock, self._stock, self._stocks, self._reservation, self._product)
        handle = partial(self._served, self._chance.choice(questions), process, at_least, told)
        try:
            who, read = await self._stage.network.call(process, handle)
        except (Lost, Unreachable, StorageError):
            return
        except PositionAhead as refusal:
            trace.require(at_least > refusal.head, f"position {at_least} was said to be ahead")
            trace.saw(self.name, "told PositionAhead")
            return
        trace.require(at_least <= told, f"position {at_least} was not said to be ahead")
        rule = f"{read.what} as of {read.as_of}, and had to be at least {read.at_least}"
        trace.require(read.as_of >= max(at_least, read.at_least), rule)
        trace.note(self.name, "reads", read.what, read.key, read.as_of)
        if read.as_of < told:
            trace.saw(self.name, "read: what is not the newest")
        self._stage.reads.append(read)
        self._shown[who] = max(self._shown.get(who, 0), read.as_of)

    async def _served(
        self, question: Question, process: Process, at_least: int, told: int, engine: Engine
    ) -> tuple[str, Read]:
        """Ask it; no answer of the same process is older than what it has shown before."""
        who = process.who
        shown = self._shown.get(who, 0)
        read = await question(at_least, told, engine)
        return who, read._replace(at_least=max(read.at_least, shown))

    async def _stock(self, at_least: int, _: int, engine: Engine) -> Read:
        key, published = self._chance.choice(STOCKS), engine.head.position
        try:
            answer = await engine.stocks.get(key, at_least)
        except StockNotFound:  # which names no position
            stock, as_of = await engine.queries.latest(at_least).get(key)
            return Read("stock", key, stock and stock_message(stock), as_of, published)
        return Read("stock", key, answer.stock, answer.as_of_position, published)

    async def _stocks(self, at_least: int, told: int, engine: Engine) -> Read:
        reading = await engine.queries.latest(at_least).read(StocksById(STOCKS))
        return Read("stocks", None, reading.value.stocks, reading.as_of, told)

    async def _reservation(self, at_least: int, told: int, engine: Engine) -> Read:
        key = ReservationId(self._chance.choice(self._wishes.made or SHARED))
        shown, as_of = await engine.queries.latest(at_least).get(key)
        return Read("reservation" if shown else "no reservation", key, shown, as_of, told)

    async def _product(self, at_least: int, told: int, engine: Engine) -> Read:
        reading = await find_product_inventory(
            engine.queries.latest(at_least), ProductInventoryById("kettle", limit=10)
        )
        return Read("product", "kettle", reading.value, reading.as_of, told)
