"""How fast are single commands, over all stocks and on one of them?"""

from scripts.bench.figures import Comparison, Group, Series
from scripts.bench.measuring import Bench, Case, recorded
from scripts.bench.traffic import Traffic, echoed


def case(bench: Bench) -> Case:
    echo = Series("echo", "calls/s")
    add, add_hot = Series("AddStock, spread", "calls/s"), Series("AddStock, hot", "calls/s")
    hold, hold_hot = (
        Series("ReserveStock, spread", "calls/s"),
        Series("ReserveStock, hot", "calls/s"),
    )

    async def command(series: Series, traffic: Traffic) -> None:
        async with recorded(bench.inventory, series.name) as events:
            events.append(await bench.ask(series, bench.inventory, traffic))

    async def measure() -> None:
        shop = bench.shop
        await bench.ask(echo, bench.echo, echoed(shop.add_anywhere))
        await command(add, shop.add_anywhere)
        await command(add_hot, shop.add_to_one)
        await command(hold, shop.reserve_anywhere)
        await command(hold_hot, shop.reserve_one)

    comparisons = [
        Comparison(add, echo, aim=0.6),
        Comparison(add_hot, echo, aim=0.6),
        Comparison(add_hot, add, aim=0.95),
        Comparison(hold, echo),
        Comparison(hold_hot, echo),
        Comparison(hold_hot, hold, aim=0.95),
    ]
    group = Group("commands", [echo, add, add_hot, hold, hold_hot], comparisons)
    return Case(group, measure, bench.options.repeat)
