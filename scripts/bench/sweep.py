"""How do throughput and waiting depend on how many call at once?"""

from typing import Final

from scripts.bench.figures import Group, Series
from scripts.bench.measuring import Bench, Case, recorded
from scripts.bench.traffic import echoed

CALLERS: Final = (1, 4, 16, 64, 256)
TIMES: Final = 3


def case(bench: Bench) -> Case:
    echo, look, add = (
        [Series(name, "calls/s", at=callers) for callers in CALLERS]
        for name in ("echo", "GetStock", "AddStock")
    )

    async def measure() -> None:
        shop = bench.shop
        for callers, echoes, looks, adds in zip(CALLERS, echo, look, add, strict=True):
            await bench.ask(echoes, bench.echo, echoed(shop.look), callers=callers)
            await bench.ask(looks, bench.inventory, shop.look, callers=callers)
            async with recorded(bench.inventory, adds.name) as events:
                events.append(
                    await bench.ask(adds, bench.inventory, shop.add_anywhere, callers=callers)
                )

    group = Group("sweep", [*echo, *look, *add], axis="callers")
    return Case(group, measure, min(TIMES, bench.options.repeat))
