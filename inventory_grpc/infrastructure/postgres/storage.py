"""Runs transactions on the writer's thread, and connects again after a failure."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeVar

import psycopg

from inventory_grpc.application.failpoints import pause, reach
from inventory_grpc.application.failures import bug
from inventory_grpc.application.ports import NOTHING, Expected, Fault, StorageError, Transaction
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.log.chain import Tail
from inventory_grpc.infrastructure.postgres import events as log
from inventory_grpc.infrastructure.postgres.faults import storage_errors
from inventory_grpc.infrastructure.postgres.first_trip import LOCK, NEWS, Begun, Reads, check_known
from inventory_grpc.infrastructure.postgres.lock_wait import LockWait
from inventory_grpc.infrastructure.postgres.numbers import Numbers
from inventory_grpc.infrastructure.postgres.readers import Readers
from inventory_grpc.infrastructure.postgres.server import Server, lock_key
from inventory_grpc.infrastructure.postgres.statement import Statement
from inventory_grpc.infrastructure.postgres.transaction import PostgresTransaction
from inventory_grpc.infrastructure.postgres.wire import Lost, Wire

T = TypeVar("T")

_log = logging.getLogger(__name__)

TAIL: Final = 1_000
"""The number of events at the end of the log that are checked when it is opened."""

COMMIT_SECONDS: Final = 15.0
"""PostgreSQL waits for a synchronous standby without any timeout of its own. After this time the
connection is closed, and the outcome is unknown."""

_BEGIN: Final = Statement("BEGIN").bind()
_COMMIT: Final = Statement("COMMIT").bind()
_ROLLBACK: Final = Statement("ROLLBACK").bind()
_PROBE: Final = Statement("UPDATE log SET probe = probe + 1").bind()
_TAIL: Final = log.TAIL.bind()


class PostgresStorage:
    """A `Storage` with one writer thread and one connection for writing."""

    def __init__(self, server: Server, readers: Readers) -> None:
        self._server = server
        self._readers = readers
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="postgres-writer")
        self._wire: Wire | None = None
        self._numbers = Numbers()
        self._known = Tail(0, b"", Instant(0))
        """The end of the log as it was last seen here; it must never be missing again."""
        self._key = 0
        self._last_failure = StorageError(Fault.BROKEN)
        """The last failure; while there is no connection, it is the reason for that."""
        self.lock_wait = LockWait()
        self.log_id = ""

    async def open(self) -> None:
        """Connect, and check the end of the log.

        Raises:
            StorageError: it cannot be read, or is damaged.
        """
        await self._run(self._open)

    async def transact(self, work: Callable[[Transaction], T], expecting: Expected = NOTHING) -> T:
        return await self._run(lambda: self._transact(work, expecting))

    async def observe(self, work: Callable[[Transaction], T]) -> T:
        return await self._run(lambda: self._observe(work))

    async def recover(self) -> None:
        """Connect again; wait for the lock, which a lost connection of ours may still hold."""
        await pause("recovery_mid")
        await self._readers.close(self._last_failure)
        try:
            await self._run(self._reopen)
        finally:
            self._readers.open()

    async def close(self) -> None:
        """Disconnect; no transaction or read may be running."""
        await self._readers.close()
        self._readers.shut_down()
        await self._run(self._disconnect)
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
        with storage_errors():
            wire = self._server.writer()
            try:
                self._check(wire)
            except BaseException:
                wire.close()
                raise
        self._wire = wire

    def _check(self, wire: Wire) -> None:
        """Check that this is the log that was open before, and that its end is intact."""
        self._numbers.clear()
        self.log_id = log.read_log_id(wire)
        self._key = lock_key(self.log_id)
        log.check_tail(wire, TAIL)
        if self._known.position:
            check_known(wire.query(NEWS, known=self._known.position, limit=1), self._known)
        self._known = log.tail_of(wire.run([_TAIL])[0], self.log_id)

    def _transact(self, work: Callable[[Transaction], T], expecting: Expected) -> T:
        wire = self._connected()
        try:
            with storage_errors():
                with self.lock_wait:
                    needs = Reads().needs(expecting)
                    begun = Begun(wire, self.log_id, self._known, needs, self._key)
                reach("batch_open")
                transaction = PostgresTransaction(
                    wire, self.log_id, self._numbers, begun, writable=True
                )
                result = work(transaction)
                reach("before_commit")
            with storage_errors(committing=True):
                self._commit(wire, transaction)
        except BaseException:
            self._roll_back(wire)
            raise
        self._known = transaction.tail
        try:
            transaction.committed()
            reach("after_commit")
        except Exception as error:  # noqa: BLE001  an error here must not become the commands' answer
            self._numbers.clear()
            bug(_log, error, "what follows a commit")
        return result

    @staticmethod
    def _commit(wire: Wire, transaction: PostgresTransaction) -> None:
        """Write and commit in one round trip.

        An error before the COMMIT skips it too. A warning after it says that the commit is not
        durable, such as after a cancelled wait for a standby: then its outcome is unknown.
        """
        wire.warnings.clear()
        wire.run([*transaction.unsent, _COMMIT], COMMIT_SECONDS)
        if wire.warnings:
            wire.close()
            raise Lost(f"COMMIT: {'; '.join(wire.warnings)}")

    def _observe(self, work: Callable[[Transaction], T]) -> T:
        wire = self._connected()
        try:
            with storage_errors():
                begun = Begun(wire, self.log_id, self._known, Reads().needs(NOTHING), None)
                transaction = PostgresTransaction(
                    wire, self.log_id, self._numbers, begun, writable=False
                )
                result = work(transaction)
            self._known = transaction.tail  # followers have seen it, so it may not be lost either
            return result
        finally:
            self._roll_back(wire)

    def _connected(self) -> Wire:
        if self._wire is None or self._wire.is_closed:
            raise replace(self._last_failure)
        return self._wire

    def _roll_back(self, wire: Wire) -> None:
        if wire.is_closed:
            self._disconnect()
            return
        try:
            if wire.in_transaction:
                wire.run([_ROLLBACK])
        except psycopg.Error:
            _log.exception("a transaction could not be rolled back; the connection is closed")
            self._disconnect()

    def _disconnect(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            with suppress(psycopg.Error):
                wire.close()

    def _reopen(self) -> None:
        """Connect again, and write a small change under the lock.

        The server gives the lock only when it has ended all former transactions of ours. So what
        is readable afterwards is what has become of them.
        """
        self._disconnect()
        self._open()
        wire = self._connected()
        with storage_errors():
            wire.run([_BEGIN, LOCK.bind(key=self._key)])
            self._check(wire)
            wire.run([_PROBE, _COMMIT], COMMIT_SECONDS)
