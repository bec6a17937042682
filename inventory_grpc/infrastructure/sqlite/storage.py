"""Runs transactions on the writer's thread, and reopens the file after a storage failure."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final, TypeVar

import apsw

from inventory_grpc.application.failpoints import pause, reach
from inventory_grpc.application.failures import bug
from inventory_grpc.application.ports import (
    Expected,
    Fault,
    StorageError,
    Transaction,
    nothing,
)
from inventory_grpc.application.store import Durability
from inventory_grpc.application.tally import Tally
from inventory_grpc.infrastructure.sqlite import seal
from inventory_grpc.infrastructure.sqlite.back_links import check_stocks
from inventory_grpc.infrastructure.sqlite.causes import obstacle, storage_errors
from inventory_grpc.infrastructure.sqlite.checkpoints import Checkpoints
from inventory_grpc.infrastructure.sqlite.connection import Database, abandon, close
from inventory_grpc.infrastructure.sqlite.events import check_tail, read_log_id
from inventory_grpc.infrastructure.sqlite.high_water import HighWater
from inventory_grpc.infrastructure.sqlite.opened_file import OpenedFile
from inventory_grpc.infrastructure.sqlite.readers import Readers
from inventory_grpc.infrastructure.sqlite.stream_ids import StreamIds
from inventory_grpc.infrastructure.sqlite.transaction import SqliteTransaction
from inventory_grpc.infrastructure.sqlite.write_lock import WriteLock

T = TypeVar("T")

_log = logging.getLogger(__name__)

TAIL: Final = 1_000
"""The number of events at the end of the log that are checked when the file is opened, with the
rows of their stocks."""


class SqliteStorage:
    """A `Storage` with one writer thread and one connection for writing."""

    def __init__(self, database: Database, readers: Readers) -> None:
        self._database = database
        self._readers = readers
        self._file = OpenedFile(database.path)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        self._connection: apsw.Connection | None = None
        self._checkpoints = Checkpoints(database)
        self._ids = StreamIds()
        self._high_water = HighWater(database.path)
        self._last_failure = StorageError(Fault.BROKEN)
        """The last failure; while the file is closed, it is the reason for that."""
        self.write_lock = WriteLock(database.path)
        self.log_id = ""
        self.refused: StorageError | None = None
        """The reason why nothing may be written, if it was known when the file was opened."""

    @property
    def checkpoint_seconds(self) -> Tally:
        return self._checkpoints.seconds

    async def open(self) -> None:
        """Open the file and check the end of the log.

        Raises:
            StorageError: it cannot be read, or is damaged.
        """
        await self._run(self._open)

    async def transact(
        self, work: Callable[[Transaction], T], prepare: Callable[[], Expected] = nothing
    ) -> T:
        return await self._run(lambda: self._transact(work, prepare))

    async def observe(self, work: Callable[[Transaction], T]) -> T:
        return await self._run(lambda: self._observe(work))

    async def recover(self) -> None:
        """Probe whether writing works, then reopen all connections as after a crash.

        The probe overwrites what a failed commit has left in the WAL, and is synced before any
        connection is opened again; until then readers keep connections that do not see it. If
        no other process has the file open, reopening makes the next checkpoint copy the whole
        WAL again, because pages of a failed sync may not be on disk.
        """
        await self._run(self._probe)
        await pause("recovery_mid")
        await self._readers.close(self._last_failure)
        try:
            await self._run(self._reopen)
        finally:
            self._readers.open()

    async def close(self) -> None:
        """Checkpoint and close the file; no transaction or read may be running."""
        await self._readers.close()
        self._readers.shut_down()
        await self._run(self._close)
        self._checkpoints.shut_down()
        self._thread.shutdown()

    async def _run(self, work: Callable[[], T]) -> T:
        """Run *work* on the writer's thread; cancelling the caller does not stop it."""
        running = asyncio.get_running_loop().run_in_executor(self._thread, self._tracked, work)
        return await asyncio.shield(running)

    def _tracked(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except StorageError as error:
            self._last_failure = replace(error, committing=False)
            raise

    def _open(self) -> None:
        self._ids.clear()
        self._file.check()
        self._connection = connection = self._database.writer()
        with storage_errors(self._database.path, connection):
            self._checkpoints.watch(connection)
            self.log_id = read_log_id(connection)
            self.refused = seal.refusal(connection)
            check_tail(connection, TAIL)
            check_stocks(connection, TAIL)
            if missing := self._high_water.missing(connection):
                raise StorageError(Fault.DAMAGED, detail=missing)

    def _transact(self, work: Callable[[Transaction], T], prepare: Callable[[], Expected]) -> T:
        connection = self._connected()
        prepare()  # prefetching saves no round trips in SQLite
        self._checkpoints.check()
        self._file.check()
        path, written_before = self._database.path, connection.total_changes()
        with storage_errors(path, connection):
            self.write_lock.begin(connection)
        try:
            with storage_errors(path, connection):
                reach("batch_open")
                transaction = self._transaction(connection, writable=True)
                result = work(transaction)
                has_written = connection.total_changes() > written_before
                if names_wal := self._checkpoints.may_begin_wal and has_written:
                    _name_wal(connection)
                reach("before_commit")
                _check_open(connection)
            with storage_errors(path, connection, committing=True):
                connection.execute("COMMIT")
        except BaseException:
            self._roll_back(connection)
            raise
        if names_wal:
            self._checkpoints.may_begin_wal = False
        self._committed(connection, transaction)
        return result

    def _committed(self, connection: apsw.Connection, transaction: SqliteTransaction) -> None:
        """Run the steps after a commit; an error in them must not become the commands' answer."""
        try:
            transaction.committed()
            reach("after_commit")
            if transaction.appended and self._database.durability is Durability.FULL:
                self._high_water.rise(self.log_id, *transaction.end)
            self._checkpoints.after_commit(connection)
        except Exception as error:  # noqa: BLE001  see above
            self._ids.clear()
            bug(_log, error, "what follows a commit")

    def _observe(self, work: Callable[[Transaction], T]) -> T:
        connection = self._connected()
        with storage_errors(self._database.path, connection):
            connection.execute("BEGIN")
            try:
                return work(self._transaction(connection, writable=False))
            finally:
                self._roll_back(connection)

    def _transaction(self, connection: apsw.Connection, *, writable: bool) -> SqliteTransaction:
        return SqliteTransaction(connection, self.log_id, self._ids, writable=writable)

    def _connected(self) -> apsw.Connection:
        if self._connection is None:
            raise replace(self._last_failure)
        return self._connection

    def _roll_back(self, connection: apsw.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except apsw.Error:
            _log.exception("a transaction could not be rolled back; the file is closed")
            self._disconnect()

    def _disconnect(self) -> None:
        self._checkpoints.stop()
        connection, self._connection = self._connection, None
        if connection is not None:
            abandon(connection)

    def _probe(self) -> None:
        """Write and sync a small change; also return if only reopening can help.

        Raises:
            StorageError: the file cannot be written or opened again; open readers still work.
        """
        self._file.check()
        if self._connection is not None:
            try:
                self._write_probe(self._connection)
            except StorageError as error:
                if not isinstance(error.__cause__, apsw.ReadOnlyError):
                    raise
                # a connection opened read-only stays read-only when the file becomes writable
                self._check_writable()
        else:
            self._check_writable()
        abandon(self._database.reader())

    def _check_writable(self) -> None:
        self._database.mend_modes()
        if found := obstacle(self._database.path):
            raise StorageError(Fault.READ_ONLY, why=found[1], detail=f"{found[0]}: {found[1]}")

    def _write_probe(self, connection: apsw.Connection) -> None:
        try:
            with storage_errors(self._database.path, connection):
                self.write_lock.begin(connection)
                _name_wal(connection)
                connection.execute("COMMIT")
        except StorageError:
            self._roll_back(connection)
            raise

    def _reopen(self) -> None:
        self._disconnect()
        self._file.check_set()
        self._open()
        connection = self._connected()
        with storage_errors(self._database.path, connection):
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _close(self) -> None:
        if self._connection is None:
            return
        try:
            reach("checkpoint_start")
            self._checkpoints.finish(self._connection)
            reach("checkpoint_end")
        except Exception as error:  # noqa: BLE001  after any error the WAL must stay
            # nothing is lost: pages that are not in the main file yet are in the WAL
            _log.warning("the file was closed without a checkpoint: %s", error)
            self._disconnect()
        else:
            # after the file was moved, SQLite keeps the WAL, which may belong to another file
            self._checkpoints.stop()
            close(self._connection)
            self._connection = None


def _name_wal(connection: apsw.Connection) -> None:
    """Write the row that names the log and its predecessor into the WAL, see `log_row.py`."""
    connection.execute("UPDATE log SET probe = probe + 1")


def _check_open(connection: apsw.Connection) -> None:
    """Check that the transaction is still open.

    On some errors SQLite rolls the whole transaction back by itself. The statements after that
    would have been committed one by one, without those before.
    """
    if not connection.in_transaction:
        raise StorageError(Fault.BROKEN, detail="SQLite has rolled the transaction back")
