"""Measurement of one case, with a check that the log has every acknowledged command."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import grpc.aio

from inventory_grpc_protos.v1.admin_pb2 import GetServerInfoRequest
from inventory_grpc_protos.v1.admin_pb2_grpc import InventoryAdminStub
from inventory_grpc_protos.v1.commands_pb2 import AddStockRequest
from scripts.bench import goods
from scripts.bench.figures import BenchmarkFailed, Group, Sample, Series
from scripts.bench.goods import Goods
from scripts.bench.load import CONNECTIONS, Load, drive
from scripts.bench.servers import Server
from scripts.bench.streams import pipeline
from scripts.bench.traffic import BATCH, ENOUGH, EXECUTE_STREAM, Shop, Traffic, deliveries, in_bulk

WARM_SECONDS: Final = 0.3
STREAMS: Final = 2
SLOWEST: Final = 1_000
"""Events a second; a slower fill times out."""


Progress = Callable[[str, int, int], None]
"""Reports progress: the name of a step, the amount done, and the total."""


@dataclass(frozen=True)
class Options:
    """The extent of a run."""

    seconds: float
    repeat: int
    callers: int
    stocks: int
    events: int
    beside: Path | None = None
    """Another checkout, which is measured in turns with this one."""
    postgres: str | None = None
    """The URL of a database in PostgreSQL, which is measured in turns with a file."""


class Case(NamedTuple):
    """A group of series, and the function that adds a sample to each of them."""

    group: Group
    measure: Callable[[], Awaitable[None]]
    times: int
    """The number of repetitions."""


class WrongCount(BenchmarkFailed):
    """The log does not have exactly the acknowledged events, so the measurement is void."""


@dataclass(frozen=True)
class Bench:
    """The two servers, and the calls made to them."""

    options: Options
    folder: Path
    echo: Server
    inventory: Server
    progress: Progress

    @property
    def database(self) -> Path:
        return database(self.folder)

    @cached_property
    def shop(self) -> Shop:
        return Shop(goods.made_up(self.options.stocks))

    @cached_property
    def goods(self) -> Goods:
        return goods.load()

    async def fill(self) -> None:
        """Give every made-up stock a history, and more units than will be taken."""
        stocks = goods.made_up(self.options.stocks)
        await fill(self.inventory, deliveries(stocks, "begin", ENOUGH), len(stocks))

    async def ask(  # noqa: PLR0913  server, calls and connections
        self,
        series: Series,
        server: Server,
        traffic: Traffic,
        *,
        callers: int | None = None,
        connections: int = CONNECTIONS,
        each: float = 1,
    ) -> int:
        """Add a sample to *series*, with *each* call counted so; return the number of calls."""
        used = server.cpu_seconds()
        load = await drive(
            server.addresses,
            traffic,
            callers=callers or self.options.callers,
            warm_seconds=WARM_SECONDS,
            seconds=self.options.seconds,
            connections=connections,
        )
        series.samples.append(sample(load, server, used, each))
        return load.begun

    async def stream(
        self, series: Series, messages: Iterator[bytes], server: Server | None = None
    ) -> int:
        """Add a sample of *messages* in bulk to *series*; return the number of commands."""
        server = server or self.inventory
        used = server.cpu_seconds()
        load = await pipeline(
            server.address,
            EXECUTE_STREAM,
            messages,
            streams=STREAMS,
            warm_seconds=WARM_SECONDS,
            seconds=self.options.seconds,
        )
        series.samples.append(sample(load, server, used, BATCH))
        return load.begun * BATCH


def database(folder: Path) -> Path:
    return folder / "inventory.db"


def sample(load: Load, server: Server, used: float | None, each: float = 1) -> Sample:
    """Return the sample of *load*, with each answer counted as *each*."""
    return Sample(
        load.per_second * each,
        load.percentile_ms(50),
        load.percentile_ms(99),
        load.percentile_ms(99.9),
        micros(server, used, load.begun * each),
        load.busy,
    )


def micros(server: Server, before: float | None, count: float) -> float | None:
    """Return the processor time of *server* since *before*, divided by *count*."""
    after = server.cpu_seconds()
    return None if before is None or after is None else (after - before) / count * 1e6


async def fill(
    server: Server,
    commands: Iterator[AddStockRequest],
    count: int,
    progress: Progress = lambda _what, _done, _of: None,
) -> float:
    """Send *count* commands in bulk; return their rate.

    Raises:
        WrongCount: not all of them were recorded.
    """

    def counted() -> Iterator[bytes]:
        for number, message in enumerate(in_bulk(commands)):
            progress("fill", min((number + 1) * BATCH, count), count)
            yield message

    async with recorded(server, "fill") as events:
        started = time.perf_counter()
        await pipeline(
            server.address,
            EXECUTE_STREAM,
            counted(),
            streams=STREAMS,
            warm_seconds=0,
            seconds=10 + count / SLOWEST,
        )
        took = time.perf_counter() - started
        events.append(count)
    return count / took


@asynccontextmanager
async def recorded(server: Server, name: str) -> AsyncIterator[list[int]]:
    """Check that the log grows by the events that the body appends to the list."""
    acknowledged: list[int] = []
    before = await head(server)
    yield acknowledged
    grown = await head(server) - before
    if grown != sum(acknowledged):
        raise WrongCount(f"{name}: {sum(acknowledged):,} events acknowledged, {grown:,} recorded")


async def head(server: Server) -> int:
    async with grpc.aio.insecure_channel(
        server.address, [("grpc.enable_http_proxy", 0)]
    ) as channel:
        info = await InventoryAdminStub(channel).GetServerInfo(GetServerInfoRequest())
        return info.head_position
