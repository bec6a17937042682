"""A private staging folder in which a file is built before it gets its name.

The folder's name cannot be guessed and only its owner can enter it, so no file of anyone else
is ever overwritten.
"""

import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from inventory_grpc.infrastructure.sqlite.file_swap import sync
from inventory_grpc.infrastructure.sqlite.opening import InUse

PARTIAL: Final = ".partial-"
"""Separates the name of the file from the random part of the folder's name."""

WITHOUT_LINKS: Final = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""Errors of file systems that have no hard links."""


@contextmanager
def staging_folder(target: Path) -> Iterator[tuple[Path, tuple[Path, ...]]]:
    """Create a folder beside *target*; on exit, remove it and everything in it.

    Yields it, and the folders for the same target that killed processes have left.

    Raises:
        InUse: another process is building a file for this target.
        OSError: the folder cannot be created there.
    """
    left = left_unfinished(target.parent, re.compile(re.escape(target.name)))
    folder = Path(tempfile.mkdtemp(prefix=target.name + PARTIAL, dir=target.parent))
    with ExitStack() as made:
        try:
            made.enter_context(_locked(folder))
        except BlockingIOError:  # another process that starts now holds it to test for a live owner
            folder.rmdir()
            raise _in_use(folder) from None
        made.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder, left


def left_unfinished(parent: Path, names: re.Pattern[str]) -> tuple[Path, ...]:
    """Return the folders for files of these *names* whose owners have ended: their locks are free.

    Raises:
        InUse: the owner of one is running.
    """
    left: list[Path] = []
    for folder in sorted(parent.iterdir()):
        name, _, _ = folder.name.rpartition(PARTIAL)
        if not names.fullmatch(name) or folder.is_symlink():
            continue
        if folder.is_dir() and os.access(folder, os.R_OK):
            try:
                with _locked(folder):
                    left.append(folder)
            except BlockingIOError:
                raise _in_use(folder) from None
    return tuple(left)


def _in_use(folder: Path) -> InUse:
    target = folder.with_name(folder.name.partition(PARTIAL)[0])
    return InUse(f"another process is making {target}, in {folder}")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a lock on *folder*, which shows that its owner is running.

    Raises:
        BlockingIOError: another process holds it.
    """
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass  # this file system cannot lock folders; the random name must be enough
        yield
    finally:
        os.close(file)


def rename_without_replacing(made: Path, target: Path) -> None:
    """Rename the file *made* to *target* without replacing another file, and sync the folder.

    Raises:
        FileExistsError: there is a file of that name.
    """
    try:
        os.link(made, target)
    except FileExistsError:
        raise FileExistsError(f"another process has made {target} meanwhile") from None
    except OSError as error:
        if error.errno not in WITHOUT_LINKS:
            raise
        # an empty file of our own reserves the name, and is then replaced
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        made.rename(target)
    else:
        made.unlink()
    sync(target.parent)
