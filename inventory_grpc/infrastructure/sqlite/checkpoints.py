"""Checkpoints the WAL into the main file, on a separate thread.

SQLite checkpoints within a commit that finds enough pages, and all commands wait for the disk.
Here a thread checkpoints while the writer continues; when few pages remain, the writer moves
them, so that the WAL can restart. Measured over a million stocks: two fifths more bulk events,
a tenth more single commands, and half the latency of the slowest ones.

A failed sync may lose the pages written before it, and the next sync still succeeds
(https://lwn.net/Articles/752063/); SQLite would then continue after the lost pages. So after a
failure nothing is checkpointed and no batch is written until the file has been reopened. Then
the whole WAL is checkpointed again, except if another process, such as a second worker or a
backup, has had the file open throughout: then SQLite keeps its checkpoint position.
"""

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from typing import Final

import apsw

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.application.tally import Tally
from inventory_grpc.infrastructure.sqlite.causes import storage_errors
from inventory_grpc.infrastructure.sqlite.connection import Database, close

_log = logging.getLogger(__name__)

PAGES: Final = 1_000
"""The fewest pages in the WAL that start a checkpoint."""

COMMITS: Final = 16
"""The fewest commits from one checkpoint to the next.

Commits of many commands write the same pages again and again, and a checkpoint moves each only
once. Measured with 630,000 stocks, beside checkpoints at every 1,000 pages: 0.89 of the processor
time with 2,000 bulk commands in a commit, 0.95 with 64 carts, and latencies that are alike, except
for the slowest single command in a thousand: 50 in place of 35 ms."""

MANY: Final = 8_000
"""Pages in the WAL that start a checkpoint after fewer commits, too."""

FEW: Final = 0.2
"""The share of the WAL's pages up to which the writer moves those that remain."""

MOST: Final = 16_000
"""Pages in the WAL at which the writer waits for the thread and moves the rest. As always in
SQLite, the WAL restarts only when no reader uses it: a long read, or another process that writes
without a pause, can make it grow beyond this."""


class Checkpoints:
    """The checkpoints of one writer; all methods but `shut_down` run on its thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-checkpoint")
        self._connection: apsw.Connection | None = None
        """The connection of the checkpoint thread."""
        self._moving: Future[int] | None = None
        self._pages = 0
        self._commits = 0
        """The commits since a checkpoint was last started."""
        self._failure: StorageError | None = None
        self.seconds = Tally()
        """The durations of checkpoints, which never run at the same time."""
        self.may_begin_wal = True
        """Whether the next commit may be the first in a WAL; a commit sets it to false.

        If other processes write too, this is detected right after their first commit."""

    def watch(self, writer: apsw.Connection) -> None:
        """Replace the automatic checkpoint of *writer* by a hook that notes the WAL's length."""

        def committed(_connection: apsw.Connection, _name: str, pages: int) -> int:
            if pages <= self._pages:
                self.may_begin_wal = True  # it has restarted, after another process emptied it
            self._pages = pages
            self._commits += 1
            return apsw.SQLITE_OK

        self._connection = self._database.writer()
        writer.set_wal_hook(committed)

    def check(self) -> None:
        """Check that no checkpoint has failed since the file was opened.

        Raises:
            StorageError: one has; checkpointed pages may not be on disk.
        """
        if self._failure:
            raise replace(self._failure)

    def after_commit(self, writer: apsw.Connection) -> None:
        """Start or finish a checkpoint if it is due; the next `check` reports a failure."""
        if self._failure:
            return
        try:
            self._take_a_step(writer)
        except Exception as error:  # noqa: BLE001  the commit stands: an error would cause a retry
            _log.exception("the WAL cannot be checkpointed: %s", error)
            self._failure = _as_storage_error(error)

    def finish(self, writer: apsw.Connection) -> None:
        """Checkpoint and empty the WAL; nothing may be written after that.

        Raises:
            StorageError: some pages are not in the main file, and the WAL must stay.
        """
        self.check()
        if self._moving is not None:
            self._moved()
        with storage_errors(self._database.path, writer):
            writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def _take_a_step(self, writer: apsw.Connection) -> None:
        if self._moving is None:
            if self._is_due():
                self._begin()
        elif self._moving.done() or self._pages >= MOST:
            left = self._pages - self._moved()
            if left <= FEW * self._pages or self._pages >= MOST:
                self.may_begin_wal = True
                self._checkpoint(writer)
            else:
                self._begin()

    def _is_due(self) -> bool:
        return self._pages >= (PAGES if self._commits >= COMMITS else MANY)

    def _begin(self) -> None:
        self._commits = 0
        self.may_begin_wal = True
        assert self._connection is not None
        self._moving = self._thread.submit(self._checkpoint, self._connection)

    def _moved(self) -> int:
        """Wait for the thread; return how many pages of the WAL it has moved."""
        assert self._moving is not None
        try:
            return self._moving.result()
        finally:
            self._moving = None

    def stop(self) -> None:
        """Wait for the running checkpoint, and close the connection until `watch`."""
        if self._moving is not None:
            wait([self._moving])
            self._moving = None
        if self._connection is not None:
            close(self._connection)
            self._connection = None
        self._pages = self._commits = 0
        self._failure = None
        self.may_begin_wal = True

    def shut_down(self) -> None:
        """End the thread, after `stop`."""
        self._thread.shutdown()

    def _checkpoint(self, connection: apsw.Connection) -> int:
        """Move the pages that can be moved without waiting; return how many are moved."""
        begun = time.perf_counter()
        try:
            # another process may be checkpointing
            with storage_errors(self._database.path, connection), suppress(apsw.BusyError):
                _, moved = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                return moved
            return 0
        finally:
            self.seconds.add(time.perf_counter() - begun)


def _as_storage_error(error: Exception) -> StorageError:
    if isinstance(error, StorageError):
        return error
    return StorageError(Fault.BROKEN, detail=f"a checkpoint failed: {error!r}")
