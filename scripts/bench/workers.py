"""How much faster do two workers answer than one?"""

from typing import Final

from scripts.bench import goods
from scripts.bench.figures import Comparison, Group, Series
from scripts.bench.measuring import Bench, Case, fill
from scripts.bench.servers import Server, has_option, inventory_server
from scripts.bench.traffic import deliveries

CONNECTIONS: Final = 32
"""The system spreads connections over workers, not calls: of many, each gets its share."""

OPTION: Final = "--workers"


def case(bench: Bench) -> Case:
    if not has_option(OPTION):
        group = Group("workers", notes=[f"workers: left out, serve knows no {OPTION}"])
        return Case(group, _nothing, 0)
    one, two = Series("GetStock, 1 worker", "calls/s"), Series("GetStock, 2 workers", "calls/s")
    database = bench.folder / "workers.db"

    async def measure() -> None:
        await _look(bench, one, bench.inventory)
        is_new = not database.exists()
        with inventory_server(database, OPTION, "2") as server:
            if is_new:
                stocks = goods.made_up(bench.options.stocks)
                await fill(server, deliveries(stocks, "begin"), len(stocks))
            await _look(bench, two, server)

    group = Group("workers", [one, two], [Comparison(two, one, aim=1.4)])
    return Case(group, measure, bench.options.repeat)


async def _nothing() -> None:
    pass


async def _look(bench: Bench, series: Series, server: Server) -> None:
    await bench.ask(series, server, bench.shop.look, connections=CONNECTIONS)
