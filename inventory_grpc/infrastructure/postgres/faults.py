"""Translates errors of PostgreSQL to storage errors, by their SQLSTATE."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import psycopg

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.application.store import Unusable
from inventory_grpc.infrastructure.postgres.seal import SEALED
from inventory_grpc.infrastructure.postgres.wire import Failed, Lost

STANDBY: Final = "PostgreSQL is a standby; promote it, or name the primary in the URL as well"

_FAULTS: Final[Mapping[str, Fault]] = {
    "55P03": Fault.BUSY,  # lock_not_available
    "57014": Fault.BUSY,  # query_canceled, by us or by `statement_timeout`
    "40001": Fault.BUSY,  # serialization_failure
    "40P01": Fault.BUSY,  # deadlock_detected
    "55006": Fault.BUSY,  # object_in_use
    "53200": Fault.BUSY,  # out_of_memory
    "23505": Fault.BUSY,  # unique_violation: somebody has written without the lock
    "53000": Fault.BUSY,  # insufficient_resources
    "53100": Fault.FULL,  # disk_full
    "25006": Fault.READ_ONLY,  # read_only_sql_transaction, such as after a demotion
    "26000": Fault.BROKEN,  # invalid_sql_statement_name: prepared in another session
    "25P02": Fault.BROKEN,  # in_failed_sql_transaction
    "25P03": Fault.BROKEN,  # idle_in_transaction_session_timeout
    "53300": Fault.BROKEN,  # too_many_connections
    "53400": Fault.BROKEN,  # configuration_limit_exceeded
    SEALED: Fault.SEALED,
    "XX001": Fault.DAMAGED,  # data_corrupted
    "XX002": Fault.DAMAGED,  # index_corrupted
}

_FAULTS_OF_CLASSES: Final[Mapping[str, Fault]] = {
    "08": Fault.BROKEN,  # connection exceptions
    "28": Fault.BROKEN,  # invalid authorization
    "3D": Fault.BROKEN,  # there is no such database
    "54": Fault.BUSY,  # limits of the server, such as the depth of its stack
    "57": Fault.BROKEN,  # operator intervention, such as a shutdown
    "58": Fault.BROKEN,  # errors of the system
    "F0": Fault.BROKEN,  # errors of the configuration file
}


@contextmanager
def storage_errors(*, committing: bool = False) -> Iterator[None]:
    """Raise errors of PostgreSQL as `StorageError`, except those that only a bug can cause.

    An error that the server reports has rolled everything back, also in the round trip of the
    COMMIT; only if the connection is lost then, the outcome is unknown.

    Raises:
        StorageError: the server, its disk, the connection or a lock has failed.
    """
    try:
        yield
    except psycopg.Error as error:
        fault = _fault_of(error)
        if fault is None:
            raise
        state = state_of(error)
        raise StorageError(
            fault,
            committing and isinstance(error, Lost),
            why=_why(error, fault),
            detail=f"PostgreSQL: {error}" + (f", SQLSTATE {state}" if state else ""),
        ) from error


@contextmanager
def failures_in_words() -> Iterator[None]:
    """Raise errors for a command of the command line, such as a missing right, without a traceback.

    Raises:
        StorageError: see `storage_errors`.
        Unusable: PostgreSQL refuses a statement.
    """
    try:
        with storage_errors():
            yield
    except psycopg.Error as error:
        is_right_missing = state_of(error) == "42501"
        remedy = "; the owner of the tables has this right" if is_right_missing else ""
        raise Unusable(f"PostgreSQL: {error}{remedy}") from error


def _why(error: psycopg.Error, fault: Fault) -> str:
    """Return the cause as callers may see it."""
    if fault is Fault.SEALED:
        return str(error)
    return STANDBY if _is_of_standby(error) else ""


def _is_of_standby(error: psycopg.Error) -> bool:
    """Return whether libpq has found a standby, and no primary; it has no code for that."""
    return isinstance(error, psycopg.OperationalError) and "hot standby mode" in str(error)


def _fault_of(error: psycopg.Error) -> Fault | None:
    """Return the kind of failure; None for a bug."""
    if isinstance(error, Lost):
        return Fault.BROKEN
    if _is_of_standby(error):
        return Fault.READ_ONLY
    state = state_of(error)
    if not state:
        is_of_connection = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return Fault.BROKEN if is_of_connection else None
    return _FAULTS.get(state) or _FAULTS_OF_CLASSES.get(state[:2])


def state_of(error: psycopg.Error) -> str:
    """Return the SQLSTATE; empty if the error is none of the server."""
    return error.state if isinstance(error, Failed) else error.sqlstate or ""
