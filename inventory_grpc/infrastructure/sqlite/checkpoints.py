"""Checkpoints: pages are moved from the WAL into the main file on a thread of their own.

SQLite does it within the commit that finds enough of them, and everybody waits for the disk.
Here a thread of its own moves them, while more is written; once it has left little, the
writer moves the rest, so that the WAL can begin anew. Measured over a million stocks: two
fifths more events in bulk, a tenth more single commands, and half the time of the slowest.

What is moved while more is written, SQLite syncs later. A sync that fails may lose all that
was written before it, and the next one succeeds as if nothing had happened
(https://lwn.net/Articles/752063/); SQLite would then go on behind what is lost. So after a
failure nothing is moved, and no batch written, until the file has been opened anew: then the
whole WAL is moved again, unless another process has had the file open all the time, such as
a second worker or a backup: as long as anybody has, SQLite keeps how far it has come.
"""

import logging
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from typing import Final

import apsw

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.sqlite.causes import storage_errors
from inventory_grpc.infrastructure.sqlite.connection import Database, close

_log = logging.getLogger(__name__)

PAGES: Final = 1_000
"""In the WAL, until they are moved. With 4,000 commits wait twice as long for the disk, which
is then busy with so much at once."""

FEW: Final = 200
"""Pages that the writer moves by itself."""

MOST: Final = 16_000
"""Pages in the WAL with which the writer no longer leaves them to the thread, but waits for it
and moves the rest. As everywhere in SQLite, the WAL begins anew only once nobody reads in it:
a long read, or another process that writes without a pause, has it grow beyond."""


class Checkpoints:
    """Looks after the WAL of one writer, on its thread but for `shut_down`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-checkpoint")
        self._connection: apsw.Connection | None = None
        """The thread's, while something is moved."""
        self._moving: Future[int] | None = None
        self._pages = 0
        self._failure: StorageError | None = None
        self.may_begin_wal = True
        """Whether the next commit may be the first in a WAL; whoever commits makes it false.

        Where other processes write, too, it is found out right after the first."""

    def watch(self, writer: apsw.Connection) -> None:
        """Have each commit of *writer* tell how long the WAL is, in place of moving it."""

        def committed(_connection: apsw.Connection, _name: str, pages: int) -> int:
            if pages <= self._pages:
                self.may_begin_wal = True  # it has begun anew, after another process emptied it
            self._pages = pages
            return apsw.SQLITE_OK

        self._connection = self._database.writer()
        writer.set_wal_hook(committed)

    def check(self) -> None:
        """Return if what was moved can be trusted to be on disk.

        Raises:
            StorageError: it cannot, until the file is opened anew.
        """
        if self._failure:
            raise replace(self._failure)

    def after_commit(self, writer: apsw.Connection) -> None:
        """Have pages moved, if there are enough; what fails is for the next `check` to tell."""
        if self._failure:
            return
        try:
            self._take_a_step(writer)
        except Exception as error:  # noqa: BLE001  it is committed: who heard of an error would ask again
            _log.exception("pages cannot be moved out of the WAL: %s", error)
            self._failure = _as_storage_error(error)

    def finish(self, writer: apsw.Connection) -> None:
        """Move all there is, and empty the WAL; nothing may be written any more.

        Raises:
            StorageError: it is not all in the main file, and the WAL must stay.
        """
        self.check()
        if self._moving is not None:
            self._moved()
        with storage_errors(self._database.path, writer):
            writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def _take_a_step(self, writer: apsw.Connection) -> None:
        if self._moving is None:
            if self._pages >= PAGES:
                self._begin()
        elif self._moving.done() or self._pages >= MOST:
            left = self._pages - self._moved()
            if left <= FEW or self._pages >= MOST:
                self.may_begin_wal = True
                self._checkpoint(writer)
            else:
                self._begin()

    def _begin(self) -> None:
        self.may_begin_wal = True
        assert self._connection is not None
        self._moving = self._thread.submit(self._checkpoint, self._connection)

    def _moved(self) -> int:
        """Wait until the thread is done; return how many pages of the WAL are in the file."""
        assert self._moving is not None
        try:
            return self._moving.result()
        finally:
            self._moving = None

    def stop(self) -> None:
        """Wait for what is moved, and let go of the file until there is a writer again."""
        if self._moving is not None:
            wait([self._moving])
            self._moving = None
        if self._connection is not None:
            close(self._connection)
            self._connection = None
        self._pages = 0
        self._failure = None
        self.may_begin_wal = True

    def shut_down(self) -> None:
        """End the thread, after `stop`."""
        self._thread.shutdown()

    def _checkpoint(self, connection: apsw.Connection) -> int:
        """Move what can be without waiting; return how many pages of the WAL are moved."""
        # another process may be at it
        with storage_errors(self._database.path, connection), suppress(apsw.BusyError):
            _, moved = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            return moved
        return 0


def _as_storage_error(error: Exception) -> StorageError:
    if isinstance(error, StorageError):
        return error
    return StorageError(Fault.BROKEN, detail=f"a checkpoint failed: {error!r}")
