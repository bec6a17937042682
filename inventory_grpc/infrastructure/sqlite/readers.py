"""Read-only connections, and the threads that use them."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeVar

import apsw

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.sqlite.causes import storage_errors
from inventory_grpc.infrastructure.sqlite.connection import Database, close, one_state
from inventory_grpc.infrastructure.sqlite.opened_file import OpenedFile

T = TypeVar("T")

THREADS: Final = 2
"""The number of scans and pages read at the same time; the others queue."""


class Readers:
    """Short reads: point reads on the event loop, scans and pages on a thread pool.

    Every read is one transaction, and none is held while a response is sent: a long read
    transaction would prevent the WAL from being reset.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._file = OpenedFile(database.path)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="sqlite-reader")
        self._local = threading.local()
        self._opened: list[apsw.Connection] = []
        self._on_loop: apsw.Connection | None = None
        self._last_failure = StorageError(Fault.BROKEN, detail="the file is closed")
        """The reason for which reads are refused while the file is closed."""
        self._reading = 0
        self._idle = asyncio.Event()
        self._open = asyncio.Event()
        self.open()

    def open(self) -> None:
        """Accept reads; if the file cannot be opened yet, each read tries again."""
        self._open.set()
        with suppress(StorageError):
            self._connected()

    def _connected(self) -> apsw.Connection:
        """Return the connection of the event loop.

        Raises:
            StorageError: the file cannot be opened, or is being reopened.
        """
        if not self._open.is_set():
            raise replace(self._last_failure)
        self._on_loop = self._on_loop or self._connection()
        return self._on_loop

    def _connection(self) -> apsw.Connection:
        """Open the file, unless its path now names another one."""
        self._file.check()
        return self._database.reader()

    def point(self, work: Callable[..., T], *arguments: object) -> T:
        """Run *work*, one or two look-ups, on the event loop.

        Raises:
            StorageError: the file cannot be read, or is being reopened.
        """
        connection = self._on_loop or self._connected()
        with storage_errors(self._database.path, connection):
            return work(connection, *arguments)

    async def scan(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run *work* on a reader thread, in one read transaction.

        If the caller is cancelled before a thread has started, *work* never runs. A thread that
        has started runs to the end, so *work* must be short.

        Raises:
            StorageError: the file cannot be read.
        """
        await self._open.wait()
        loop = asyncio.get_running_loop()
        is_wanted = True

        def read() -> T:
            if not is_wanted:
                raise CancelledError
            return self._read(work)

        try:
            running = self._pool.submit(read)
        except BaseException:
            # no thread could be started, but the next thread would find it in the queue
            is_wanted = False
            raise
        self._reading += 1
        # The thread's own future, since that of the loop is done as soon as its caller is
        # cancelled: no connection may be closed while a thread still reads with it.
        running.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        return await asyncio.wrap_future(running)

    def _done(self) -> None:
        self._reading -= 1
        if not self._reading:
            self._idle.set()

    def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None or connection not in self._opened:
            connection = self._local.connection = self._connection()
            self._opened.append(connection)
        with storage_errors(self._database.path, connection), one_state(connection):
            return work(connection)

    async def close(self, trouble: StorageError | None = None) -> None:
        """Refuse new reads, wait for the running ones, and close every connection."""
        self._last_failure = trouble or self._last_failure
        self._open.clear()
        if self._on_loop is not None:
            close(self._on_loop)
            self._on_loop = None
        while self._reading:
            self._idle.clear()
            await self._idle.wait()
        while self._opened:
            close(self._opened.pop())

    def shut_down(self) -> None:
        """End the threads, after `close`."""
        self._pool.shutdown()
