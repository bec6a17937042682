"""Translates SQLite errors to storage errors, with the cause that the system reports.

Files are examined without being opened: closing a file releases all locks of the process on it,
including those of SQLite.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import apsw

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.sqlite.companions import companion

SQLITE_COMPANIONS: Final = ("-wal", "-shm")
"""The suffixes of the files that SQLite keeps beside a database while it is in use."""

WITHOUT_ERRNO: Final = {
    0,
    apsw.SQLITE_IOERR,
    apsw.SQLITE_IOERR_SHORT_READ,
    apsw.SQLITE_IOERR_DATA,
    apsw.SQLITE_IOERR_CORRUPTFS,
}
"""These codes come without a failed system call, so `errno` belongs to another call."""

_FAULTS_OF_CODES: Final = {
    apsw.SQLITE_IOERR_DATA: Fault.DAMAGED,
    apsw.SQLITE_CONSTRAINT_TRIGGER: Fault.SEALED,  # there are no other triggers, see `seal.py`
}

NO_CHECKSUM: Final = (
    "the checksum of a page is wrong: another program, such as sqlite3, has written to the file, "
    "or it was damaged; `inventory-grpc repair` reports which"
)


@contextmanager
def storage_errors(
    path: Path, connection: apsw.Connection | None = None, *, committing: bool = False
) -> Iterator[None]:
    """Raise errors of SQLite as `StorageError`, except those that only a bug can cause.

    With the *connection*, the error has the system's cause.

    Raises:
        StorageError: the file, the disk or a lock has failed.
    """
    try:
        yield
    except apsw.Error as last:
        error = _first(last)
        number = _error_number(error, connection)
        fault = _fault_of(error, number, path)
        if fault is None:
            raise
        raise StorageError(
            fault, committing, _why(error, number, path), _detail(error, number, path)
        ) from error


def _first(error: apsw.Error) -> apsw.Error:
    """Return the error after which SQLite rolled back by itself, so that apsw could not."""
    while isinstance(error, apsw.SQLError) and isinstance(error.__context__, apsw.Error):
        error = error.__context__
    return error


def _error_number(error: apsw.Error, connection: apsw.Connection | None) -> int:
    """Return the `errno` of the error; 0 if it is unknown."""
    if not isinstance(error, apsw.IOError | apsw.CantOpenError) or _code(error) in WITHOUT_ERRNO:
        return 0
    with suppress(apsw.ConnectionClosedError):
        if connection is not None and connection.system_errno:
            return connection.system_errno
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as current:  # such as too many open files
        return current.errno or 0
    return 0


def _fault_of(error: apsw.Error, number: int, path: Path) -> Fault | None:
    """Return the kind of failure; None for a bug."""
    if fault := _FAULTS_OF_CODES.get(_code(error)):
        return fault
    match error:
        case apsw.BusyError() | apsw.LockedError():
            return Fault.BUSY
        case apsw.CorruptError() | apsw.NotADBError():
            return Fault.DAMAGED
        case apsw.FullError():
            return Fault.FULL
        case apsw.IOError() | apsw.CantOpenError() if number in {errno.ENOSPC, errno.EDQUOT}:
            return Fault.FULL
        case apsw.ReadOnlyError():
            return Fault.READ_ONLY
        case apsw.IOError() | apsw.CantOpenError() if number == errno.EROFS:
            return Fault.READ_ONLY
        case apsw.CantOpenError() if os.access(path, os.R_OK) and obstacle(path):
            return Fault.READ_ONLY  # SQLite must create a file even to read
        case (
            apsw.IOError()
            | apsw.CantOpenError()
            | apsw.NoMemError()
            | apsw.InterruptError()
            | apsw.ConnectionClosedError()
            | apsw.PermissionsError()
        ):
            return Fault.BROKEN
        case _:
            return None


def _why(error: apsw.Error, number: int, path: Path) -> str:
    """Return the cause in words, without a path."""
    if isinstance(error, apsw.ReadOnlyError | apsw.CantOpenError) and (found := obstacle(path)):
        return found[1]
    if number:
        return os.strerror(number)
    if isinstance(error, apsw.BusyError | apsw.LockedError | apsw.FullError):
        return ""  # the kind of failure is sufficient
    if isinstance(error, apsw.IOError) and _code(error) == apsw.SQLITE_IOERR_DATA:
        return ""
    return str(error)


def _detail(error: apsw.Error, number: int, path: Path) -> str:
    """Return all known details, for the log."""
    if _code(error) == apsw.SQLITE_IOERR_DATA:
        return f"{path}: {NO_CHECKSUM}"
    words = [f"{path}: {error}", _name(error)]
    if number:
        words.append(f"errno {number}")
    if isinstance(error, apsw.ReadOnlyError | apsw.CantOpenError) and (found := obstacle(path)):
        words.append(f"{found[0]}: {found[1]}")
    return ", ".join(word for word in words if word)


def _code(error: apsw.Error) -> int:
    return getattr(error, "extendedresult", 0)


def _name(error: apsw.Error) -> str:
    """Return the name of the error's code, such as `SQLITE_IOERR_WRITE`."""
    code = _code(error)
    known = apsw.mapping_extended_result_codes.get(code) or apsw.mapping_result_codes.get(code)
    return str(known or "")


def obstacle(path: Path) -> tuple[Path, str] | None:
    """Return the first path that this process cannot write to, and the reason; None if it can."""
    for file in (path.parent, path):
        if not file.exists():
            return file, os.strerror(errno.ENOENT)
    companions = [companion(path, end) for end in SQLITE_COMPANIONS]
    existing = [file for file in companions if file.exists()]
    folder = [] if existing == companions else [path.parent]  # SQLite creates missing files there
    for file in (path, *existing, *folder):
        if not os.access(file, os.W_OK):
            return file, os.strerror(_why_not_writable(file))
    return None


def _why_not_writable(file: Path) -> int:
    with suppress(OSError):
        if os.statvfs(file).f_flag & os.ST_RDONLY:
            return errno.EROFS
    return errno.EPERM if os.geteuid() == 0 else errno.EACCES
