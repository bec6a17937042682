"""How much faster do two workers answer than one, beside two servers that do nothing?

A second worker can only use what the first one and the generator leave idle. The echoes
say how much that is here.
"""

from typing import Final

from scripts.bench import goods
from scripts.bench.figures import Comparison, Group, Series
from scripts.bench.measuring import Bench, Case, fill
from scripts.bench.servers import Server, inventory_server, two_echo_servers
from scripts.bench.traffic import Traffic, deliveries, echoed

CONNECTIONS: Final = 32
"""The system spreads connections over workers, not calls: of many, each gets its share."""


def case(bench: Bench) -> Case:
    echo, two_echoes = Series("echo", "calls/s"), Series("echo, 2 processes", "calls/s")
    one, two = Series("GetStock, 1 worker", "calls/s"), Series("GetStock, 2 workers", "calls/s")
    database = bench.folder / "workers.db"
    look = bench.shop.look

    async def ask(series: Series, server: Server, traffic: Traffic = look) -> None:
        await bench.ask(series, server, traffic, connections=CONNECTIONS)

    async def measure() -> None:
        await ask(echo, bench.echo, echoed(look))
        with two_echo_servers(bench.folder / "two-echoes.log") as server:
            await ask(two_echoes, server, echoed(look))
        await ask(one, bench.inventory)
        is_new = not database.exists()
        with inventory_server(database, "--workers", "2") as server:
            if is_new:
                stocks = goods.made_up(bench.options.stocks)
                await fill(server, deliveries(stocks, "begin"), len(stocks))
            await ask(two, server)

    group = Group(
        "workers",
        [echo, two_echoes, one, two],
        [Comparison(two_echoes, echo), Comparison(two, one, aim=1.4)],
    )
    return Case(group, measure, bench.options.repeat)
