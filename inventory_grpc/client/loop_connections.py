"""The connections of a client that belongs to the event loop of its first call."""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

import grpc

from inventory_grpc.client import connections, forks
from inventory_grpc.client.connections import Closed, Connection, Connections, no_room


class LoopConnections(Connections):
    """They need no lock: all is done in the thread of the event loop."""

    def __init__(self, open_channel: Callable[[], grpc.aio.Channel]) -> None:
        super().__init__(open_channel)
        self._lock = nullcontext()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._room = asyncio.Semaphore(connections.MAX_CALLS)
        self._closing = asyncio.Event()

    def check(self) -> None:
        if self._closed:
            raise Closed
        forks.check()
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError(
                "this InventoryClient was first used in another event loop:"
                " make one client for each event loop, and close it there"
            )

    async def take(self, seconds: float) -> Connection:
        if self._room.locked():
            await self._wait_for_room(seconds)
        else:
            await self._room.acquire()
        try:
            return self._lend()
        except BaseException:
            self._room.release()
            raise

    async def _wait_for_room(self, seconds: float) -> None:
        self.check()
        try:
            async with asyncio.timeout(seconds):
                await self._room.acquire()
        except TimeoutError:
            raise no_room() from None

    def give_back(self, connection: Connection) -> None:
        self._return(connection)
        self._room.release()

    async def next_of(self, stream: Any, seconds: float) -> object:  # noqa: ANN401  as in the base
        async with asyncio.timeout(seconds):
            return await stream.read()

    async def pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    async def close(self) -> None:
        if self._closed:
            return
        self.check()
        self._closed = True
        self._closing.set()
        for connection in self._opened:
            await connection.channel.close()

    def closed_under_a_call(self) -> bool:
        task = asyncio.current_task()
        return self._closed and not (task and task.cancelling())

    def in_use(self) -> bool:
        """Return whether a connection is open: a thread of gRPC polls it, also between calls."""
        return bool(self._opened) and not self._closed
