"""What is measured, beside which ceiling, and what is to be reached?"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import grpc.aio

from inventory.v1.admin_pb2 import GetServerInfoRequest
from inventory.v1.admin_pb2_grpc import InventoryAdminStub
from inventory.v1.events_pb2 import SubscribeRequest, SubscribeResponse
from scripts.bench import h2load
from scripts.bench.echo import POUR, pour_request
from scripts.bench.figures import Comparison, Sample, Series
from scripts.bench.load import drive
from scripts.bench.servers import Server
from scripts.bench.traffic import LINES, Call, Shop, Traffic, echoed

WARM_SECONDS: Final = 0.3
STOCKING_SECONDS: Final = 60.0

SUBSCRIBE: Final = "/inventory.v1.InventoryEvents/Subscribe"


@dataclass(frozen=True)
class Options:
    """How much is measured."""

    seconds: float
    repeat: int
    callers: int
    stocks: int


class Group(NamedTuple):
    """Cases that are measured together, so that they can be compared."""

    name: str
    series: Sequence[Series]
    comparisons: Sequence[Comparison]
    measure: Callable[[], Awaitable[None]]
    """Adds one sample to every series."""


class WrongCount(Exception):
    """The log does not hold what was acknowledged: what was measured is not what was meant."""


class Bench:
    """The two servers, and what is asked of them."""

    def __init__(self, options: Options, echo: Server, inventory: Server) -> None:
        self._options = options
        self._echo = echo
        self._inventory = inventory
        self._shop = Shop(options.stocks)

    async def fill(self) -> None:
        """Give every stock a history, and more units than will be asked for."""
        callers = min(self._options.callers, self._options.stocks)
        await drive(
            self._inventory.address,
            self._shop.receive(callers),
            callers=callers,
            warm_seconds=0,
            seconds=STOCKING_SECONDS,
        )

    def reads(self) -> Group:
        echo, look = Series("echo", "calls"), Series("GetStock", "calls")

        async def measure() -> None:
            await self._ask(echo, self._echo, echoed(self._shop.look))
            await self._ask(look, self._inventory, self._shop.look)

        return Group("reads", [echo, look], [Comparison(look, echo, 0.7)], measure)

    def commands(self) -> Group:
        echo = Series("echo", "calls")
        anywhere = Series("AddStock, spread", "calls")
        to_one = Series("AddStock, hot", "calls")

        async def measure() -> None:
            await self._ask(echo, self._echo, echoed(self._shop.add_anywhere))
            async with self._recorded(anywhere.name) as events:
                events.append(await self._ask(anywhere, self._inventory, self._shop.add_anywhere))
            async with self._recorded(to_one.name) as events:
                events.append(await self._ask(to_one, self._inventory, self._shop.add_to_one))

        return Group(
            "commands",
            [echo, anywhere, to_one],
            [
                Comparison(anywhere, echo, 0.45),
                Comparison(to_one, echo),
                Comparison(to_one, anywhere, 0.9),
            ],
            measure,
        )

    def carts(self) -> Group:
        echo = Series("echo", "calls")
        buy = Series(f"reserve {LINES} lines, commit", "calls")

        async def measure() -> None:
            await self._ask(echo, self._echo, echoed(self._shop.buy))
            async with self._recorded(buy.name) as events:
                calls = await self._ask(buy, self._inventory, self._shop.buy)
                events.append(calls * LINES)

        return Group("carts", [echo, buy], [Comparison(buy, echo)], measure)

    def catch_up(self) -> Group:
        poured, subscribed = (
            Series("same bytes", "events"),
            Series("Subscribe", "events"),
        )

        async def measure() -> None:
            head = await self._head()
            request = SubscribeRequest(stop_at_head=True).SerializeToString()
            used = self._inventory.cpu_seconds()
            stream = await _drained(self._inventory.address, SUBSCRIBE, request)
            reached = SubscribeResponse.FromString(stream.last).position
            if reached != head:
                raise WrongCount(f"the stream ended at {reached:,}, and the log at {head:,}")
            subscribed.samples.append(
                Sample(head / stream.seconds, server_us=_micros(self._inventory, used, head))
            )
            ceiling = await _drained(
                self._echo.address,
                POUR,
                pour_request(stream.messages, stream.size // stream.messages),
            )
            poured.samples.append(Sample(head / ceiling.seconds))

        return Group("catch-up", [poured, subscribed], [Comparison(subscribed, poured)], measure)

    def h2load(self) -> Group:
        """Return the cases that another generator can make, which the figures are checked by."""
        echo = Series("h2load: echo", "calls")
        look = Series("h2load: GetStock", "calls")
        to_one = Series("h2load: AddStock, hot", "calls")
        read, command = next(self._shop.look(0)), self._shop.anonymous()

        async def measure() -> None:
            await self._h2load(echo, self._echo, next(echoed(lambda _: iter([read]))(0)))
            await self._h2load(look, self._inventory, read)
            async with self._recorded(to_one.name) as events:
                events.append(await self._h2load(to_one, self._inventory, command))

        return Group(
            "h2load",
            [echo, look, to_one],
            [Comparison(look, echo, 0.7), Comparison(to_one, echo)],
            measure,
        )

    async def _ask(self, series: Series, server: Server, traffic: Traffic) -> int:
        """Add a sample to *series*; return how many calls were made."""
        used = server.cpu_seconds()
        load = await drive(
            server.address,
            traffic,
            callers=self._options.callers,
            warm_seconds=WARM_SECONDS,
            seconds=self._options.seconds,
        )
        series.samples.append(
            Sample(
                load.per_second,
                load.percentile_ms(50),
                load.percentile_ms(99),
                _micros(server, used, load.begun),
                load.busy,
            )
        )
        return load.begun

    async def _h2load(self, series: Series, server: Server, call: Call) -> int:
        used = server.cpu_seconds()
        rate, calls = await h2load.measure(
            server.address, call, callers=self._options.callers, seconds=self._options.seconds
        )
        series.samples.append(Sample(rate, server_us=_micros(server, used, calls)))
        return calls

    @asynccontextmanager
    async def _recorded(self, name: str) -> AsyncIterator[list[int]]:
        """Check that the log grows by as many events as are told."""
        told: list[int] = []
        before = await self._head()
        yield told
        grown = await self._head() - before
        if grown != sum(told):
            raise WrongCount(f"{name}: {sum(told):,} events acknowledged, {grown:,} recorded")

    async def _head(self) -> int:
        async with grpc.aio.insecure_channel(self._inventory.address) as channel:
            info = await InventoryAdminStub(channel).GetServerInfo(GetServerInfoRequest())
            return info.head_position


class _Stream(NamedTuple):
    """A stream that was read to its end."""

    seconds: float
    messages: int
    size: int
    last: bytes


async def _drained(address: str, method: str, request: bytes) -> _Stream:
    """Read a stream as fast as it comes, and do nothing with it."""
    async with grpc.aio.insecure_channel(address) as channel:
        await channel.channel_ready()
        messages = size = 0
        last = b""
        started = time.perf_counter()
        read: Any = channel.unary_stream(method)
        async for message in read(request):
            messages += 1
            size += len(message)
            last = message
        return _Stream(time.perf_counter() - started, messages, size, last)


def _micros(server: Server, before: float | None, count: int) -> float | None:
    """Return the processor time of *server* since *before*, for each of so many."""
    after = server.cpu_seconds()
    return None if before is None or after is None else (after - before) / count * 1e6
