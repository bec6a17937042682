"""Puts a backup in the place of a database, whole or not at all; what was there is kept.

The copy is made and checked beside the target first: every page (`quick_check`, which also
verifies each page's checksum) and every link of the chain. Only then does it take the place of
the target, in one swap. It is a log of its own, also when it was restored from the very file
that it replaces: followers of the log before are told, and start over.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.sqlite import schema
from inventory_grpc.infrastructure.sqlite.backup import back_up, give_rights_of
from inventory_grpc.infrastructure.sqlite.belonging import check_files
from inventory_grpc.infrastructure.sqlite.beside import beside
from inventory_grpc.infrastructure.sqlite.causes import storage_errors
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.events import broken_links
from inventory_grpc.infrastructure.sqlite.one_name import check_name
from inventory_grpc.infrastructure.sqlite.opening import InUse, locked
from inventory_grpc.infrastructure.sqlite.swapping import Kept, finish_swaps, swap_in

_SHARED_FIRST: Final = 0x40000002
_SHARED_BYTES: Final = 510
"""Where SQLite holds its shared lock as long as a database is open, by its file format."""


class Restored(NamedTuple):
    """What a restore has done."""

    position: int
    log_id: str
    """Of the database as it is now."""
    kept: list[Kept]
    """What lay at its path before; more than one where an earlier restore was interrupted."""


def restore(backup: Database, target: Database, progress: Callable[[int, int], None]) -> Restored:
    """Put a copy of *backup* at the path of *target*, and keep what is there under other names.

    Raises:
        NotOurs: *backup* is no database of ours, or newer, or is the target itself.
        Misplaced: beside *backup* there is what does not belong to it.
        InUse: a process has the target open.
        StorageError: *backup* cannot be read, or is damaged.
        OSError: a file cannot be written, synced or renamed. With each of the errors before the
            target was not touched; with this one it may be half way, see `swapping.py`.
    """
    if not check_files(backup.path):
        raise schema.NotOurs(f"there is no database at {backup.path}")
    check_name(backup.path)
    schema.read_models_of(backup)
    if target.path.exists() and target.path.samefile(backup.path):
        raise schema.NotOurs(
            f"{backup.path} is itself the database that would be replaced; "
            "move it elsewhere, then restore it from there"
        )
    target.path.parent.mkdir(parents=True, exist_ok=True)
    with locked(target, exclusive=True), kept_from_others(target.path):
        kept = finish_swaps(target.path)
        date = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        copy = back_up(backup, beside(target.path, f".copy-{date}"), progress)
        try:
            _check(Database(copy.path, vfs=target.vfs))
            if target.path.exists():
                give_rights_of(target.path, copy.path)  # a restore is often run by root
            kept.append(swap_in(target.path, copy.path, date))
        except Exception:
            copy.path.unlink(missing_ok=True)  # it is not there once the swap has begun
            raise
    return Restored(copy.position, copy.log_id, [old for old in kept if old.files])


def _check(copy: Database) -> None:
    """See that every page and every link of the chain is as it was written.

    Raises:
        StorageError: one is not.
    """
    # one that only reads leaves out what the tables demand of each row
    with closing(copy.writer()) as connection, storage_errors(copy.path, connection):
        problem: str = connection.execute("PRAGMA quick_check(1)").get
        if problem != "ok":
            raise StorageError(Fault.DAMAGED, detail=f"{copy.path}: {problem}")
        for position in broken_links(connection, 0):
            raise StorageError(Fault.DAMAGED, detail=f"event {position} is not what was chained")


@contextmanager
def kept_from_others(path: Path) -> Iterator[None]:
    """Have no program, of ours or not, open the database at *path* meanwhile.

    Readers, such as `events --follow`, do not hold the lock beside the file; but all that have
    it open hold SQLite's own. This process may not: closing a file ends all its locks on it.

    Raises:
        InUse: one has it open.
    """
    if not path.exists():
        yield
        return
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_BYTES, _SHARED_FIRST)
        except (BlockingIOError, PermissionError):  # which of them is up to the system
            raise InUse(f"{path} is in use: another program has it open") from None
        yield
    finally:
        os.close(file)
