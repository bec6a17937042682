"""The companion files of a database: SQLite's WAL, the high-water mark, an unfinished swap.

Each belongs to one database file. Beside any other file it is dangerous: SQLite checkpoints
any WAL of a matching name into that file.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

COMPANIONS: Final = ("-wal", "-shm", "-journal", ".mark")
"""Suffixes of the files that move with the database; the lock file stays."""

_EVIDENCE: Final = ("-wal", "-journal", ".mark")
"""Companions that a database leaves behind; a -shm does not matter without a WAL."""

_SWAP: Final = ".swap-"


def companion(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def leftovers(path: Path) -> Sequence[Path]:
    """Return the files beside *path* that SQLite or a server would take for a new file's own.

    Nothing may be created, copied or moved to *path* while there are any.
    """
    found = [companion(path, end) for end in _EVIDENCE]
    return [*filter(has_content, found), *swaps_under_way(path)]


def swaps_under_way(path: Path) -> Sequence[Path]:
    """Return the files that were about to replace *path* when a swap was killed."""
    if not path.parent.is_dir():
        return []
    start = path.name + _SWAP
    return sorted(file for file in path.parent.iterdir() if file.name.startswith(start))


def swap_name(path: Path, date: str) -> Path:
    """Return the name that a file has while it waits to replace *path*."""
    return companion(path, _SWAP + date)


def date_of_swap(path: Path, swap: Path) -> str:
    """Return the date in the name of a file that waits to replace *path*."""
    return swap.name.removeprefix(path.name + _SWAP)


def has_content(file: Path) -> bool:
    return size_of(file) > 0


def size_of(file: Path) -> int:
    """Return the size of a file; 0 if it is missing, as a WAL is after a server has stopped."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
