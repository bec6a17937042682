"""Reading a database that this process cannot write to, or beside: read-only mounts, others' files.

SQLite reads such a file by itself where its WAL and its `-shm` are there, as beside a server that
runs or was killed. Without them it would have to make them. So a file without a WAL is read as
one that nobody changes, and what somebody changed meanwhile is noticed at the end; a file with a
WAL and no `-shm`, as some copies are, is copied into a temporary folder first.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from inventory_grpc.infrastructure.sqlite.beside import beside, has_content, size_of
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.opening import InUse


class _Look(NamedTuple):
    """The state of a file as far as it can be told without reading it."""

    inode: int
    size: int
    time: int
    wal: int


@contextmanager
def readable(database: Database) -> Iterator[Database]:
    """Yield *database* in a way that it can be read, and make nothing beside it that cannot stay.

    Raises:
        InUse: somebody has begun to change the file, so that what was read means nothing.
        OSError: it cannot be looked at or copied.
    """
    path = database.path
    wal, shm = (beside(path, end) for end in ("-wal", "-shm"))
    # what a stranger makes beside the file its owner could not write to
    may_write = os.access(path.parent, os.W_OK) and os.access(path, os.W_OK)
    if may_write or (wal.exists() and shm.exists()):
        yield database
    elif has_content(wal):
        with _copied(database) as copy:
            yield copy
    else:
        with _unchanged(path):
            yield replace(database, is_at_rest=True)


def has_changed(path: Path, since: _Look) -> bool:
    return look_at(path) != since


def look_at(path: Path) -> _Look:
    """Return what tells whether somebody has written to the file."""
    status, wal = path.stat(), beside(path, "-wal")
    return _Look(status.st_ino, status.st_size, status.st_mtime_ns, size_of(wal))


@contextmanager
def _unchanged(path: Path) -> Iterator[None]:
    before = look_at(path)
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
            if (file := beside(database.path, end)).exists():
                shutil.copyfile(file, beside(copy, end))
        yield replace(database, path=copy)
