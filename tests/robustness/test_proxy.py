"""The faults of the TCP proxy are those that were set, and no others."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.robustness import proxy as proxies
from tests.robustness.proxy import CHUNK, MAX_CHUNKS, Proxy, Weather, proxied
from tests.support.waiting import eventually

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
MUCH = b"kettle" * 40_000


class Echo:
    """Sends back what it gets, and counts it."""

    def __init__(self) -> None:
        self.received = 0
        self.ends: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(CHUNK):
                self.received += len(data)
                writer.write(data)
                await writer.drain()
            self.ends.append("goodbye")
        except ConnectionResetError:
            self.ends.append("reset")
        writer.close()


@asynccontextmanager
async def through(weather: Weather) -> AsyncIterator[tuple[Proxy, Echo, Connection]]:
    """Connect to an echo through this weather."""
    echo = Echo()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with proxied(f"{host}:{port}", weather) as proxy, asyncio.timeout(20):
        reader, writer = await connected(proxy)
        yield proxy, echo, (reader, writer)
        writer.close()
    server.close()


async def connected(proxy: Proxy) -> Connection:
    host, port = proxy.address.split(":")
    return await asyncio.open_connection(host, int(port))


async def test_in_fine_weather_everything_arrives_as_it_was_sent_and_ends_politely() -> None:
    async with through(Weather()) as (proxy, echo, (reader, writer)):
        writer.write(MUCH)
        writer.write_eof()
        assert await reader.read(-1) == MUCH
        await eventually(lambda: proxy.connections == 0)
        assert echo.ends == ["goodbye"]


async def test_a_delay_holds_up_both_ways_but_does_not_narrow_them() -> None:
    async with through(Weather(delay_seconds=0.1)) as (_, _, (reader, writer)):
        begun = time.monotonic()
        writer.write(MUCH)
        assert await reader.readexactly(len(MUCH)) == MUCH
        # one after the other, its chunks would take half a minute
        assert 0.2 <= time.monotonic() - begun < 20


async def test_a_narrow_way_takes_its_time() -> None:
    async with through(Weather(bytes_per_second=100_000)) as (_, _, (reader, writer)):
        begun = time.monotonic()
        writer.write(b"x" * 20_000)
        await reader.readexactly(20_000)
        assert time.monotonic() - begun >= 0.2


@pytest.mark.parametrize("way", ["there", "back"])
async def test_what_falls_into_a_black_hole_is_not_told_and_arrives_when_it_is_mended(
    way: proxies.Way,
) -> None:
    async with through(Weather(lost={way})) as (proxy, echo, (reader, writer)):
        writer.write(b"hello")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await reader.readexactly(5)
        assert echo.received == (5 if way == "back" else 0)
        proxy.weather.lost.clear()
        assert await reader.readexactly(5) == b"hello"


async def test_a_black_hole_takes_no_more_than_its_bounds() -> None:
    async with through(Weather(lost={"back"})) as (proxy, echo, (_, writer)):
        held = MAX_CHUNKS * CHUNK
        writer.write(b"x" * 64 * held)
        received = -1
        while received != echo.received:
            received = echo.received
            await asyncio.sleep(0.1)
        # what it holds each way, and what the system's buffers do
        assert held <= received < 60 * held
        assert proxy.connections == 1


async def test_a_reset_is_one_for_both_sides() -> None:
    async with through(Weather()) as (proxy, echo, (reader, writer)):
        writer.write(b"hello")
        await reader.readexactly(5)
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        await eventually(lambda: echo.ends == ["reset"])


async def test_it_cuts_after_so_many_bytes() -> None:
    async with through(Weather(cut_after_bytes=1_000)) as (_, echo, (reader, writer)):
        writer.write(b"x" * 5_000)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(5_000)
        assert echo.received <= 1_000


async def test_one_side_may_say_goodbye_alone() -> None:
    async with through(Weather()) as (proxy, echo, (reader, writer)):
        writer.write(b"hello")
        await reader.readexactly(5)
        proxy.stop_sending("there")
        await eventually(lambda: echo.ends == ["goodbye"])
        assert await reader.read() == b""


async def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "MAX_CONNECTIONS", 1)
    async with through(Weather()) as (proxy, _, (first, writer)):
        await eventually(lambda: proxy.connections == 1)
        reader, other = await connected(proxy)
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        other.close()
        writer.write(b"hello")
        assert await first.readexactly(5) == b"hello"


async def test_no_connection_lasts_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "LIFE_SECONDS", 0.1)
    async with through(Weather()) as (_, _, (reader, _)):
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
