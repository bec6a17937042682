"""Copies the file at one moment, while it is in use.

A copy is a separate log: both may record more events, and then one position has two
meanings. So the copy gets a new log id, and followers of the original get an error instead
of other events. Events keep the log id under which they were recorded.

The copy is made in a private folder beside the target, and gets its name only when it is
complete and synced. It never overwrites a file.
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
from inventory_grpc.infrastructure.sqlite.file_swap import sync
from inventory_grpc.infrastructure.sqlite.high_water import HighWater
from inventory_grpc.infrastructure.sqlite.read_only_files import readable
from inventory_grpc.infrastructure.sqlite.staging import rename_without_replacing, staging_folder
from inventory_grpc.infrastructure.sqlite.storage import TAIL

STEP_PAGES: Final = 1_000

COPY_COMPANIONS: Final = ("-wal", "-journal", ".mark")
"""Suffixes of files that would be taken for companions of the copy."""

ALL_COMPANIONS: Final = (*COPY_COMPANIONS, "-shm", ".lock")


class Backup(NamedTuple):
    """A copy of the log up to a position, with its read models and requests."""

    path: Path
    log_id: str
    """Of the copy."""
    position: int
    left: tuple[Path, ...] = ()
    """Folders left by backups to the same name that were killed."""


def nothing_to_check(_: Database) -> None:
    """Accept every copy."""


def back_up(
    database: Database,
    target: Path,
    progress: Callable[[int, int], None],
    check: Callable[[Database], None] = nothing_to_check,
) -> Backup:
    """Copy the file at one moment, check the end of its log, and then give it its name.

    *progress* is called with the number of pages copied and of all pages. If *check* raises an
    error for the complete copy, there is none.

    Raises:
        FileExistsError: a file at or beside *target* is in the way; it is left unchanged.
        StorageError: the file cannot be read, or the copy cannot be written.
        OSError: the folder of *target* cannot be written.
    """
    _check_free(target)
    with staging_folder(target) as (folder, left):
        copy = Database(folder / "copy.db", vfs=database.vfs)
        log_id, position = _copy(database, copy, progress)
        check(copy)
        give_rights_of(database.path, copy.path)
        sync(copy.path)
        _check_free(target)
        rename_without_replacing(copy.path, target)
    return Backup(target, log_id, position, left)


def _check_free(target: Path) -> None:
    """Check that a file may be created at *target*.

    Raises:
        FileExistsError: it would overwrite a file, or be taken for a part of one.
    """
    if os.path.lexists(target):
        raise FileExistsError(f"{target} exists; choose another name, or move it away")
    for end in COPY_COMPANIONS:
        if _has_content(leftover := target.with_name(target.name + end)):
            raise FileExistsError(
                f"{leftover} was left by another database and would be taken for a part of the "
                "copy: choose another name, or move it away"
            )
    for end in ALL_COMPANIONS:
        if target.name.endswith(end) and target.with_name(target.name.removesuffix(end)).exists():
            raise FileExistsError(
                f"{target} would be taken for a part of {target.name.removesuffix(end)}: "
                "choose another name"
            )


def _has_content(path: Path) -> bool:
    """Return whether *path* is more than an empty file, which closing a database leaves."""
    return os.path.lexists(path) and not (
        path.is_file() and not path.is_symlink() and path.stat().st_size == 0
    )


def _copy(
    database: Database, target: Database, progress: Callable[[int, int], None]
) -> tuple[str, int]:
    """Copy all pages and give the copy a new log id; return that id and the last position."""
    with (
        readable(database) as original,
        closing(original.reader()) as source,
        closing(target.creator()) as copy,
    ):
        with storage_errors(database.path, source):
            # checked before the snapshot is taken: the mark of a busy server moves on
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
    """Give *copy* the mode of *original* and, as far as permitted, its owner and group."""
    rights = original.stat()
    for owner, group in ((rights.st_uid, rights.st_gid), (-1, rights.st_gid)):
        with suppress(PermissionError):
            os.chown(copy, owner, group)
            break
    copy.chmod(rights.st_mode & 0o777)
