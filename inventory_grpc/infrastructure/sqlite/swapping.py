"""Puts a new database file in the place of another one, and keeps everything of the old one.

The new file first gets a name that says that a swap has begun, and when. While a file has such
a name, every start is refused, so the order of the renames that follow cannot do harm: those of
the old set, to a name with that date, then the new file to its place. A swap that was killed is
finished from the date in that name. Nothing is deleted, and nothing overwritten.
"""

import os
from pathlib import Path
from typing import NamedTuple

from inventory_grpc.infrastructure.sqlite.beside import (
    COMPANIONS,
    beside,
    date_of_swap,
    swap_name,
    swaps_under_way,
)


class Kept(NamedTuple):
    """What lay at a path before, and where it is now."""

    path: Path
    """The name of the old database file now; its WAL and mark are beside it."""
    files: tuple[Path, ...]
    """What there was, by its new names; empty if there was nothing."""


def swap_in(path: Path, new: Path, date: str) -> Kept:
    """Have *new*, a closed database file in the same folder, take the place of *path*.

    All that lies at and beside *path* is kept under its name and *date*. The caller holds the
    exclusive lock of *path*. Killed at any moment, this leaves the old set as it was, the new
    file in its place, or a swap that `finish_swaps` completes.

    Raises:
        FileExistsError: something has a name with this date already; nothing was changed.
        OSError: a file cannot be synced or renamed.
    """
    for end in ("", *COMPANIONS):
        if (taken := beside(_dated(path, date), end)).exists():
            raise FileExistsError(f"{taken} exists; try again")
    sync(new)
    waiting = swap_name(path, date)
    _rename(new, waiting)
    sync(path.parent)
    return _finish(path, waiting)


def finish_swaps(path: Path) -> list[Kept]:
    """Complete the swaps at *path* that were killed, the oldest first.

    The caller holds the exclusive lock of *path*.

    Raises:
        FileExistsError: something was put at *path* since; it is left there.
        OSError: a file cannot be synced or renamed.
    """
    return [_finish(path, waiting) for waiting in swaps_under_way(path)]


def _finish(path: Path, waiting: Path) -> Kept:
    kept = _dated(path, date_of_swap(path, waiting))
    for end in ("", *COMPANIONS):
        old, name = beside(path, end), beside(kept, end)
        if old.exists():
            if name.exists():
                raise FileExistsError(f"{old} cannot be kept as {name}, which exists: move it away")
            _rename(old, name)
    sync(path.parent)
    _rename(waiting, path)
    sync(path.parent)
    there = (beside(kept, end) for end in ("", *COMPANIONS))
    return Kept(kept, tuple(file for file in there if file.exists()))


def _rename(old: Path, new: Path) -> None:
    old.rename(new)


def _dated(path: Path, date: str) -> Path:
    return path.with_name(f"{path.name}.{date}")


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on disk.

    Raises:
        OSError: they are not.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
