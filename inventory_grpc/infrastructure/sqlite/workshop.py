"""A folder of its own in which a file is made that gets its name only when it is whole.

Everything made on the way lies in the folder: its name cannot be guessed, and only its owner
can look into it, so nothing of anybody else is ever touched.
"""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from inventory_grpc.infrastructure.sqlite.opening import InUse
from inventory_grpc.infrastructure.sqlite.swapping import sync

PARTIAL: Final = ".partial-"
"""Stands between the name of the file and what cannot be guessed."""

WITHOUT_LINKS: Final = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""How file systems say that a file cannot have two names there."""


@contextmanager
def workshop(target: Path) -> Iterator[tuple[Path, tuple[Path, ...]]]:
    """Make a folder beside *target*; on leaving, remove it and everything in it.

    Yields it, and the folders that others for the same target have left, who were killed.

    Raises:
        InUse: a file for this target is just being made.
        OSError: it cannot be made there.
    """
    left = _left(target)
    folder = Path(tempfile.mkdtemp(prefix=target.name + PARTIAL, dir=target.parent))
    with ExitStack() as made:
        try:
            made.enter_context(_locked(folder))
        except BlockingIOError:  # somebody who begins right now looks whether its maker lives
            folder.rmdir()
            raise _in_use(target, folder) from None
        made.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder, left


def _left(target: Path) -> tuple[Path, ...]:
    """Return the folders whose makers are gone: the system has given up their locks."""
    left: list[Path] = []
    for folder in sorted(target.parent.iterdir()):
        if not folder.name.startswith(target.name + PARTIAL) or folder.is_symlink():
            continue
        if folder.is_dir() and os.access(folder, os.R_OK):
            try:
                with _locked(folder):
                    left.append(folder)
            except BlockingIOError:
                raise _in_use(target, folder) from None
    return tuple(left)


def _in_use(target: Path, folder: Path) -> InUse:
    return InUse(f"{target} is just being made by another process, in {folder}")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a lock on *folder*, which says that its maker lives.

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
            pass  # this file system locks no folders; its name alone keeps others out
        yield
    finally:
        os.close(file)


def take_name(made: Path, target: Path) -> None:
    """Give the file *made* the name *target*, unless somebody has it, and have that on disk.

    Raises:
        FileExistsError: somebody has it.
    """
    try:
        os.link(made, target)
    except FileExistsError:
        raise FileExistsError(f"{target} was made by somebody else meanwhile") from None
    except OSError as error:
        if error.errno not in WITHOUT_LINKS:
            raise
        # the name is taken first, with an empty file of our own, which is then replaced
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        made.rename(target)
    else:
        made.unlink()
    sync(target.parent)
