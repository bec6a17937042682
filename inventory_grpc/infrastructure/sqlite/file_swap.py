"""Replaces a database file with a new one, and keeps the old file and its companions.

The new file is first renamed to a name that marks a swap and has its date. While a file has
such a name, every start is refused, so no order of the following renames can do harm: the old
files get names with that date, then the new file takes its place. A swap that was killed is
finished from that date. Nothing is deleted or overwritten.
"""

import os
from pathlib import Path
from typing import NamedTuple

from inventory_grpc.infrastructure.sqlite.companions import (
    COMPANIONS,
    companion,
    date_of_swap,
    swap_name,
    swaps_under_way,
)


class Kept(NamedTuple):
    """The old files of a path, under their new names."""

    path: Path
    """The new name of the old database file; its WAL and mark are beside it."""
    files: tuple[Path, ...]
    """All of the old files; empty if there were none."""


def swap_in(path: Path, new: Path, date: str) -> Kept:
    """Replace *path* with *new*, a closed database file in the same folder.

    The old file and its companions are kept under their names and *date*. The caller holds the
    exclusive lock of *path*. Killed at any moment, this leaves the old files unchanged, the new
    file in place, or a swap that `finish_swaps` completes.

    Raises:
        FileExistsError: a file has a name with this date already; nothing was changed.
        OSError: a file cannot be synced or renamed.
    """
    for end in ("", *COMPANIONS):
        if (taken := companion(_dated(path, date), end)).exists():
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
        FileExistsError: a new file was placed at *path* since; it is left there.
        OSError: a file cannot be synced or renamed.
    """
    return [_finish(path, waiting) for waiting in swaps_under_way(path)]


def _finish(path: Path, waiting: Path) -> Kept:
    kept = _dated(path, date_of_swap(path, waiting))
    for end in ("", *COMPANIONS):
        old, name = companion(path, end), companion(kept, end)
        if old.exists():
            if name.exists():
                raise FileExistsError(f"{old} cannot be kept as {name}, which exists: move it away")
            _rename(old, name)
    sync(path.parent)
    _rename(waiting, path)
    sync(path.parent)
    there = (companion(kept, end) for end in ("", *COMPANIONS))
    return Kept(kept, tuple(file for file in there if file.exists()))


def _rename(old: Path, new: Path) -> None:
    old.rename(new)


def _dated(path: Path, date: str) -> Path:
    return path.with_name(f"{path.name}.{date}")


def sync(path: Path) -> None:
    """Sync a file, or the names in a folder, to disk.

    Raises:
        OSError: the sync failed.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
