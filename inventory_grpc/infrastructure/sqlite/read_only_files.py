"""Reads a database where this process cannot write: read-only mounts, other users' files.

SQLite can read such a file if its WAL and `-shm` exist, as with a server that runs or was
killed; otherwise it would have to create them. So a file without a WAL is opened as immutable,
and a change during the read is detected at the end. A file with a WAL but no `-shm`, as some
copies are, is first copied into a temporary folder.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import apsw

from inventory_grpc.application.ports import StorageError
from inventory_grpc.infrastructure.sqlite.companions import companion, has_content, size_of
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.opening import InUse


class _FileState(NamedTuple):
    """The identity, size and time of a file, which change when it is written."""

    inode: int
    size: int
    time: int
    wal: int


@contextmanager
def readable(database: Database) -> Iterator[Database]:
    """Yield *database* in a form that can be read without leaving new companion files.

    Raises:
        InUse: another process changed the file meanwhile, so the results are invalid.
        OSError: the file cannot be inspected or copied.
    """
    path = database.path
    wal, shm = (companion(path, end) for end in ("-wal", "-shm"))
    # the owner of the file could not write to companions that another user creates
    may_write = os.access(path.parent, os.W_OK) and os.access(path, os.W_OK)
    if wal.exists() and shm.exists():
        yield database
    elif may_write:
        yield database
        _tidy(database)
    elif has_content(wal):
        with _copied(database) as copy:
            yield copy
    else:
        with _unchanged(path):
            yield replace(database, is_at_rest=True)


def _tidy(database: Database) -> None:
    """Have SQLite delete the empty WAL and the `-shm` that reading has created.

    SQLite deletes them with the last connection, so not while another process has the file open.
    """
    with suppress(StorageError, apsw.Error), closing(database.reader()) as connection:
        connection.execute("SELECT 1 FROM sqlite_schema").fetchall()  # opens the WAL
        if not has_content(companion(database.path, "-wal")):
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)


def has_changed(path: Path, since: _FileState) -> bool:
    return file_state(path) != since


def file_state(path: Path) -> _FileState:
    """Return the values that change when a process writes to the file."""
    status, wal = path.stat(), companion(path, "-wal")
    return _FileState(status.st_ino, status.st_size, status.st_mtime_ns, size_of(wal))


@contextmanager
def _unchanged(path: Path) -> Iterator[None]:
    before = file_state(path)
    try:
        yield
    finally:
        if has_changed(path, before):
            raise InUse(f"{path} was changed while it was read as a file at rest: try again")


@contextmanager
def _copied(database: Database) -> Iterator[Database]:
    with tempfile.TemporaryDirectory(prefix="inventory-read-") as folder:
        copy = Path(folder) / database.path.name
        for end in ("", "-wal", ".mark"):
            if (file := companion(database.path, end)).exists():
                shutil.copyfile(file, companion(copy, end))
        yield replace(database, path=copy)
