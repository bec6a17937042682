"""Commands in bulk, beside SQLite alone that writes the same rows.

Deliveries of goods that a store has already, and of the retailer's, of which each is new.
SQLite writes them as fast as it can at all, and as a group commit is written by hand: into
copies of the server's file from before, for what a row costs depends on what there is already.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Final

from inventory_grpc.application.ledger.loop import MAX_COMMANDS
from inventory_grpc.infrastructure.sqlite.backup import back_up
from inventory_grpc.infrastructure.sqlite.connection import Database
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
from scripts.bench.raw import AT_ONCE, IN_GROUPS
from scripts.bench.streams import AHEAD
from scripts.bench.traffic import (
    BATCH,
    EXECUTE_BATCH,
    Call,
    deliveries,
    in_bulk,
)

_YARDSTICKS: Final = (
    f"bulk: the server commits up to {MAX_COMMANDS} at once; SQLite alone {AT_ONCE.size}, table by "
    f"table; in groups {IN_GROUPS.size}, row by row, each event chained to the last; both into "
    "copies of the server's file from before"
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
        ways = {AT_ONCE: self._alone, IN_GROUPS: self._grouped}
        copies = self._copied(len(ways))
        before = await head(bench.inventory)
        await self._stream()
        after = await head(bench.inventory)
        for copy, (way, series) in zip(copies, ways.items(), strict=True):
            rate = raw.write_again(bench.database, before, after, copy, way)
            series.samples.append(Sample(rate))
            copy.unlink()
        await self._batch()

    def _copied(self, times: int) -> list[Path]:
        """Return as many copies of the file as it is."""
        first, *others = (self._bench.folder / f"copy-{number}.db" for number in range(times))
        back_up(Database(self._bench.database), first, lambda _done, _of: None)
        for other in others:
            shutil.copy(first, other)
        os.sync()  # or the disk is still at it
        return [first, *others]

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
