"""A TCP proxy between callers and a server, with faults that a test sets."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, Literal

Way = Literal["there", "back"]
"""From the caller to the server, or from the server to the caller."""

MAX_CONNECTIONS: Final = 128
"""One more is refused with a reset."""

CHUNK: Final = 16 * 1024
MAX_CHUNKS: Final = 16
"""The chunks in transit in one direction of a connection; beyond that the sender waits."""

LIFE_SECONDS: Final = 900.0
"""No connection lasts longer, whatever happens to it."""

_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER without time to linger: closing then sends RST, and drops what was not sent."""


@dataclass
class Weather:
    """The state of the network. It may change at any time, also for open connections."""

    delay_seconds: float = 0.0
    bytes_per_second: float = float("inf")
    lost: set[Way] = field(default_factory=set)
    """Directions that drop everything silently: a black hole, until it is removed."""
    cut_after_bytes: float = float("inf")
    """Of a connection, both ways together: then it is reset."""


class Proxy:
    """Carries bytes between its clients and `upstream`, which may change."""

    def __init__(self, upstream: str, weather: Weather | None = None) -> None:
        self.upstream = upstream
        self.weather = weather or Weather()
        self.address = ""
        self.connected = 0
        """The number of connections accepted so far."""
        self.carried = 0
        """The number of bytes delivered so far, in both directions."""
        self._open: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}

    @property
    def connections(self) -> int:
        return len(self._open)

    def reset(self, which: int | None = None) -> None:
        """Reset every connection, or the one that is the so-manieth, as a crashed router would."""
        for number, writers in enumerate(self._open.values()):
            if which is None or number == which % len(self._open):
                for writer in writers:
                    _reset(writer)

    def stop_sending(self, way: Way) -> None:
        """Say on every connection that nothing more comes this way; the other one stays open."""
        for writers in self._open.values():
            for writer in writers[:1] if way == "back" else writers[1:]:
                if not writer.is_closing() and writer.can_write_eof():
                    writer.write_eof()

    async def take(self, reader: asyncio.StreamReader, caller: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        if len(self._open) >= MAX_CONNECTIONS:
            _reset(caller)
            return
        task = asyncio.current_task()
        assert task is not None
        self.connected += 1
        writers = self._open[task] = [caller]
        try:
            async with asyncio.timeout(LIFE_SECONDS):
                host, _, port = self.upstream.rpartition(":")
                back, server = await asyncio.open_connection(host, int(port), limit=CHUNK)
                writers.append(server)
                carried = _Carried(self)
                async with asyncio.TaskGroup() as ways:
                    carried.carry(ways, "there", reader, server)
                    carried.carry(ways, "back", back, caller)
            for writer in writers:
                writer.close()
        except (OSError, TimeoutError, ExceptionGroup):
            pass  # it is over, and both sides shall know
        except asyncio.CancelledError:
            pass  # by `close`; of tasks that end as cancelled, asyncio.streams complains
        finally:
            del self._open[task]
            for writer in writers:
                _reset(writer)

    async def close(self) -> None:
        """End every connection, and wait until they are gone."""
        ending = list(self._open)
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)


class _Carried:
    """The traffic of one connection."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._bytes = 0

    def carry(
        self,
        tasks: asyncio.TaskGroup,
        way: Way,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Carry one way: read at once, deliver when it is time."""
        on_its_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MAX_CHUNKS)
        tasks.create_task(self._receive(reader, on_its_way))
        tasks.create_task(self._deliver(way, on_its_way, writer))

    async def _receive(
        self, reader: asyncio.StreamReader, on_its_way: "asyncio.Queue[tuple[float, bytes]]"
    ) -> None:
        loop, chunk = asyncio.get_running_loop(), b"?"
        while chunk:
            chunk = await reader.read(CHUNK)
            await on_its_way.put((loop.time() + self._proxy.weather.delay_seconds, chunk))

    async def _deliver(
        self,
        way: Way,
        on_its_way: "asyncio.Queue[tuple[float, bytes]]",
        writer: asyncio.StreamWriter,
    ) -> None:
        loop, weather = asyncio.get_running_loop(), self._proxy.weather
        while True:
            due, chunk = await on_its_way.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            while way in weather.lost:  # noqa: ASYNC110  the weather tells nobody that it changes
                await asyncio.sleep(0.01)
            if not chunk:
                writer.write_eof()
                return
            await asyncio.sleep(len(chunk) / weather.bytes_per_second)
            room = weather.cut_after_bytes - self._bytes
            self._bytes += len(chunk)
            self._proxy.carried += len(chunk)
            writer.write(chunk if room >= len(chunk) else chunk[: max(0, int(room))])
            await writer.drain()
            if self._bytes > weather.cut_after_bytes:
                raise ConnectionResetError


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close at once; the other side gets RST, if it has not said goodbye itself."""
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0 and not writer.is_closing():
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()


@asynccontextmanager
async def proxied(upstream: str, weather: Weather | None = None) -> AsyncIterator[Proxy]:
    """Listen on a port of its own; on leaving, nothing of it is left."""
    proxy = Proxy(upstream, weather)
    server = await asyncio.start_server(proxy.take, "127.0.0.1", 0, limit=CHUNK)
    host, port = server.sockets[0].getsockname()
    proxy.address = f"{host}:{port}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
