"""A profile of a server's processor time by `perf` (Debian, Ubuntu: linux-perf).

It samples all threads of the server a thousand times a second. The file that the code came
from tells which part was running, so time in a library counts for the library. Sampling costs
the server some time, too.
"""

import asyncio
import re
import shutil
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Final

from scripts.bench import goods
from scripts.bench.figures import BenchmarkFailed, Group, Sample, Series
from scripts.bench.measuring import Bench, Case, recorded
from scripts.bench.servers import Server
from scripts.bench.traffic import deliveries, echoed, in_bulk

SAMPLES_A_SECOND: Final = 997
"""A prime, so that samples do not fall into step with work done every millisecond."""

TIMEOUT_SECONDS: Final = 30.0
"""Timeout of perf for writing its samples, and for printing them."""

PARTS: Final[Mapping[str, re.Pattern[str]]] = {
    "Python": re.compile(r"libpython|/bin/python|/lib-dynload/"),
    "gRPC": re.compile(r"/cygrpc\b"),
    "protobuf": re.compile(r"/google/_upb/"),
    "SQLite": re.compile(r"/apsw/"),
    "kernel": re.compile(r"\[(?!unknown|heap|stack)|\.ko\b"),  # its modules, too
}
OTHERS: Final = "other libraries"

_FILE: Final = re.compile(r"\((.*)\)$")

Load = Callable[[Series], Awaitable[object]]
"""Puts load on a server and adds a sample to the series."""


class PerfFailed(BenchmarkFailed):
    """perf is not installed or not permitted; the message has its output."""


def case(bench: Bench) -> Case:
    if not shutil.which("perf"):
        raise PerfFailed("perf is not installed (Debian, Ubuntu: linux-perf)")
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
            events.append(await bench.stream(series, messages))

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
        notes=["profile: processor time of a call by the file whose code ran, as perf sampled it"],
    )
    profiles = [
        _Profile(group, place, server, load) for place, (server, load) in enumerate(loads.values())
    ]

    async def measure() -> None:
        for profile in profiles:
            await profile.measure(bench.folder / "perf.data")

    return Case(group, measure, bench.options.repeat)


class _Profile:
    """The processor time of one kind of call, by part."""

    def __init__(self, group: Group, place: int, server: Server, load: Load) -> None:
        self._name = group.places[place]
        self._server = server
        self._load = load
        self._whole = Series("in all", "µs", at=place)
        self._parts = {part: Series(part, "µs", at=place) for part in (*PARTS, OTHERS)}
        group.series += [self._whole, *self._parts.values()]

    async def measure(self, file: Path) -> None:
        calls = Series(self._name, "calls/s")
        async with _sampled(self._server, file):
            await self._load(calls)
        cost = calls.samples[-1].server_us
        if cost is None:
            raise PerfFailed("this system does not report the processor time of a process")
        self._whole.samples.append(Sample(cost))
        for part, share in shares_of(await _sampled_files(file)).items():
            self._parts[part].samples.append(Sample(cost * share))


def shares_of(files: Iterable[str]) -> Mapping[str, float]:
    """Return the share of each part in *files*, one for each sample.

    Raises:
        PerfFailed: no sample is from the kernel, where every server spends time.
    """
    seen = Counter(_part(file) for file in files)
    if not seen["kernel"]:
        raise PerfFailed(
            "perf may not sample the kernel: run as root, or set "
            "`sysctl kernel.perf_event_paranoid` to 1 or less"
        )
    return {part: seen[part] / seen.total() for part in (*PARTS, OTHERS)}


def _part(file: str) -> str:
    return next((part for part, pattern in PARTS.items() if pattern.search(file)), OTHERS)


@asynccontextmanager
async def _sampled(server: Server, file: Path) -> AsyncIterator[None]:
    """Sample *server* inside the block."""
    processes = ",".join(map(str, server.process_ids))
    options = ["-N", "-e", "cpu-clock", "-F", str(SAMPLES_A_SECOND), "-p", processes]
    process = await _perf("record", *options, "-o", str(file))
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        _, error = await _output(process)
    if process.returncode != -signal.SIGTERM:
        raise PerfFailed(error.decode())


async def _sampled_files(file: Path) -> Iterable[str]:
    """Return the file of the code in each sample."""
    process = await _perf("script", "-i", str(file), "-F", "ip,dso")
    output, error = await _output(process)
    if process.returncode:
        raise PerfFailed(error.decode())
    found = (_FILE.search(line) for line in output.decode().splitlines())
    return [match[1] for match in found if match]


async def _output(process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    """Wait for perf to end; return its output and errors."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await process.communicate()
    except TimeoutError:
        process.kill()
        raise PerfFailed(f"perf took more than {TIMEOUT_SECONDS:.0f} s") from None


async def _perf(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        "perf", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
