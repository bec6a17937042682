"""A copy of the file at one moment, made while the file is in use.

A copy is a log of its own from where it was taken: the original goes on, and so may the
copy, and then the same position means two things. Events keep the names they were recorded
under; the copy has a new one, so that followers of the original are told rather than
shown something else.

The copy is made in a folder of its own beside the target, which nobody else can look into,
and gets its name only when it is whole and on disk. A name that somebody has is never taken.
"""

import os
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.sqlite import schema
from inventory_grpc.infrastructure.sqlite.causes import storage_errors
from inventory_grpc.infrastructure.sqlite.connection import Database, one_state
from inventory_grpc.infrastructure.sqlite.events import check_tail, read_head, read_log_id
from inventory_grpc.infrastructure.sqlite.high_water import HighWater
from inventory_grpc.infrastructure.sqlite.storage import TAIL
from inventory_grpc.infrastructure.sqlite.swapping import sync
from inventory_grpc.infrastructure.sqlite.unwritable import readable
from inventory_grpc.infrastructure.sqlite.workshop import take_name, workshop

STEP_PAGES: Final = 1_000

BESIDE_TARGET: Final = ("-wal", "-journal", ".mark")
"""The endings of files that would be taken for parts of a copy of that name."""

OF_A_DATABASE: Final = (*BESIDE_TARGET, "-shm", ".lock")


class Backup(NamedTuple):
    """What a copy holds: the log up to a position, and everything that goes with it."""

    path: Path
    log_id: str
    """Of the copy."""
    position: int
    left: tuple[Path, ...] = ()
    """Folders of backups to the same name that were killed."""


def back_up(database: Database, target: Path, progress: Callable[[int, int], None]) -> Backup:
    """Copy the file as it is at one moment, check the end of its log, and only then name it.

    *progress* is called with the pages that are done and those there are.

    Raises:
        FileExistsError: something at or beside *target* is in the way; it is left as it is.
        StorageError: the file cannot be read, or the copy not be written.
        OSError: the folder of *target* cannot be written.
    """
    _check_free(target)
    with workshop(target) as (folder, left):
        copy = Database(folder / "copy.db", vfs=database.vfs)
        log_id, position = _copy(database, copy, progress)
        give_rights_of(database.path, copy.path)
        sync(copy.path)
        _check_free(target)
        take_name(copy.path, target)
    return Backup(target, log_id, position, left)


def _check_free(target: Path) -> None:
    """Return if a file may be made at *target*.

    Raises:
        FileExistsError: it would overwrite something, or be mixed up with it.
    """
    if os.path.lexists(target):
        raise FileExistsError(f"{target} exists; choose another name, or move it away")
    for end in BESIDE_TARGET:
        if _has_content(beside := target.with_name(target.name + end)):
            raise FileExistsError(
                f"{beside} is left of another database and would be taken for a part of the copy: "
                "choose another name, or move it away"
            )
    for end in OF_A_DATABASE:
        if target.name.endswith(end) and target.with_name(target.name.removesuffix(end)).exists():
            raise FileExistsError(
                f"{target} would be taken for a part of {target.name.removesuffix(end)}: "
                "choose another name"
            )


def _has_content(path: Path) -> bool:
    """Tell whether there is anything but an empty file, which closing a database leaves."""
    return os.path.lexists(path) and not (
        path.is_file() and not path.is_symlink() and path.stat().st_size == 0
    )


def _copy(
    database: Database, target: Database, progress: Callable[[int, int], None]
) -> tuple[str, int]:
    """Copy all pages, and make the copy a log of its own; return its name and its end."""
    with (
        readable(database) as original,
        closing(original.reader()) as source,
        closing(target.creator()) as copy,
    ):
        with storage_errors(database.path, source):
            # before the moment of the copy: the mark of a busy server goes on
            if missing := HighWater(original.path).missing(source):
                raise StorageError(Fault.DAMAGED, detail=missing)
        with storage_errors(database.path, source), one_state(source):
            head = read_head(source)
            copy_pages(source, copy, target.path, progress)
        with storage_errors(target.path, copy):
            check_tail(copy, TAIL)
            schema.rename_log(copy)
            log_id = read_log_id(copy)
            copy.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    return log_id, head


def copy_pages(
    source: apsw.Connection,
    copy: apsw.Connection,
    path: Path,
    progress: Callable[[int, int], None],
) -> None:
    with storage_errors(path, copy), copy.backup("main", source, "main") as backup:
        while not backup.step(STEP_PAGES):
            progress(backup.page_count - backup.remaining, backup.page_count)


def give_rights_of(original: Path, copy: Path) -> None:
    """Have the copy belong to whom the original does, as far as this process may, and its mode."""
    rights = original.stat()
    for owner, group in ((rights.st_uid, rights.st_gid), (-1, rights.st_gid)):
        with suppress(PermissionError):
            os.chown(copy, owner, group)
            break
    copy.chmod(rights.st_mode & 0o777)
