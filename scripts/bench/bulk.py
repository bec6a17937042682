"""How fast are commands taken in bulk, beside SQLite alone that writes the same rows?

Deliveries of goods that a store has already, and of the retailer's, of which each is new.
SQLite writes them as fast as it can at all, and as a group commit is written by hand.
"""

from collections.abc import Iterable, Iterator
from itertools import cycle
from typing import Final

from inventory_grpc.application.ledger import MAX_COMMANDS
from scripts.bench import goods, raw
from scripts.bench.figures import Comparison, Group, Sample, Series
from scripts.bench.goods import Stock
from scripts.bench.measuring import (
    STREAMS,
    Bench,
    Case,
    head,
    recorded,
)
from scripts.bench.pipeline import AHEAD
from scripts.bench.raw import AT_ONCE, IN_GROUPS, Way
from scripts.bench.traffic import (
    BATCH,
    EXECUTE_BATCH,
    Call,
    deliveries,
    in_bulk,
)

_YARDSTICKS: Final = (
    f"bulk: the server commits up to {MAX_COMMANDS} at once; SQLite alone {AT_ONCE.size}, table by "
    f"table; in groups {IN_GROUPS.size}, row by row, each event chained to the last"
)


def case(bench: Bench) -> Case:
    known = _Deliveries(bench, "known", goods.made_up(bench.options.stocks))
    new = _Deliveries(bench, "new", bench.goods.stocks)

    async def measure() -> None:
        await known.measure()
        await new.measure()

    group = Group(
        "bulk",
        [*known.series, *new.series],
        [*known.comparisons, *new.comparisons],
        notes=[
            "bulk: deliveries to stocks that are known, or of which each is new",
            f"bulk: {STREAMS} streams, each {AHEAD} messages of {BATCH} ahead of its answers",
            _YARDSTICKS,
        ],
    )
    return Case(group, measure, bench.options.repeat)


class _Deliveries:
    """What is measured of deliveries to some stocks, one after the other and again."""

    def __init__(self, bench: Bench, which: str, stocks: Iterable[Stock]) -> None:
        self._bench = bench
        self._raw = bench.folder / f"raw-{which}.db"
        self._messages = in_bulk(deliveries(cycle(stocks), f"delivery-{which}"))
        self._alone = Series(f"SQLite alone, {which}", "events/s")
        self._grouped = Series(f"SQLite in groups, {which}", "events/s")
        self._streamed = Series(f"ExecuteStream, {which}", "events/s", aim=20_000)
        self._batched = Series(f"ExecuteBatch, {which}", "events/s")
        self.series = [self._alone, self._grouped, self._streamed, self._batched]
        self.comparisons = [
            Comparison(self._streamed, self._alone, aim=0.35),
            Comparison(self._streamed, self._grouped, aim=0.35),
            Comparison(self._batched, self._alone),
        ]

    async def measure(self) -> None:
        bench = self._bench
        before = await head(bench.inventory)
        await self._stream()
        after = await head(bench.inventory)
        self._write_again(self._alone, before, after, AT_ONCE)
        self._write_again(self._grouped, before, after, IN_GROUPS)
        await self._batch()

    def _write_again(self, series: Series, after: int, head: int, way: Way) -> None:
        rate = raw.write_again(self._bench.database, after, head, self._raw, way)
        series.samples.append(Sample(rate))
        self._raw.unlink()

    async def _stream(self) -> None:
        async with recorded(self._bench.inventory, self._streamed.name) as events:
            events.append(await self._bench.stream(self._streamed, self._messages))

    async def _batch(self) -> None:
        def ask(_caller: int) -> Iterator[Call]:
            return (Call(EXECUTE_BATCH, message) for message in self._messages)

        server = self._bench.inventory
        async with recorded(server, self._batched.name) as events:
            callers = STREAMS * AHEAD
            calls = await self._bench.ask(self._batched, server, ask, callers=callers, each=BATCH)
            events.append(calls * BATCH)
