"""The connections of one client, opened on demand in the event loop of its first call."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import grpc

from inventory_grpc.client.errors import InventoryError
from inventory_grpc_protos.v1.admin_pb2_grpc import InventoryAdminStub
from inventory_grpc_protos.v1.commands_pb2_grpc import InventoryCommandsStub
from inventory_grpc_protos.v1.events_pb2_grpc import InventoryEventsStub
from inventory_grpc_protos.v1.queries_pb2_grpc import InventoryQueriesStub

CALLS_A_CONNECTION: Final = 100
"""The server's limit for a connection. gRPC queues calls beyond it without an error."""

MAX_CALLS: Final = 300
"""The most concurrent unary calls; more wait here, within their timeout."""

MAX_STREAMS: Final = 500
"""The most open subscriptions and command streams. They have no end, so more are refused."""

MAX_CONNECTIONS: Final = (MAX_CALLS + MAX_STREAMS) // CALLS_A_CONNECTION


class Closed(RuntimeError):
    """The client was closed before this call was sent."""

    def __init__(self) -> None:
        super().__init__("this InventoryClient is closed: make a new one")


class Connection:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.commands = InventoryCommandsStub(channel)
        self.queries = InventoryQueriesStub(channel)
        self.events = InventoryEventsStub(channel)
        self.admin = InventoryAdminStub(channel)
        self.calls = 0


class Connections:
    def __init__(self, open_channel: Callable[[], grpc.aio.Channel]) -> None:
        self._open_channel = open_channel
        self._opened: list[Connection] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._room = asyncio.Semaphore(MAX_CALLS)
        self._streams = 0
        self._closed = False
        self._closing = asyncio.Event()

    @property
    def closed(self) -> bool:
        return self._closed

    def __len__(self) -> int:
        return len(self._opened)

    def check(self) -> None:
        """Check that the client can be used in this event loop.

        Raises:
            Closed: it is closed.
            RuntimeError: it belongs to another event loop.
        """
        if self._closed:
            raise Closed
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError(
                "this InventoryClient was first used in another event loop:"
                " make one client for each event loop, and close it there"
            )

    async def take(self, seconds: float) -> Connection:
        """Return a connection for a unary call; wait for one up to *seconds*.

        The caller must `give_back` it. A context manager would be safer, but takes a twentieth
        of the time of a call.

        Raises:
            TimeoutError: all connections were in use.
            RuntimeError: see `check`.
        """
        if self._room.locked():
            await self._wait_for_room(seconds)
        else:
            await self._room.acquire()
        try:
            return self._lend()
        except BaseException:
            self._room.release()
            raise

    async def pause(self, seconds: float) -> None:
        """Wait before a retry for *seconds*, or until the client is closed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    def give_back(self, connection: Connection) -> None:
        connection.calls -= 1
        self._room.release()

    async def _wait_for_room(self, seconds: float) -> None:
        self.check()
        try:
            async with asyncio.timeout(seconds):
                await self._room.acquire()
        except TimeoutError:
            message = f"this InventoryClient had {MAX_CALLS} calls running"
            raise TimeoutError(message) from None

    @contextmanager
    def for_stream(self) -> Iterator[None]:
        """Count one stream, over all its attempts.

        Raises:
            InventoryError: the client has as many open streams as it can have.
            RuntimeError: see `check`.
        """
        self.check()
        if self._streams >= MAX_STREAMS:
            full = InventoryError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                message=f"this InventoryClient has {MAX_STREAMS} subscriptions and streams open,"
                " as many as it can have: close some, or make another client",
            )
            full.in_doubt = False
            raise full
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    @contextmanager
    def borrowed(self) -> Iterator[Connection]:
        """Yield a connection for one attempt of a stream, within `for_stream`."""
        connection = self._lend()
        try:
            yield connection
        finally:
            connection.calls -= 1

    def _lend(self) -> Connection:
        self.check()
        for connection in self._opened:
            if connection.calls < CALLS_A_CONNECTION:
                break
        else:
            assert len(self._opened) < MAX_CONNECTIONS
            connection = Connection(self._open_channel())
            self._opened.append(connection)
        connection.calls += 1
        return connection

    async def close(self) -> None:
        """Close all connections, which cancels the running calls.

        Raises:
            RuntimeError: it belongs to another event loop.
        """
        if self._closed:
            return
        self.check()
        self._closed = True
        self._closing.set()
        for connection in self._opened:
            await connection.channel.close()

    def closed_under_a_call(self) -> bool:
        """Return whether a cancellation comes from `close` and not from the caller's task."""
        task = asyncio.current_task()
        return self._closed and not (task and task.cancelling())
