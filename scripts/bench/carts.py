"""How fast are carts bought: reserved, and then committed?"""

from itertools import cycle

from scripts.bench.figures import Comparison, Group, Sample, Series
from scripts.bench.measuring import Bench, Case, fill, recorded
from scripts.bench.traffic import Checkout, deliveries, echoed

PER_CART = 1 / 2
"""A call is half of what a cart takes."""

ON_HAND = 100_000_000
"""Some of the lines are fuel, by the millilitre."""


def case(bench: Bench) -> Case:
    echo, buy = Series("echo twice", "carts/s"), Series("reserve, commit", "carts/s")
    events = Series("in these", "events/s")
    group = Group("carts", [echo, buy, events], [Comparison(buy, echo)])
    checkout: list[Checkout] = []

    async def measure() -> None:
        if not checkout:
            stocks = bench.goods.in_carts
            await fill(bench.inventory, deliveries(stocks, "stock", ON_HAND), len(stocks))
            checkout.append(Checkout(cycle(bench.goods.carts)))
            group.notes.append(bench.goods.note)
        shop, same = checkout[0], Checkout(cycle(bench.goods.carts))
        await bench.ask(echo, bench.echo, echoed(same.buy), each=PER_CART)
        before = shop.events
        async with recorded(bench.inventory, buy.name) as told:
            calls = await bench.ask(buy, bench.inventory, shop.buy, each=PER_CART)
            told.append(shop.events - before)
        events_in_cart = told[0] / (calls * PER_CART)
        events.samples.append(Sample(buy.samples[-1].value * events_in_cart))

    return Case(group, measure, bench.options.repeat)
