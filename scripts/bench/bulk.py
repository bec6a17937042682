"""Commands in bulk, beside SQLite alone that writes the same rows.

Deliveries to stocks that the log knows, and to new ones. SQLite alone writes the same rows as
fast as it can, and in groups as a group commit by hand would. It writes into copies of the file
from before, because the cost of a row depends on the size of the file.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from itertools import cycle
from pathlib import Path

from inventory_grpc.application.ledger.loop import MAX_COMMANDS
from inventory_grpc.infrastructure.sqlite.backup import back_up
from inventory_grpc.infrastructure.sqlite.connection import Database
from scripts.bench import goods, raw
from scripts.bench.figures import Group, Sample, Series
from scripts.bench.goods import Stock
from scripts.bench.measuring import STREAMS, Bench, Case, head, recorded
from scripts.bench.raw import AT_ONCE, IN_GROUPS
from scripts.bench.streams import AHEAD
from scripts.bench.traffic import BATCH, EXECUTE_BATCH, Call, deliveries, in_bulk


def case(bench: Bench) -> Case:
    known = _Deliveries(bench, "known", goods.made_up(bench.options.stocks))
    new = _Deliveries(bench, "new", bench.goods.stocks)

    async def measure() -> None:
        await known.measure()
        await new.measure()

    group = Group(
        "bulk",
        [*known.series, *new.series],
        notes=[
            f"bulk: {STREAMS} streams, each {AHEAD} messages of {BATCH} commands ahead",
            f"bulk: the server commits up to {MAX_COMMANDS} commands at once, SQLite alone {BATCH}",
            f"bulk: SQLite in groups commits {IN_GROUPS.size}",
        ],
    )
    return Case(group, measure, bench.options.repeat)


class _Deliveries:
    """The series of deliveries to *stocks*, which are visited again and again."""

    def __init__(self, bench: Bench, which: str, stocks: Iterable[Stock]) -> None:
        self._bench = bench
        self._messages = in_bulk(deliveries(cycle(stocks), f"delivery-{which}"))
        self._alone = Series(f"SQLite alone, {which}", "events/s")
        self._grouped = Series(f"SQLite in groups, {which}", "events/s")
        self._streamed = (
            Series(f"ExecuteStream, {which}", "events/s", aim=20_000)
            .beside(self._alone, aim=0.35)
            .beside(self._grouped, aim=0.35)
        )
        self._batched = Series(f"ExecuteBatch, {which}", "events/s").beside(self._alone)
        self.series = [self._alone, self._grouped, self._streamed, self._batched]

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
        """Return this many copies of the file in its current state."""
        first, *others = (self._bench.folder / f"copy-{number}.db" for number in range(times))
        back_up(Database(self._bench.database), first, lambda _done, _of: None)
        for other in others:
            shutil.copy(first, other)
        os.sync()  # or the disk is still busy with the copies
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
