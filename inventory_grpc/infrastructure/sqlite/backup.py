"""How is the file copied while it is in use?

A copy is a log of its own from where it was taken: the original goes on, and so may the
copy, and then the same position means two things. Events keep the names they were recorded
under; the copy has a new one, so that followers of the original are told rather than
shown something else.
"""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from inventory_grpc.infrastructure.sqlite import schema
from inventory_grpc.infrastructure.sqlite.causes import storage_errors
from inventory_grpc.infrastructure.sqlite.chain import check_tail
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.events import read_head, read_log_id
from inventory_grpc.infrastructure.sqlite.readers import one_state
from inventory_grpc.infrastructure.sqlite.storage import TAIL

STEP_PAGES: Final = 1_000


class Backup(NamedTuple):
    """What a copy holds: the log up to a position, and everything that goes with it."""

    path: Path
    log_id: str
    """Of the copy."""
    position: int


def back_up(database: Database, target: Path, progress: Callable[[int, int], None]) -> Backup:
    """Copy the file as it is at one moment, check the end of its log, and only then name it.

    *progress* is called with the pages that are done and those there are.

    Raises:
        FileExistsError: there is something at *target*; nothing is overwritten.
        StorageError: the file cannot be read, or the copy not be written.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists; choose another name, or move it away")
    partial = Database(target.with_name(target.name + ".partial"), vfs=database.vfs)
    _remove(partial.path)  # of a backup that was killed
    try:
        with (
            closing(database.reader()) as source,
            closing(partial.writer()) as copy,
            storage_errors(partial.path, copy),
        ):
            with one_state(source), copy.backup("main", source, "main") as backup:
                head = read_head(source)
                while not backup.step(STEP_PAGES):
                    progress(backup.page_count - backup.remaining, backup.page_count)
            check_tail(copy, TAIL)
            schema.rename_log(copy)
            log_id = read_log_id(copy)
        partial.path.rename(target)
    finally:
        _remove(partial.path)
    return Backup(target, log_id, head)


def _remove(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
