"""Rates as the log and the number of stocks grow, and the bytes of an event.

One file is filled over `ExecuteStream`, with ten events to a stock and up to a million stocks.
At each size, everything is measured beside an echo of the same moment, so that other load on
the machine is not taken for growth. SQLite alone writes the bulk rows into a copy of the file,
which shows its share of the slowdown.
"""

import os
import random
import shutil
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Final
from uuid import UUID

from inventory_grpc_protos.v1.commands_pb2 import AddStockRequest
from scripts.bench import raw
from scripts.bench.calls import PER_CART
from scripts.bench.catch_up import MOST, catch_up
from scripts.bench.echo import ECHO
from scripts.bench.figures import Group, Sample, Series
from scripts.bench.goods import LikeReal, Stock, made_up_carts
from scripts.bench.load import drive
from scripts.bench.measuring import Bench, Case, fill, head, recorded
from scripts.bench.servers import Server, echo_server, inventory_server
from scripts.bench.traffic import ENOUGH, Call, Checkout, Shop, add_stock, echoed, get_stock

SIZES: Final = (10_000, 100_000, 1_000_000, 10_000_000)
MOST_STOCKS: Final = 1_000_000
EVENTS_A_STOCK: Final = 10
TIMES: Final = 3
FLAT: Final = 0.8
"""The least share of its ratio to an echo, in the smallest log, that a call should keep."""

STRETCH: Final = 10_000
"""Events in one sample of bulk."""

UUID_EVENTS: Final = 50_000
MOST_BYTES: Final = 500
"""The most bytes of an event whose ids are all UUIDs."""

SECONDS: Final = 60.0
"""Timeout of the first answer after a start."""


def growth(bench: Bench) -> Case:
    file = _Growth(bench)
    return Case(file.group, file.measure, 1)


