"""Whether the files at and beside a path belong together, found out before SQLite opens any.

SQLite moves every WAL it finds into the file of that name. So a backup that is put beside the
WAL of the file before becomes a mixture of both, and a new file beside it takes its place in
silence. The WAL and the mark name their log; such a path is refused, and nothing is touched.
"""

from collections.abc import Sequence
from pathlib import Path

from inventory_grpc.infrastructure.sqlite.beside import (
    beside,
    has_content,
    leftovers,
    swaps_under_way,
)
from inventory_grpc.infrastructure.sqlite.high_water import mark_of
from inventory_grpc.infrastructure.sqlite.log_row import row_of_file, row_of_wal
from inventory_grpc.infrastructure.sqlite.schema import NotOurs, check_header


class Misplaced(NotOurs):
    """Files lie at a path that do not belong together; none of them was touched."""


def check_files(path: Path) -> bool:
    """Return whether there is a database of ours, and all beside it is its own.

    Raises:
        NotOurs: there is a file of something else, or of a newer format.
        Misplaced: there is a file that belongs to no database here; the message has its name,
            and the ways out.
    """
    if swaps := swaps_under_way(path):
        raise Misplaced(
            f"a restore or a repair of {path} was interrupted before {_names(swaps)} took its "
            "place: run it again; nothing is lost"
        )
    if not check_header(path):
        check_nothing_beside(path)
        return False
    if strange := _strangers(path):
        raise Misplaced(
            f"{path} is another log than {_names(strange)} beside it, or an older copy; nothing "
            "was opened. To restore it, move it elsewhere and run `inventory-grpc restore` with "
            f"its new name and `--database {path}`; to use it as it is, move {_names(strange)} away"
        )
    return True


def check_nothing_beside(path: Path) -> None:
    """Return if a file that is put at *path* would find nothing there that is not its own.

    Raises:
        Misplaced: it would.
    """
    if left := leftovers(path):
        raise Misplaced(
            f"there is no database at {path}, but {_names(left)} of one: put its file back, or "
            f"run `inventory-grpc restore BACKUP --database {path}`; to begin a new log there, "
            f"move {_names(left)} away"
        )


def _strangers(path: Path) -> Sequence[Path]:
    """Return what lies beside the database at *path*, and is of another log or a later file."""
    wal, mark = beside(path, "-wal"), beside(path, ".mark")
    # the WAL is read first: meanwhile another process may move more of it into the file
    of_wal, of_mark, of_file = row_of_wal(wal), mark_of(path), row_of_file(path)
    if of_file is None:
        return []  # it is damaged, which is for others to tell
    is_other_mark = of_mark is not None and of_mark.log_id != of_file.log_id
    if of_wal is None:
        is_other_wal = is_other_mark and has_content(wal)
    else:
        # all that was in the WAL before this one is in its file
        is_other_wal = of_wal.log_id != of_file.log_id or of_wal.probe > of_file.probe + 1
    if is_other_wal and of_mark and of_wal and of_mark.log_id == of_wal.log_id:
        is_other_mark = True  # an older copy: the mark, too, goes beyond it
    return [file for file, is_other in ((wal, is_other_wal), (mark, is_other_mark)) if is_other]


def _names(files: Sequence[Path]) -> str:
    return " and ".join(str(file) for file in files)
