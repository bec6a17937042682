"""The connections of a client that blocks, which the threads of a process share."""

import os
import threading
from collections.abc import Callable
from typing import Any

import grpc

from inventory_grpc.client import connections, forks
from inventory_grpc.client.blocking_channel import BlockingChannel
from inventory_grpc.client.connections import Closed, Connection, Connections, no_room


class BlockingConnections(Connections):
    """Its coroutines block the thread, and need no event loop.

    After a fork the new process begins without connections.
    """

    def __init__(self, open_channel: Callable[[], grpc.Channel]) -> None:
        super().__init__(lambda: BlockingChannel(open_channel()))
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._opened, self._streams = [], 0
        self._lock = threading.RLock()
        self._room = threading.Semaphore(connections.MAX_CALLS)
        self._closing = threading.Event()

    def check(self) -> None:
        if self._closed:
            raise Closed
        forks.check()
        if self._process != os.getpid():
            self._begin()

    async def take(self, seconds: float) -> Connection:
        self.check()
        if not self._room.acquire(timeout=seconds):
            raise no_room()
        try:
            return self._lend()
        except BaseException:
            self._room.release()
            raise

    def give_back(self, connection: Connection) -> None:
        self._return(connection)
        self._room.release()

    async def next_of(self, stream: Any, seconds: float) -> object:  # noqa: ANN401  as in the base
        return await stream.read_within(seconds)

    async def pause(self, seconds: float) -> None:
        self._closing.wait(seconds)

    async def close(self) -> None:
        if self._closed:
            return
        with self._lock:
            self._closed = True
        self._closing.set()
        if self._process == os.getpid():  # those of a parent are its own
            for connection in self._opened:
                connection.channel.close()

    def closed_under_a_call(self) -> bool:
        return self._closed

    def in_use(self) -> bool:
        return bool(self._streams or any(connection.calls for connection in self._opened))
