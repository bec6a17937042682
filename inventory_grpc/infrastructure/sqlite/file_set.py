"""Checks that a database and its companion files belong together, before SQLite opens any.

SQLite checkpoints every WAL it finds into the file of that name. A backup placed beside the WAL
of the previous file would become a mixture of both, without an error. The WAL and the mark name
their log, so such a path is refused and nothing is changed.
"""

from collections.abc import Sequence
from pathlib import Path

from inventory_grpc.infrastructure.sqlite.companions import (
    companion,
    has_content,
    leftovers,
    swaps_under_way,
)
from inventory_grpc.infrastructure.sqlite.high_water import mark_of
from inventory_grpc.infrastructure.sqlite.log_row import row_of_file, row_of_wal
from inventory_grpc.infrastructure.sqlite.schema import NotOurs, check_header


class Misplaced(NotOurs):
    """The files at a path do not belong together; none of them was changed."""


def check_files(path: Path) -> bool:
    """Return whether there is an inventory database; if so, its companion files are its own.

    Raises:
        NotOurs: the file is not an inventory database, or has a newer format.
        Misplaced: a companion file belongs to another database; the message names it and the
            remedies.
    """
    if swaps := swaps_under_way(path):
        raise Misplaced(
            f"a restore or a repair of {path} was interrupted before {_names(swaps)} replaced "
            "it: run it again; nothing is lost"
        )
    if not check_header(path):
        check_nothing_beside(path)
        return False
    if strange := _strangers(path):
        raise Misplaced(
            f"{path} is not the log that {_names(strange)} beside it belongs to, or is an older "
            "copy; nothing was opened. To restore it, move it elsewhere and run `inventory-grpc "
            f"restore` with its new name and `--database {path}`; to use it as it is, move "
            f"{_names(strange)} away"
        )
    return True


def check_nothing_beside(path: Path) -> None:
    """Check that no companion files of another database lie at *path*.

    Raises:
        Misplaced: there are some.
    """
    if left := leftovers(path):
        raise Misplaced(
            f"there is no database at {path}, but {_names(left)} of one: put its file back, or "
            f"run `inventory-grpc restore BACKUP --database {path}`; to start a new log there, "
            f"move {_names(left)} away"
        )


def _strangers(path: Path) -> Sequence[Path]:
    """Return the companion files of *path* that belong to another log or to a later copy."""
    wal, mark = companion(path, "-wal"), companion(path, ".mark")
    # the WAL is read first: another process may checkpoint it into the file meanwhile
    of_wal, of_mark, of_file = row_of_wal(wal), mark_of(path), row_of_file(path)
    if of_file is None:
        return []  # the file is damaged; opening it reports that
    is_other_mark = of_mark is not None and of_mark.log_id != of_file.log_id
    if of_wal is None:
        is_other_wal = is_other_mark and has_content(wal)
    else:
        # the previous WAL was checkpointed into its file before this WAL began
        is_other_wal = of_wal.log_id != of_file.log_id or of_wal.probe > of_file.probe + 1
    if is_other_wal and of_mark and of_wal and of_mark.log_id == of_wal.log_id:
        is_other_mark = True  # an older copy: the mark is also ahead of it
    return [file for file, is_other in ((wal, is_other_wal), (mark, is_other_mark)) if is_other]


def _names(files: Sequence[Path]) -> str:
    return " and ".join(str(file) for file in files)
