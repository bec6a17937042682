"""The files that lie beside a database under its name: SQLite's WAL, our mark, a swap under way.

Each of them belongs to one database file. Beside another one, or beside none, it is a danger:
SQLite moves any WAL that it finds into any file of that name.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

COMPANIONS: Final = ("-wal", "-shm", "-journal", ".mark")
"""Ends of the names of everything that goes wherever the file goes; the lock stays."""

_EVIDENCE: Final = ("-wal", "-journal", ".mark")
"""Those of them that a database leaves behind, and a -shm does not matter without a WAL."""

_SWAP: Final = ".swap-"


def beside(path: Path, end: str) -> Path:
    """Return *path* with *end* added to its name."""
    return path.with_name(path.name + end)


def leftovers(path: Path) -> Sequence[Path]:
    """Return the files beside *path* that would be taken for those of a file put there.

    Nothing may be made, copied or moved to *path* while there are any.
    """
    found = [beside(path, end) for end in _EVIDENCE]
    return [*filter(has_content, found), *swaps_under_way(path)]


def swaps_under_way(path: Path) -> Sequence[Path]:
    """Return the files that were about to take the place of *path* when a swap was killed."""
    if not path.parent.is_dir():
        return []
    start = path.name + _SWAP
    return sorted(file for file in path.parent.iterdir() if file.name.startswith(start))


def swap_name(path: Path, date: str) -> Path:
    """Return the name under which a file waits to take the place of *path*."""
    return beside(path, _SWAP + date)


def date_of_swap(path: Path, swap: Path) -> str:
    """Return the date in the name of a file that waits to take the place of *path*."""
    return swap.name.removeprefix(path.name + _SWAP)


def has_content(file: Path) -> bool:
    """Return whether there is a file with something in it."""
    return size_of(file) > 0


def size_of(file: Path) -> int:
    """Return the size of a file; 0 if it is not there, as a WAL goes when a server stops."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
