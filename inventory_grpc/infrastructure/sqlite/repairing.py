"""Restores the page checksums of a file after another program has written pages without them.

Checksums are computed when pages move from the WAL into the file. A program that does not know
them, such as a `sqlite3` shell that is the last to close a file after a crash, moves pages
without checksums. Such pages cannot be distinguished from damaged ones, so they are not served.

The file is read without checking and copied with new checksums. The copy replaces it only if it
passes all checks: its structure, the hash chain, every table against the log, and the high-water
mark. It is the same log and keeps its id and followers. Only the remembered answers of requests
that recorded no events cannot be checked.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.sqlite import schema
from inventory_grpc.infrastructure.sqlite.backup import copy_pages, give_rights_of
from inventory_grpc.infrastructure.sqlite.causes import storage_errors
from inventory_grpc.infrastructure.sqlite.companions import companion
from inventory_grpc.infrastructure.sqlite.connection import Database, load_checksum_vfs, one_state
from inventory_grpc.infrastructure.sqlite.events import read_head, read_log_id
from inventory_grpc.infrastructure.sqlite.file_aliases import check_aliases
from inventory_grpc.infrastructure.sqlite.file_set import check_files
from inventory_grpc.infrastructure.sqlite.file_swap import Kept, finish_swaps, swap_in, sync
from inventory_grpc.infrastructure.sqlite.high_water import HighWater
from inventory_grpc.infrastructure.sqlite.opening import locked
from inventory_grpc.infrastructure.sqlite.restoring import closed_to_others
from inventory_grpc.infrastructure.sqlite.staging import rename_without_replacing, staging_folder
from inventory_grpc.infrastructure.sqlite.upgrading import make_current
from inventory_grpc.infrastructure.sqlite.verify import verify

WITHOUT_CHECKSUMS: Final = "unix"
"""SQLite's plain VFS, which `cksumvfs` wraps."""

_READ_AT_ONCE: Final = 256
"""Pages read at a time."""


class Repaired(NamedTuple):
    pages: int
    """Pages that had no valid checksum; if there are none, nothing was changed."""
    position: int = 0
    log_id: str = ""
    kept: Kept | None = None
    """The old files; if there were no such pages, those of an interrupted repair."""


class Progress(NamedTuple):
    """Callbacks for the steps of a repair, with the amount done."""

    copying: Callable[[int, int], None]
    checking: Callable[[int], None]


def repair(database: Database, progress: Progress) -> Repaired:
    """Replace the file with a verified copy that has checksums; keep the old files.

    Raises:
        NotOurs: there is no inventory database, or it is newer.
        InUse: a process has it open.
        StorageError: it fails a check, or cannot be read; nothing was changed.
        OSError: a file cannot be written, synced or renamed; nothing was changed, except if
            that was in the swap at the end, see `file_swap.py`.
    """
    path = database.path
    with locked(database, exclusive=True):
        with closed_to_others(path):
            finished = finish_swaps(path)
        if not check_files(path):
            raise schema.NotOurs(f"there is no database at {path}; name one with --database")
        check_aliases(path)
        pages = _pages_without_checksum(path)
        if not pages:
            return Repaired(0, kept=finished[-1] if finished else None)
        date = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        ready = companion(path, f".repaired-{date}")
        with staging_folder(ready) as (folder, _):
            copy = replace(database, path=folder / path.name)
            _copy(database, copy, progress.copying)
            log_id, position = _proven(copy, database, progress.checking)
            give_rights_of(path, copy.path)
            sync(copy.path)
            rename_without_replacing(copy.path, ready)
        try:
            with closed_to_others(path), _mark_kept(path):
                kept = swap_in(path, ready, date)
        except Exception:
            ready.unlink(missing_ok=True)  # already renamed if the swap has begun
            raise
    return Repaired(pages, position, log_id, kept)


def _pages_without_checksum(path: Path) -> int:
    """Return how many pages of the file, without its WAL, have a wrong checksum."""
    load_checksum_vfs()
    with path.open("rb") as file, closing(apsw.Connection(":memory:")) as memory:
        size = int.from_bytes(file.read(18)[16:], "big")
        size = 65_536 if size == 1 else size
        file.seek(0)
        count = 0
        while pages := file.read(size * _READ_AT_ONCE):
            for begin in range(0, len(pages), size):
                page = pages[begin : begin + size]
                count += not memory.execute("SELECT verify_checksum(?)", (page,)).get
    return count


def _copy(database: Database, copy: Database, progress: Callable[[int, int], None]) -> None:
    wal = companion(database.path, "-wal")
    is_at_rest = not wal.exists() or not wal.stat().st_size
    unchecked = replace(database, vfs=WITHOUT_CHECKSUMS, is_at_rest=is_at_rest)
    with closing(unchecked.reader()) as source, closing(copy.creator()) as target:
        with storage_errors(database.path, source), one_state(source):
            problem = source.execute("PRAGMA quick_check(1)").get
            if problem != "ok":
                raise _unsound(database, str(problem))
            copy_pages(source, target, copy.path, progress)
        with storage_errors(copy.path, target):
            target.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def _proven(copy: Database, original: Database, progress: Callable[[int], None]) -> tuple[str, int]:
    """Upgrade and verify *copy*; return its log id and last position.

    Raises:
        StorageError: a table differs from the log, or the log is incomplete.
    """
    with closing(copy.writer()) as connection, storage_errors(copy.path, connection):
        if schema.format_of(connection) < schema.FORMAT:
            make_current(connection, lambda _done, _of: None)
    for difference in verify(copy, progress):
        raise _unsound(original, difference)
    with closing(copy.immutable()) as connection, storage_errors(copy.path, connection):
        if missing := HighWater(original.path).missing(connection):
            raise _unsound(original, missing)
        return read_log_id(connection), read_head(connection)


def _unsound(database: Database, found: str) -> StorageError:
    return StorageError(
        Fault.DAMAGED,
        detail=f"{database.path} cannot be repaired, and nothing was changed: {found}; "
        "restore a backup",
    )


@contextmanager
def _mark_kept(path: Path) -> Iterator[None]:
    """Write the mark back after the swap, because the file is still the same log."""
    mark = companion(path, ".mark")
    content = mark.read_bytes() if mark.exists() else b""
    yield
    if content:
        mark.write_bytes(content)
        give_rights_of(path, mark)
