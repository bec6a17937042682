"""The connections of one client, opened on demand; its calls and streams are bounded."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

import grpc

from inventory_grpc.client import forks
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
    def __init__(self, channel: Any) -> None:  # noqa: ANN401  of an event loop, or a blocking one
        self.channel = channel
        self.commands = InventoryCommandsStub(channel)
        self.queries = InventoryQueriesStub(channel)
        self.events = InventoryEventsStub(channel)
        self.admin = InventoryAdminStub(channel)
        self.calls = 0


class Connections(ABC):
    """Those of an event loop, or of threads: these differ in how they wait."""

    _lock: AbstractContextManager[object]

    def __init__(self, open_channel: Callable[[], object]) -> None:
        self._open_channel = open_channel
        self._opened: list[Connection] = []
        self._streams = 0
        self._closed = False
        forks.note(self)

    @property
    def closed(self) -> bool:
        return self._closed

    def __len__(self) -> int:
        return len(self._opened)

    @abstractmethod
    def check(self) -> None:
        """Check that the client can be used here.

        Raises:
            Closed: it is closed.
            RuntimeError: it belongs to another event loop, or cannot be used after a fork.
        """

    @abstractmethod
    async def take(self, seconds: float) -> Connection:
        """Return a connection for a unary call; wait for one up to *seconds*.

        The caller must `give_back` it. A context manager would be safer, but takes a twentieth
        of the time of a call.

        Raises:
            TimeoutError: all connections were in use.
            RuntimeError: see `check`.
        """

    @abstractmethod
    def give_back(self, connection: Connection) -> None: ...

    @abstractmethod
    async def next_of(self, stream: Any, seconds: float) -> object:  # noqa: ANN401  the stubs have no name for the type
        """Return the next message of *stream*, or gRPC's mark of its end.

        Raises:
            TimeoutError: it was silent for *seconds*.
        """

    @abstractmethod
    async def pause(self, seconds: float) -> None:
        """Wait before a retry for *seconds*, or until the client is closed."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections, which cancels the running calls.

        Raises:
            RuntimeError: it belongs to another event loop.
        """

    @abstractmethod
    def closed_under_a_call(self) -> bool:
        """Return whether a cancellation comes from `close` and not from the caller."""

    @abstractmethod
    def in_use(self) -> bool:
        """Return whether gRPC is at work for it in another thread."""

    @contextmanager
    def for_stream(self) -> Iterator[None]:
        """Count one stream, over all its attempts.

        Raises:
            InventoryError: the client has as many open streams as it can have.
            RuntimeError: see `check`.
        """
        self.check()
        with self._lock:
            if self._streams >= MAX_STREAMS:
                raise _too_many_streams()
            self._streams += 1
        try:
            yield
        finally:
            with self._lock:
                self._streams -= 1

    @contextmanager
    def borrowed(self) -> Iterator[Connection]:
        """Yield a connection for one attempt of a stream, within `for_stream`."""
        connection = self._lend()
        try:
            yield connection
        finally:
            self._return(connection)

    def _lend(self) -> Connection:
        with self._lock:
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

    def _return(self, connection: Connection) -> None:
        with self._lock:
            connection.calls -= 1


def no_room() -> TimeoutError:
    return TimeoutError(f"this InventoryClient had {MAX_CALLS} calls running")


def _too_many_streams() -> InventoryError:
    full = InventoryError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        message=f"this InventoryClient has {MAX_STREAMS} subscriptions and streams open,"
        " as many as it can have: close some, or make another client",
    )
    full.in_doubt = False
    return full
