"""Read-only connections, and the threads and the event loop that use them."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Final, Protocol, TypeVar

import psycopg

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.postgres.faults import storage_errors
from inventory_grpc.infrastructure.postgres.loop_wire import LoopWire
from inventory_grpc.infrastructure.postgres.server import Server
from inventory_grpc.infrastructure.postgres.statement import Bound
from inventory_grpc.infrastructure.postgres.wire import Row, Wire

T = TypeVar("T")

THREADS: Final = 4
"""The number of reads at the same time, each with a connection; the others queue."""


class Check(Protocol):
    """The check of each new connection."""

    def check(self, wire: Wire) -> None:
        """Raise a `StorageError` unless the connection leads to the log."""


class Readers:
    """Short reads: single states on the event loop's own connection, all others on threads."""

    def __init__(self, server: Server, seen: Check) -> None:
        self._server = server
        self._seen = seen
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="postgres-reader")
        self._local = threading.local()
        self._on_loop: LoopWire | None = None
        self._turn = asyncio.Lock()
        self._opened: list[Wire] = []
        self._connecting = threading.Lock()
        """Threads that connect at the same time must not lose sight of each other's connection."""
        self._last_failure = StorageError(Fault.BROKEN, detail="the connections are closed")
        """The reason for which reads are refused while there is no connection."""
        self._is_open = True
        self._reading = 0
        self._idle = asyncio.Event()

    def open(self) -> None:
        """Accept reads; each thread connects when it first reads."""
        self._is_open = True

    async def read(self, work: Callable[..., T], *arguments: object) -> T:
        """Run *work* on a thread; it is one statement, or makes its own transaction.

        If the caller is cancelled before a thread has started, *work* never runs. A thread that
        has started runs to the end, so *work* must be short.

        Raises:
            StorageError: the server cannot be read, or is being connected again.
        """
        if not self._is_open:
            raise replace(self._last_failure)
        return await self._on_thread(self._read, work, arguments)

    async def _on_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        is_wanted = True

        def read() -> T:
            if not is_wanted:
                raise CancelledError
            return work(*arguments)

        try:
            running = self._pool.submit(read)
        except BaseException:
            # no thread could be started, but the next thread would find it in the queue
            is_wanted = False
            raise
        self._reading += 1
        # the thread's own future: no connection may be closed while a thread still reads with it
        running.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        return await asyncio.wrap_future(running)

    async def await_rows(self, statement: Bound) -> Sequence[Row]:
        """Return the few rows of a statement, which the event loop awaits.

        The callers take turns. If one is cancelled, the connection is closed.

        Raises:
            StorageError: the server cannot be read, or is being connected again.
        """
        async with self._turn:
            if not self._is_open:
                raise replace(self._last_failure)
            self._reading += 1
            try:
                if self._on_loop is None or self._on_loop.is_closed:
                    self._on_loop = LoopWire(
                        await self._on_thread(self._connect, self._server.reader_by_key)
                    )
                with storage_errors():
                    return (await self._on_loop.run([statement]))[0]
            finally:
                self._done()

    async def scan(self, work: Callable[[Wire], T]) -> T:
        """Run *work* on a thread, in one read transaction."""

        def in_one_state(wire: Wire) -> T:
            with wire.one_state():
                return work(wire)

        return await self.read(in_one_state)

    def _done(self) -> None:
        self._reading -= 1
        if not self._reading:
            self._idle.set()

    def _read(self, work: Callable[..., T], arguments: tuple[object, ...]) -> T:
        wire: Wire | None = getattr(self._local, "wire", None)
        if wire is None or wire.is_closed:
            wire = self._local.wire = self._connect(self._server.reader)
        with storage_errors():
            return work(wire, *arguments)

    def _connect(self, connect: Callable[[], Wire]) -> Wire:
        """Return a new connection, to the log that was seen before."""
        with storage_errors():
            wire = connect()
            try:
                self._seen.check(wire)
            except BaseException:
                wire.close()
                raise
        with self._connecting:
            self._opened = [one for one in self._opened if not one.is_closed] + [wire]
        return wire

    async def close(self, trouble: StorageError | None = None) -> None:
        """Refuse new reads, wait for the running ones, and close every connection."""
        self._last_failure = trouble or self._last_failure
        self._is_open = False
        while self._reading:
            self._idle.clear()
            await self._idle.wait()
        if self._on_loop is not None:
            self._on_loop.close()
        while self._opened:
            with suppress(psycopg.Error):
                self._opened.pop().close()

    def shut_down(self) -> None:
        """End the threads, after `close`."""
        self._pool.shutdown()