class _Growth:
    """One file, and the series measured as it grows."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._file = bench.folder / "growth.db"
        self._commands = _growing()
        self._filled = 0
        self.group = Group(
            "growth",
            axis="events",
        )

    async def measure(self) -> None:
        for size in SIZES:
            if size <= self._bench.options.events:
                await self._measure_at(size)

    async def _measure_at(self, size: int) -> None:
        """Grow to *size*, and measure every series."""
        at = _At(self.group, size)
        with inventory_server(self._file) as server:
            await self._grow(server, size - self._filled)
            stocks = LikeReal(min(size // EVENTS_A_STOCK, MOST_STOCKS))
            for number in range(TIMES):
                self._bench.progress("measure", number, TIMES)
                await self._measure_all(server, stocks, at, size + number)
            at.note("resident memory", "MB", server.resident_mb(), most=300)
            at.note("in the log by then", "events", events := await head(server))
        at.note("on disk", "bytes/event", size_of(self._file) / events, most=300)
        with echo_server(self._file.with_name("echo-again.log")) as echo:
            call = Call(ECHO, b"")
            at.note("first echo after a start", "s", await _first_answer(echo, call))
        copy = Path(shutil.copy(self._file, self._file.with_name("copy.db")))
        os.sync()  # or the disk is still busy with the copy
        with inventory_server(self._file) as server:
            call = get_stock(stocks[0])
            at.note("first answer after a start", "s", await _first_answer(server, call), most=1)
            await self._write_again(server, at, copy)

    async def _measure_all(self, server: Server, stocks: LikeReal, at: "_At", seed: int) -> None:
        bench, shop = self._bench, Shop(stocks, seed)
        checkout = Checkout(made_up_carts(stocks, seed), f"basket-{seed}")
        echo = at.series("echo", "calls/s")
        await bench.ask(echo, bench.echo, echoed(shop.look))
        await bench.ask(at.series("GetStock", "calls/s", echo), server, shop.look)
        add = at.series("AddStock", "calls/s", echo)
        async with recorded(server, add.name) as events:
            events.append(await bench.ask(add, server, shop.add_anywhere))
        cart = at.series("cart of 9 lines", "carts/s", echo)
        async with recorded(server, cart.name) as events:
            await bench.ask(cart, server, checkout.buy, each=PER_CART)
            events.append(checkout.events)
        bulk = at.series("ExecuteStream", "events/s", echo)
        bulk.samples.append(Sample(await self._grow(server, STRETCH)))
        end = await head(server)
        _, taken = await catch_up(server, max(0, end - MOST), end)
        at.series("Subscribe", "events/s", echo).samples.append(taken)

    async def _write_again(self, server: Server, at: "_At", copy: Path) -> None:
        """Grow in bulk, and write the same rows by SQLite alone right after."""
        alone = at.series("SQLite alone", "events/s")
        bulk = at.series("ExecuteStream beside it", "events/s").beside(alone)
        for _ in range(TIMES):
            before = await head(server)
            bulk.samples.append(Sample(await self._grow(server, STRETCH)))
            rate = raw.write_again(self._file, before, before + STRETCH, copy)
            alone.samples.append(Sample(rate))

    async def _grow(self, server: Server, events: int) -> float:
        """Add *events*; return the rate."""
        self._filled += events
        return await fill(server, islice(self._commands, events), events, self._bench.progress)


class _At:
    """The series of one size."""

    def __init__(self, group: Group, size: int) -> None:
        self._group = group
        self._size = size
        self._series: dict[str, Series] = {}

    def series(self, name: str, unit: str, echo: Series | None = None) -> Series:
        """Return the series of this name, compared with *echo* if there is one."""
        if name not in self._series:
            series = self._series[name] = Series(name, unit, at=self._size)
            self._group.series.append(series)
            if echo is not None:
                series.beside(echo, flat=FLAT)
        return self._series[name]

    def note(self, name: str, unit: str, value: float | None, most: float | None = None) -> None:
        """Add a value that is measured once, if the system provides it."""
        if value is not None:
            series = self.series(name, unit)
            series.most = most
            series.samples.append(Sample(value))


def _growing() -> Iterator[AddStockRequest]:
    """Yield commands: every tenth for a new stock, the others for any known one."""
    chance = random.Random(4)
    stocks = LikeReal(MOST_STOCKS)
    for number in count():
        known = min(number // EVENTS_A_STOCK + 1, MOST_STOCKS)
        newest = number % EVENTS_A_STOCK == 0
        stock = stocks[known - 1 if newest else chance.randrange(known)]
        yield add_stock(stock, f"delivery-{number}", ENOUGH)


def size_of(file: Path) -> int:
    """Return the size of a database, including the files beside it."""
    return sum(path.stat().st_size for path in file.parent.glob(f"{file.name}*"))


async def _first_answer(server: Server, call: Call) -> float:
    """Return the seconds from the start of *server* to its first answer."""
    await drive(
        server.addresses, lambda _: iter([call]), callers=1, warm_seconds=0, seconds=SECONDS
    )
    return time.perf_counter() - server.started


def disk(bench: Bench) -> Case:
    """Measure the bytes of an event whose ids are UUIDs, which callers often choose."""
    series = Series("with UUIDs", "bytes/event", most=MOST_BYTES)

    async def measure() -> None:
        file = bench.folder / "uuids.db"
        with inventory_server(file) as server:
            await fill(server, _with_uuids(UUID_EVENTS), UUID_EVENTS, bench.progress)
        series.samples.append(Sample(size_of(file) / UUID_EVENTS))

    return Case(Group("disk", [series]), measure, 1)


def _with_uuids(events: int) -> Iterator[AddStockRequest]:
    chance = random.Random(6)

    def new_id() -> str:
        return str(UUID(int=chance.getrandbits(128), version=4))

    stores = [new_id() for _ in range(100)]
    stocks = [Stock(new_id(), chance.choice(stores)) for _ in range(events // EVENTS_A_STOCK)]
    return (add_stock(chance.choice(stocks), new_id()) for _ in range(events))
