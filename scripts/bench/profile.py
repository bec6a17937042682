"""Where does the processor time of a server go? `perf` (Debian, Ubuntu: linux-perf) has a look.

It looks at all threads of the server a thousand times a second. Who was at work is told by
the file that the code came from: what Python calls in a library counts for the library. To
be looked at costs a server something, too.
"""

import asyncio
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Final

from scripts.bench import goods
from scripts.bench.figures import Group, Sample, Series
from scripts.bench.measuring import STREAMS, WARM_SECONDS, Bench, Case, recorded, sample
from scripts.bench.pipeline import pipeline
from scripts.bench.servers import Server
from scripts.bench.traffic import BATCH, EXECUTE_STREAM, deliveries, echoed, in_bulk

LOOKS_A_SECOND: Final = 997
"""A prime: what a server does every millisecond is not always seen, or never."""

PARTS: Final[Mapping[str, re.Pattern[str]]] = {
    "Python": re.compile(r"libpython|/bin/python|/lib-dynload/"),
    "gRPC": re.compile(r"/cygrpc\b"),
    "protobuf": re.compile(r"/google/_upb/"),
    "SQLite": re.compile(r"/apsw/"),
    "kernel": re.compile(r"\[kernel|\[vdso\]"),
}
OTHERS: Final = "other libraries"

_FILE: Final = re.compile(r"\((.*)\)$")

Load = Callable[[Series], Awaitable[object]]
"""Puts load on a server, and adds a sample to a series."""


class PerfFailed(Exception):
    """It is not there, or may not look; the message has what it said."""


def case(bench: Bench) -> Case:
    messages = in_bulk(deliveries(cycle(goods.made_up(bench.options.stocks)), "profile"))
    shop = bench.shop

    async def echo(series: Series) -> None:
        await bench.ask(series, bench.echo, echoed(shop.look))

    async def look(series: Series) -> None:
        await bench.ask(series, bench.inventory, shop.look)

    async def add(series: Series) -> None:
        async with recorded(bench.inventory, series.name) as events:
            events.append(await bench.ask(series, bench.inventory, shop.add_anywhere))

    async def stream(series: Series) -> None:
        async with recorded(bench.inventory, series.name) as events:
            used = bench.inventory.cpu_seconds()
            load = await pipeline(
                bench.inventory.address,
                EXECUTE_STREAM,
                messages,
                streams=STREAMS,
                warm_seconds=WARM_SECONDS,
                seconds=bench.options.seconds,
            )
            series.samples.append(sample(load, bench.inventory, used, BATCH))
            events.append(load.begun * BATCH)

    loads = {
        "echo": (bench.echo, echo),
        "GetStock": (bench.inventory, look),
        "AddStock": (bench.inventory, add),
        "event of ExecuteStream": (bench.inventory, stream),
    }
    group = Group(
        "profile",
        axis="processor time of the server",
        places=tuple(loads),
        notes=["profile: for each, by the file whose code ran, as perf saw it"],
    )
    profiles = [
        _Profile(group, place, server, load) for place, (server, load) in enumerate(loads.values())
    ]

    async def measure() -> None:
        for profile in profiles:
            await profile.measure(bench.folder / "perf.data")

    return Case(group, measure, bench.options.repeat)


class _Profile:
    """What one kind of call costs its server, and where."""

    def __init__(self, group: Group, place: int, server: Server, load: Load) -> None:
        self._server = server
        self._load = load
        self._whole = Series("in all", "µs", at=place)
        self._parts = {part: Series(part, "µs", at=place) for part in (*PARTS, OTHERS)}
        group.series += [self._whole, *self._parts.values()]

    async def measure(self, file: Path) -> None:
        calls = Series("calls", "calls/s")
        async with _looked_at(self._server, file):
            await self._load(calls)
        cost = calls.samples[-1].server_us
        if cost is None:
            raise PerfFailed("this system does not tell what a process costs")
        self._whole.samples.append(Sample(cost))
        for part, share in shares_of(await _files(file)).items():
            self._parts[part].samples.append(Sample(cost * share))


def shares_of(files: Iterable[str]) -> Mapping[str, float]:
    """Return which share of *files*, where code was seen to run, belongs to each part.

    Raises:
        PerfFailed: none was seen.
    """
    seen = Counter(_part(file) for file in files)
    if not seen.total():
        raise PerfFailed("perf has seen nothing")
    return {part: seen[part] / seen.total() for part in (*PARTS, OTHERS)}


def _part(file: str) -> str:
    return next((part for part, pattern in PARTS.items() if pattern.search(file)), OTHERS)


@asynccontextmanager
async def _looked_at(server: Server, file: Path) -> AsyncIterator[None]:
    """Have *server* looked at while inside."""
    processes = ",".join(map(str, server.process_ids))
    options = ["-e", "cpu-clock", "-F", str(LOOKS_A_SECOND), "-p", processes, "-o", str(file)]
    process = await _perf("record", *options)
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        _, error = await process.communicate()
    if process.returncode != -signal.SIGTERM:
        raise PerfFailed(error.decode())


async def _files(file: Path) -> Iterable[str]:
    """Return the file of each piece of code that was seen to run."""
    process = await _perf("script", "-i", str(file), "-F", "ip,dso")
    output, error = await process.communicate()
    if process.returncode:
        raise PerfFailed(error.decode())
    found = (_FILE.search(line) for line in output.decode().splitlines())
    return [match[1] for match in found if match]


async def _perf(*arguments: str) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            "perf", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except FileNotFoundError:
        raise PerfFailed("there is no perf (Debian, Ubuntu: linux-perf)") from None
