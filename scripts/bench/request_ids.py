"""The price of random request ids: the processor time of a bulk command, as the log grows.

Two logs are filled in turns with deliveries to the same stocks. The request ids of one are random
UUIDs, which are written all over the index of the requests; those of the other are time-ordered.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import cycle, islice
from typing import Final
from uuid import UUID, uuid4

from inventory_grpc.uuid7 import uuid7
from scripts.bench import goods
from scripts.bench.figures import Group, Sample, Series
from scripts.bench.goods import Stock
from scripts.bench.growth import SIZES, STRETCH
from scripts.bench.measuring import Bench, Case, fill, micros
from scripts.bench.servers import Server, inventory_server
from scripts.bench.traffic import add_stock

TURNS: Final = 5
IN_ORDER, RANDOM = "time-ordered", "random"
WAYS: Final = {IN_ORDER: uuid7, RANDOM: uuid4}


def case(bench: Bench) -> Case:
    stocks = goods.made_up(bench.options.stocks)
    logs = {way: _Log(bench, way, new_id, stocks) for way, new_id in WAYS.items()}
    group = Group("request-ids", axis="events")

    async def measure() -> None:
        with ExitStack() as stack:
            servers = {way: stack.enter_context(inventory_server(logs[way].file)) for way in WAYS}
            for size in SIZES:
                if size <= bench.options.events:
                    await measure_at(size, servers)

    async def measure_at(size: int, servers: Mapping[str, Server]) -> None:
        taken = {way: Series(way, "µs", at=size) for way in WAYS}
        taken[RANDOM].beside(taken[IN_ORDER])
        group.series += taken.values()
        for way, log in logs.items():
            await log.grow(servers[way], size - log.events)
        for _ in range(TURNS):
            for way, log in logs.items():
                taken[way].samples += await log.grow(servers[way], STRETCH)

    return Case(group, measure, 1)


class _Log:
    """A log that grows by deliveries."""

    def __init__(
        self, bench: Bench, way: str, new_id: Callable[[], UUID], stocks: Sequence[Stock]
    ) -> None:
        self.file = bench.folder / f"{way}.db"
        self.events = 0
        self._bench = bench
        self._commands = (add_stock(stock, str(new_id())) for stock in cycle(stocks))

    async def grow(self, server: Server, events: int) -> Sequence[Sample]:
        """Add *events*; return the processor time of one, if the system tells it."""
        self.events += events
        used = server.cpu_seconds()
        await fill(server, islice(self._commands, events), events, self._bench.progress)
        spent = micros(server, used, events)
        return [] if spent is None else [Sample(spent)]
