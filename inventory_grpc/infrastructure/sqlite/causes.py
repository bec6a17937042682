"""The kind and the cause of an error of SQLite, as far as SQLite and the system tell.

Files are looked at without being opened: a process that closes a file loses all locks that it
has on it, those of SQLite included.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import apsw

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.sqlite.beside import beside

BESIDE: Final = ("-wal", "-shm")
"""The endings of the files that SQLite keeps beside the main one while it is in use."""

WITHOUT_NUMBER: Final = {
    0,
    apsw.SQLITE_IOERR,
    apsw.SQLITE_IOERR_SHORT_READ,
    apsw.SQLITE_IOERR_DATA,
    apsw.SQLITE_IOERR_CORRUPTFS,
}
"""No call of the system has failed in these, so its last number is that of something else."""

NO_CHECKSUM: Final = (
    "a page does not have the checksum that it was written with: another program, such as "
    "sqlite3, has written to the file, or it was damaged; `inventory-grpc repair` tells which"
)


@contextmanager
def storage_errors(
    path: Path, connection: apsw.Connection | None = None, *, committing: bool = False
) -> Iterator[None]:
    """Raise trouble with the file at *path* as `StorageError`; a bug stays as it is.

    With the *connection*, the error names the cause that the system gave.

    Raises:
        StorageError: the file, the disk or a lock is not as it should be.
    """
    try:
        yield
    except apsw.Error as error:
        number = _error_number(error, connection)
        fault = _fault_of(error, number, path)
        if fault is None:
            raise
        raise StorageError(
            fault, committing, _why(error, number, path), _detail(error, number, path)
        ) from error


def _error_number(error: apsw.Error, connection: apsw.Connection | None) -> int:
    """Return the number of the system's error; 0 if it is not known."""
    if not isinstance(error, apsw.IOError | apsw.CantOpenError) or _code(error) in WITHOUT_NUMBER:
        return 0
    with suppress(apsw.ConnectionClosedError):
        if connection is not None and connection.system_errno:
            return connection.system_errno
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as also:  # there are too many open files
        return also.errno or 0
    return 0


def _fault_of(error: apsw.Error, number: int, path: Path) -> Fault | None:
    """Return the kind of trouble, or None: then the program is wrong."""
    match error:
        case apsw.BusyError() | apsw.LockedError():
            return Fault.BUSY
        case apsw.CorruptError() | apsw.NotADBError():
            return Fault.DAMAGED
        case apsw.IOError() if _code(error) == apsw.SQLITE_IOERR_DATA:
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
            return Fault.READ_ONLY  # SQLite wants to make a file, also where it only reads
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
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return ""  # the kind of trouble says it all
    if isinstance(error, apsw.IOError) and _code(error) == apsw.SQLITE_IOERR_DATA:
        return ""
    return str(error)


def _detail(error: apsw.Error, number: int, path: Path) -> str:
    """Return all there is to know, for the log."""
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
    """Return the first thing that this process cannot write to, and why; None if it can."""
    for file in (path.parent, path):
        if not file.exists():
            return file, os.strerror(errno.ENOENT)
    companions = [beside(path, end) for end in BESIDE]
    there = [file for file in companions if file.exists()]
    folder = [] if there == companions else [path.parent]  # SQLite has to make what is missing
    for file in (path, *there, *folder):
        if not os.access(file, os.W_OK):
            return file, os.strerror(_why_not_writable(file))
    return None


def _why_not_writable(file: Path) -> int:
    with suppress(OSError):
        if os.statvfs(file).f_flag & os.ST_RDONLY:
            return errno.EROFS
    return errno.EPERM if os.geteuid() == 0 else errno.EACCES
