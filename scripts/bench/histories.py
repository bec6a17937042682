"""The first call for a stock after a start, by the number of events of that stock.

The cache is empty then, so the answer is made from the file.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final

from scripts.bench.figures import Group, Sample, Series
from scripts.bench.goods import Stock
from scripts.bench.load import drive
from scripts.bench.measuring import Bench, Case, fill
from scripts.bench.servers import inventory_server
from scripts.bench.traffic import Call, add_stock, command, deliveries, get_stock

STOCKS: Final = {1: 40, 10: 40, 100: 40, 1_000: 20, 10_000: 6, 100_000: 2}
"""The number of stocks by their number of events."""

SECONDS: Final = 60.0

_BEFORE: Final = Stock("before", "lisbon")
"""The first call over a connection is for this stock, and does not count."""


def case(bench: Bench) -> Case:
    look = [Series("GetStock, the first", "ms", at=length) for length in STOCKS]
    add = [Series("AddStock, the first", "ms", at=length) for length in STOCKS]
    file = bench.folder / "histories.db"

    async def first_calls(series: Sequence[Series], call: Callable[[Stock], Call]) -> None:
        """Make one call for each stock in turn."""
        named = [(one, stock) for one in series for stock in _stocks(one)]
        calls = [call(_BEFORE), *(call(stock) for _, stock in named)]
        with inventory_server(file) as server:
            load = await drive(
                server.addresses, lambda _: iter(calls), callers=1, warm_seconds=0, seconds=SECONDS
            )
        for (one, _), took in zip(named, load.latencies[1:], strict=True):
            one.samples.append(Sample(took * 1_000))

    async def measure() -> None:
        events = [stock for one in look for stock in _stocks(one) for _ in range(_length(one))]
        random.Random(5).shuffle(events)
        events.append(_BEFORE)
        with inventory_server(file) as server:
            await fill(server, deliveries(events, "delivery"), len(events), bench.progress)
        await first_calls(look, get_stock)
        await first_calls(add, lambda stock: command(add_stock(stock, f"first-{stock.product_id}")))

    group = Group("histories", [*look, *add], axis="events of the stock")
    return Case(group, measure, 1)


def _length(series: Series) -> int:
    assert series.at
    return int(series.at)


def _stocks(series: Series) -> Sequence[Stock]:
    length = _length(series)
    return [Stock(f"sku-{length}-{number}", "lisbon") for number in range(STOCKS[length])]
