"""Unary calls beside an echo of the same requests: reads, commands, carts, callers, workers."""

from itertools import cycle
from typing import Final

from scripts.bench import goods
from scripts.bench.figures import Group, Sample, Series
from scripts.bench.measuring import Bench, Case, fill, recorded
from scripts.bench.servers import Server, inventory_server, two_echo_servers
from scripts.bench.traffic import KEYS, Checkout, Traffic, deliveries, echoed

PER_CART: Final = 1 / 2
"""A cart takes two calls, so each call counts for half of one."""

ON_HAND: Final = 100_000_000
"""Some lines are fuel, counted in millilitres."""

SWEPT_CALLERS: Final = (1, 4, 16, 64, 256)
SWEEPS: Final = 3

WORKERS_CONNECTIONS: Final = 32
"""The system spreads connections over workers, not calls; many of them spread evenly."""


def reads(bench: Bench) -> Case:
    """Query one stock and many."""
    echo, echo_many = Series("echo", "calls/s"), Series(f"echo of {KEYS} keys", "stocks/s")
    look = Series("GetStock", "calls/s").beside(echo, aim=0.8)
    many = Series(f"BatchGetStock of {KEYS}", "stocks/s", aim=50_000).beside(echo_many)

    async def measure() -> None:
        shop = bench.shop
        await bench.ask(echo, bench.echo, echoed(shop.look))
        await bench.ask(look, bench.inventory, shop.look)
        await bench.ask(echo_many, bench.echo, echoed(shop.look_at_many), each=KEYS)
        await bench.ask(many, bench.inventory, shop.look_at_many, each=KEYS)

    return Case(Group("reads", [echo, look, echo_many, many]), measure, bench.options.repeat)


def commands(bench: Bench) -> Case:
    """Send commands on all stocks, and on one hot stock."""
    echo = Series("echo", "calls/s")
    add = Series("AddStock, spread", "calls/s").beside(echo, aim=0.6)
    add_hot = Series("AddStock, hot", "calls/s").beside(echo, aim=0.6).beside(add, aim=0.95)
    hold = Series("ReserveStock, spread", "calls/s").beside(echo)
    hold_hot = Series("ReserveStock, hot", "calls/s").beside(echo).beside(hold, aim=0.95)

    async def measure() -> None:
        shop = bench.shop
        await bench.ask(echo, bench.echo, echoed(shop.add_anywhere))
        await _command(bench, add, shop.add_anywhere)
        await _command(bench, add_hot, shop.add_to_one)
        await _command(bench, hold, shop.reserve_anywhere)
        await _command(bench, hold_hot, shop.reserve_one)

    group = Group("commands", [echo, add, add_hot, hold, hold_hot])
    return Case(group, measure, bench.options.repeat)


async def _command(
    bench: Bench, series: Series, traffic: Traffic, callers: int | None = None
) -> None:
    async with recorded(bench.inventory, series.name) as events:
        events.append(await bench.ask(series, bench.inventory, traffic, callers=callers))


def carts(bench: Bench) -> Case:
    """Reserve and commit carts."""
    echo = Series("echo twice", "carts/s")
    buy = Series("reserve, commit", "carts/s").beside(echo)
    events = Series("recorded meanwhile", "events/s")
    group = Group("carts", [echo, buy, events])
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
        async with recorded(bench.inventory, buy.name) as acknowledged:
            calls = await bench.ask(buy, bench.inventory, shop.buy, each=PER_CART)
            acknowledged.append(shop.events - before)
        events_in_cart = acknowledged[0] / (calls * PER_CART)
        events.samples.append(Sample(buy.samples[-1].value * events_in_cart))

    return Case(group, measure, bench.options.repeat)


def sweep(bench: Bench) -> Case:
    """Make the same calls with a growing number of callers."""
    echo, look, add = (
        [Series(name, "calls/s", at=callers) for callers in SWEPT_CALLERS]
        for name in ("echo", "GetStock", "AddStock")
    )

    async def measure() -> None:
        shop = bench.shop
        for callers, echoes, looks, adds in zip(SWEPT_CALLERS, echo, look, add, strict=True):
            await bench.ask(echoes, bench.echo, echoed(shop.look), callers=callers)
            await bench.ask(looks, bench.inventory, shop.look, callers=callers)
            await _command(bench, adds, shop.add_anywhere, callers)

    group = Group("sweep", [*echo, *look, *add], axis="callers")
    return Case(group, measure, min(SWEEPS, bench.options.repeat))


def workers(bench: Bench) -> Case:
    """Measure two workers beside two echo servers.

    A second worker can only use the processor time that the first one and the generator leave
    idle. The echo servers show how much that is on this machine.
    """
    echo, one = Series("echo", "calls/s"), Series("GetStock, 1 worker", "calls/s")
    two_echoes = Series("echo, 2 processes", "calls/s").beside(echo)
    two = Series("GetStock, 2 workers", "calls/s").beside(one, aim=1.4)
    database = bench.folder / "workers.db"
    look = bench.shop.look

    async def ask(series: Series, server: Server, traffic: Traffic = look) -> None:
        await bench.ask(series, server, traffic, connections=WORKERS_CONNECTIONS)

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

    return Case(Group("workers", [echo, two_echoes, one, two]), measure, bench.options.repeat)
