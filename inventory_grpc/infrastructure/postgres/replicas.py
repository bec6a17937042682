"""Scans of replicas: for lists that may be somewhat old, and for history, which never changes."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.postgres.events import LOG_ID, TAIL, hash_of
from inventory_grpc.infrastructure.postgres.faults import storage_errors
from inventory_grpc.infrastructure.postgres.readers import Readers
from inventory_grpc.infrastructure.postgres.seen import SeenLog
from inventory_grpc.infrastructure.postgres.server import Server
from inventory_grpc.infrastructure.postgres.statement import Statement
from inventory_grpc.infrastructure.postgres.wire import Wire

T = TypeVar("T")

_log = logging.getLogger(__name__)

STATE_SECONDS: Final = 1.0
"""A replica that does not tell its state for longer is not asked further."""

REST_SECONDS: Final = 1.0
"""After a failure, replicas are tried again by one caller, and not before this time."""

_STATE: Final = Statement(
    "SELECT pg_is_in_recovery(), (SELECT coalesce(max(position), 0) FROM events)"
).bind()


class _Behind(Exception):
    """The replica has not reached the position that is asked for."""


class SameLog:
    """The check of a new connection to a replica: it has the log of the primary."""

    def __init__(self, primary: Server, seen: SeenLog) -> None:
        self._primary = primary
        self._seen = seen

    def check(self, wire: Wire) -> None:
        """Compare the id of the log, and the last event of the replica with that of the primary.

        Raises:
            StorageError: it is another log, or has events that the primary has not.
        """
        ids, tails = wire.run([LOG_ID.bind(), TAIL.bind()])
        if ids != [(self._seen.log_id,)]:
            raise StorageError(Fault.REWOUND, detail=f"the replica has the log {ids}")
        for position, digest, _ in tails:
            with storage_errors():
                primary = self._primary.reader()
                try:
                    found = hash_of(primary, position)
                finally:
                    primary.close()
            if found != digest:
                raise StorageError(
                    Fault.REWOUND,
                    detail=f"the event {position} of the replica is not that of the primary",
                )


class Scans:
    """Scans of a replica, if there is one that has all that is asked for, or of the primary."""

    def __init__(self, primary: Readers, replicas: Readers | None = None) -> None:
        self._primary = primary
        self._replicas = replicas
        self._works: bool | None = None
        """Whether a replica could be read the last time; None before the first time."""
        self._is_trying = False
        self._not_before = 0.0

    async def scan(self, work: Callable[[Wire], T], at_least: int) -> T:
        """Run *work* in one read transaction, at a state that has the position *at_least*.

        If the log has not reached that, it runs at the newest state of the primary.

        Raises:
            StorageError: the primary cannot be read.
        """
        replicas = self._replicas
        if replicas is not None and self._may_ask():
            self._is_trying = True
            try:
                found = await replicas.scan(partial(_at, at_least, work))
            except _Behind:
                self._note(None)
            except StorageError as error:
                self._note(error)
            else:
                self._note(None)
                return found
            finally:
                self._is_trying = False
        return await self._primary.scan(work)

    def _may_ask(self) -> bool:
        """Return whether replicas work, or are to be tried by this caller alone."""
        is_time = asyncio.get_running_loop().time() >= self._not_before
        return self._works or (is_time and not self._is_trying)

    def _note(self, error: StorageError | None) -> None:
        """Note whether a replica could be read, and log when that changes."""
        works = error is None
        if error is not None:
            self._not_before = asyncio.get_running_loop().time() + REST_SECONDS
            if self._works is not False:
                _log.warning("replicas cannot be read, the primary is asked instead: %s", error)
        elif not self._works:
            _log.info("lists and history are read from a replica")
        self._works = works

    async def close(self) -> None:
        """Close the connections to replicas; no scan may be running."""
        if self._replicas is not None:
            await self._replicas.close()
            self._replicas.shut_down()


def _at(at_least: int, work: Callable[[Wire], T], wire: Wire) -> T:
    """Run *work*, unless the replica is behind the position *at_least* or is none any more."""
    [[(is_replica, head)]] = wire.run([_STATE], STATE_SECONDS)
    if not is_replica:
        wire.close()  # it may go on with a log of its own
        raise StorageError(Fault.BROKEN, detail="the replica was promoted")
    if head < at_least:
        raise _Behind
    return work(wire)
