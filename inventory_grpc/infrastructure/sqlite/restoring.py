"""Replaces a database with a backup, completely or not at all, and keeps the old files.

The copy is first made beside the target and checked: every page (`quick_check`, which also
verifies each page's checksum) and every link of the hash chain. It then replaces the target in
one swap. The restored log has a new id, even if it was restored from the file that it replaces:
followers of the old log get an error and start over.
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
from inventory_grpc.infrastructure.sqlite.causes import storage_errors
from inventory_grpc.infrastructure.sqlite.companions import companion
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.events import broken_links
from inventory_grpc.infrastructure.sqlite.file_aliases import check_aliases
from inventory_grpc.infrastructure.sqlite.file_set import check_files
from inventory_grpc.infrastructure.sqlite.file_swap import Kept, finish_swaps, swap_in
from inventory_grpc.infrastructure.sqlite.opening import InUse, locked

_SHARED_FIRST: Final = 0x40000002
_SHARED_BYTES: Final = 510
"""The bytes of SQLite's shared lock, held as long as a database is open (its file format)."""


class Restored(NamedTuple):
    position: int
    log_id: str
    """Of the restored database."""
    kept: list[Kept]
    """The old files; more than one set if an earlier restore was interrupted."""


def restore(backup: Database, target: Database, progress: Callable[[int, int], None]) -> Restored:
    """Replace *target* with a copy of *backup*, and keep the old files under other names.

    Raises:
        NotOurs: *backup* is not an inventory database, or is newer, or is the target itself.
        Misplaced: the companion files of *backup* belong to another database.
        InUse: a process has the target open.
        StorageError: *backup* cannot be read, or is damaged.
        OSError: a file cannot be written, synced or renamed. Only this error may leave the
            target half replaced, see `file_swap.py`; the others leave it unchanged.
    """
    if not check_files(backup.path):
        raise schema.NotOurs(f"there is no database at {backup.path}")
    check_aliases(backup.path)
    schema.read_models_of(backup)
    if target.path.exists() and target.path.samefile(backup.path):
        raise schema.NotOurs(
            f"{backup.path} is itself the database that would be replaced; "
            "move it elsewhere, then restore it from there"
        )
    target.path.parent.mkdir(parents=True, exist_ok=True)
    with locked(target, exclusive=True), closed_to_others(target.path):
        kept = finish_swaps(target.path)
        date = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        copy = back_up(backup, companion(target.path, f".copy-{date}"), progress)
        try:
            _check(Database(copy.path, vfs=target.vfs))
            if target.path.exists():
                give_rights_of(target.path, copy.path)  # a restore is often run by root
            kept.append(swap_in(target.path, copy.path, date))
        except Exception:
            copy.path.unlink(missing_ok=True)  # already renamed if the swap has begun
            raise
    return Restored(copy.position, copy.log_id, [old for old in kept if old.files])


def _check(copy: Database) -> None:
    """Check every page, and every link of the hash chain.

    Raises:
        StorageError: one of them does not match.
    """
    # a read-only connection would skip the tables' constraints
    with closing(copy.writer()) as connection, storage_errors(copy.path, connection):
        problem: str = connection.execute("PRAGMA quick_check(1)").get
        if problem != "ok":
            raise StorageError(Fault.DAMAGED, detail=f"{copy.path}: {problem}")
        for position in broken_links(connection, 0):
            raise StorageError(
                Fault.DAMAGED, detail=f"event {position} does not match the hash chain"
            )


@contextmanager
def closed_to_others(path: Path) -> Iterator[None]:
    """Prevent every program from opening the database at *path* meanwhile.

    Readers, such as `events --follow`, do not hold the lock file, but every program that has the
    file open holds SQLite's own lock. This process must not have it open: closing a file drops
    all of a process's locks on it.

    Raises:
        InUse: a program has it open.
    """
    if not path.exists():
        yield
        return
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_BYTES, _SHARED_FIRST)
        except (BlockingIOError, PermissionError):  # which one depends on the system
            raise InUse(f"{path} is in use: another program has it open; stop it first") from None
        yield
    finally:
        os.close(file)
