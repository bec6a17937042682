"""Several servers on one log in PostgreSQL, which share one stock, the lock, and the cores."""

from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from scripts.bench import goods
from scripts.bench.figures import Group, Series
from scripts.bench.measuring import Bench, Case, fill, recorded
from scripts.bench.postgres import new_schema, url_of
from scripts.bench.servers import Server
from scripts.bench.traffic import ENOUGH, deliveries

CALLERS: Final = 192
"""Callers of all servers together."""

CONNECTIONS: Final = 12
"""As many to each server."""

AIMS: Final = {1: None, 2: 0.9, 3: 0.75}
"""The numbers of servers, and the part of the rate of one server that they should have."""


def case(bench: Bench) -> Case:
    url = url_of(bench, "servers")
    series = {
        number: Series(f"AddStock, hot, {number} server{'s' * (number > 1)}", "calls/s")
        for number in AIMS
    }
    for number, aim in AIMS.items():
        if number > 1:
            series[number].beside(series[1], aim=aim)

    async def measure() -> None:
        stocks = goods.made_up(bench.options.stocks)
        with new_schema(url) as schema:
            for turn in range(bench.options.repeat):
                with ExitStack() as stack:
                    servers: list[Server] = []
                    for number, one in series.items():
                        log = bench.folder / f"server-{turn}-{number}.log"
                        servers.append(stack.enter_context(schema.serving(log)))
                        if not turn and number == 1:
                            await fill(servers[0], deliveries(stocks, "begin", ENOUGH), len(stocks))
                        await _add(bench, one, servers)

    return Case(Group("servers", [*series.values()]), measure, 1)


async def _add(bench: Bench, series: Series, servers: list[Server]) -> None:
    """Have callers of all *servers* add to one stock."""
    together = replace(
        servers[0],
        process_ids=tuple({one for server in servers for one in server.process_ids}),
        more_addresses=tuple(server.address for server in servers[1:]),
    )
    async with recorded(together, series.name) as events:
        events.append(
            await bench.ask(
                series,
                together,
                bench.shop.add_to_one,
                callers=CALLERS,
                connections=CONNECTIONS,
            )
        )
