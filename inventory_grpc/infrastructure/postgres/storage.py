"""Runs transactions on the writer's thread, and connects again after a failure."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Final, TypeVar

import psycopg

from inventory_grpc.application.failpoints import pause, reach
from inventory_grpc.application.failures import bug
from inventory_grpc.application.ports import Expected, Fault, StorageError, Transaction, nothing
from inventory_grpc.infrastructure.postgres import events as log
from inventory_grpc.infrastructure.postgres import seal
from inventory_grpc.infrastructure.postgres.duplicates import Duplicates
from inventory_grpc.infrastructure.postgres.faults import storage_errors
from inventory_grpc.infrastructure.postgres.first_trip import LOCK, Begun, Needs, Reads
from inventory_grpc.infrastructure.postgres.lock_wait import LockWait
from inventory_grpc.infrastructure.postgres.notices import notification
from inventory_grpc.infrastructure.postgres.numbers import Numbers
from inventory_grpc.infrastructure.postgres.place import is_as_kept, place_of, settle
from inventory_grpc.infrastructure.postgres.readers import Readers
from inventory_grpc.infrastructure.postgres.seen import SeenLog
from inventory_grpc.infrastructure.postgres.server import Server, lock_key
from inventory_grpc.infrastructure.postgres.statement import Bound, Statement
from inventory_grpc.infrastructure.postgres.transaction import PostgresTransaction
from inventory_grpc.infrastructure.postgres.wire import ANSWER_SECONDS, Wire

T = TypeVar("T")

_log = logging.getLogger(__name__)

TAIL: Final = 1_000
"""The number of events at the end of the log that are checked when it is opened."""

COMMIT_SECONDS: Final = 15.0
"""PostgreSQL waits for a synchronous standby without any timeout of its own. After this time the
connection is closed, and the outcome is unknown."""

OUTCOME_SECONDS: Final = 2.0
"""The callers of a commit without an answer wait this long until its outcome is found."""

RETRY_SECONDS: Final = 0.1
MIN_SECONDS: Final = 0.1

_PASSING: Final = frozenset({Fault.BROKEN, Fault.READ_ONLY})
"""The faults of a server that is being restarted, or of a standby that is being promoted."""

_BEGIN: Final = Statement("BEGIN").bind()
_ROLLBACK: Final = Statement("ROLLBACK").bind()
_PROBE: Final = Statement("UPDATE log SET probe = probe + 1").bind()
_TAIL: Final = log.TAIL.bind()


class PostgresStorage:
    """A `Storage` with one writer thread and one connection for writing."""

    def __init__(
        self,
        server: Server,
        readers: Readers,
        seen: SeenLog,
        *,
        trusts_failover: bool = False,
        notifies: bool = False,
    ) -> None:
        self._server = server
        self._notifies = notifies
        self._readers = readers
        self._seen = seen
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="postgres-writer")
        self._wire: Wire | None = None
        self._numbers = Numbers()
        self._duplicates = Duplicates()
        self._last_failure = StorageError(Fault.BROKEN)
        """The last failure; while there is no connection, it is the reason for that."""
        self._trusts_failover = trusts_failover
        self.refused: StorageError | None = None
        """The reason why nothing may be written, if it was known when the log was opened."""
        self.lock_wait = LockWait()

    async def open(self) -> None:
        """Connect, and check the end of the log.

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
        """Connect again; wait for the lock, which a lost connection of ours may still hold."""
        await pause("recovery_mid")
        if self._last_failure.fault is Fault.FAILED_OVER:
            await self._run(lambda: self._reopen(COMMIT_SECONDS))  # reads go on meanwhile
            return
        await self._readers.close(self._last_failure)
        try:
            await self._run(lambda: self._reopen(COMMIT_SECONDS))
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

    @contextmanager
    def _connecting(self) -> Iterator[Wire]:
        """Yield a new connection, and keep it unless the `with` block fails."""
        with storage_errors():
            wire = self._server.writer()
            try:
                yield wire
            except BaseException:
                wire.close()
                raise
        self._wire = wire

    def _open(self) -> None:
        with self._connecting() as wire:
            self._check(wire)
            self.refused = seal.refusal(wire)
            place = place_of(wire)
            is_settled = self.refused or is_as_kept(wire, place, is_trusted=self._trusts_failover)
        if not is_settled:
            self._open_at_new_place()

    def _open_at_new_place(self) -> None:
        """Keep the place, or note why nothing may be written there; the log can still be read."""
        try:
            self._reopen(COMMIT_SECONDS)
        except StorageError as error:
            if error.fault is not Fault.FAILED_OVER:
                raise
            self.refused = self._last_failure = error

    def _check(self, wire: Wire) -> None:
        """Check that this is the log that was open before, and that its end is intact."""
        self._numbers.clear()
        self._seen.check(wire)
        log.check_tail(wire, TAIL)
        self._seen.advance(log.tail_of(wire.run([_TAIL])[0], self._seen.log_id))

    def _transact(self, work: Callable[[Transaction], T], prepare: Callable[[], Expected]) -> T:
        wire = self._connected()
        needs = Reads().needs(prepare())
        try:
            with storage_errors():
                transaction = self._begun(wire, needs)
                reach("batch_open")
                result = work(transaction)
                reach("before_commit")
            with storage_errors(committing=True):
                wire.commit([*transaction.unsent, *self._notices(transaction)], COMMIT_SECONDS)
        except BaseException as error:
            self._roll_back(wire)
            if isinstance(error, StorageError):
                self._duplicates.note(error)
            if not isinstance(error, StorageError) or not error.committing:
                raise
            self._find_outcome(transaction, error)
        self._committed(transaction)
        return result

    def _notices(self, transaction: PostgresTransaction) -> list[Bound]:
        """Return the statement that tells other instances of new events."""
        if not self._notifies or transaction.tail.position == transaction.head_before:
            return []
        return [notification(transaction.tail.position)]

    def _begun(self, wire: Wire, needs: Needs) -> PostgresTransaction:
        """Return a transaction that holds the lock."""
        tail, log_id = self._seen.tail, self._seen.log_id  # a reader may note another id
        with self.lock_wait:
            begun = Begun(wire, log_id, tail, needs, lock_key(log_id))
        return PostgresTransaction(wire, log_id, self._numbers, begun, writable=True)

    def _committed(self, transaction: PostgresTransaction) -> None:
        """Run the steps after a commit; an error in them must not become the commands' answer."""
        self._seen.advance(transaction.tail)
        try:
            transaction.committed()
            reach("after_commit")
        except Exception as error:  # noqa: BLE001  see above
            self._numbers.clear()
            bug(_log, error, "what follows a commit")

    def _find_outcome(self, transaction: PostgresTransaction, error: StorageError) -> None:
        """Return if *transaction* was committed, although its COMMIT was not answered.

        Raises:
            StorageError: it was not, or that cannot be found out soon.
        """
        end = time.monotonic() + OUTCOME_SECONDS
        is_recorded = None
        while is_recorded is None:
            try:
                self._reopen(max(MIN_SECONDS, end - time.monotonic()))
                with storage_errors():
                    is_recorded = transaction.was_recorded(self._connected())
            except StorageError as failure:
                _log.warning("the outcome of a commit is not known yet: %s", failure)
                if failure.fault not in _PASSING or time.monotonic() >= end:
                    raise error from failure
                time.sleep(RETRY_SECONDS)
            else:
                if is_recorded is None:
                    raise error
        if not is_recorded:
            raise replace(error, committing=False)
        _log.warning("a commit was not answered, and has recorded its batch: %s", error)

    def _observe(self, work: Callable[[Transaction], T]) -> T:
        wire = self._connected()
        try:
            with storage_errors():
                seen = self._seen
                log_id = seen.log_id
                begun = Begun(wire, log_id, seen.tail, Reads().needs(nothing()), None)
                transaction = PostgresTransaction(
                    wire, log_id, self._numbers, begun, writable=False
                )
                result = work(transaction)
            seen.advance(transaction.tail)  # followers have it, so it may not be lost either
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

    def _reopen(self, seconds: float) -> None:
        """Connect again, and write a small change under the lock; wait for each at most *seconds*.

        The server gives the lock only when it has ended all former transactions of ours. So what
        is readable afterwards is what has become of them, and the commit makes it durable.
        """
        self._disconnect()
        with self._connecting() as wire:
            place = place_of(wire)
            log_id = log.read_log_id(wire)
            wire.run([_BEGIN, LOCK.bind(key=lock_key(log_id))], min(seconds, ANSWER_SECONDS))
            self._check(wire)
            if log_id != self._seen.log_id:
                raise StorageError(Fault.BROKEN, detail=f"the log {log_id} has got another id")
        try:
            with storage_errors():
                wire.run([_PROBE], min(seconds, ANSWER_SECONDS))
                wire.commit(settle(wire, place, is_trusted=self._trusts_failover), seconds)
        except BaseException:
            self._roll_back(wire)  # one that refuses writes can still be read
            raise
