"""How fast are stocks looked up, one by one and many at a time?"""

from scripts.bench.figures import Comparison, Group, Series
from scripts.bench.measuring import Bench, Case
from scripts.bench.traffic import KEYS, echoed


def case(bench: Bench) -> Case:
    echo, look = Series("echo", "calls/s"), Series("GetStock", "calls/s")
    echo_many = Series(f"echo of {KEYS} keys", "stocks/s")
    many = Series(f"BatchGetStock of {KEYS}", "stocks/s", aim=50_000)

    async def measure() -> None:
        shop = bench.shop
        await bench.ask(echo, bench.echo, echoed(shop.look))
        await bench.ask(look, bench.inventory, shop.look)
        await bench.ask(echo_many, bench.echo, echoed(shop.look_at_many), each=KEYS)
        await bench.ask(many, bench.inventory, shop.look_at_many, each=KEYS)

    comparisons = [Comparison(look, echo, aim=0.8), Comparison(many, echo_many)]
    group = Group("reads", [echo, look, echo_many, many], comparisons)
    return Case(group, measure, bench.options.repeat)
