"""Refuses to serve one database file under two names, because each name has its own WAL.

SQLite keeps the WAL and its locks beside the name by which a file is opened. A hard link, a
mount of the file alone, or a move under a running server gives the file a second name; two
servers could then write to it, each with its own WAL. Symbolic links are resolved, and folders
may be linked and mounted freely, since the companion files stay the same. Of several hard
links, the one beside which the WAL or the mark lies may be served.
"""

import fcntl
import hashlib
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from inventory_grpc.infrastructure.sqlite.companions import leftovers
from inventory_grpc.infrastructure.sqlite.file_set import Misplaced

MOUNTS: Final = Path("/proc/self/mountinfo")
_MOUNT_POINT: Final = 4
"""The column of the mount point in that file."""

_HAS_LOCKS: Final = sys.platform == "linux" and sys.maxsize > 2**32
_FLOCK: Final = "hhqqi4x"
"""`struct flock` on 64-bit Linux: kind, whence, start, length, process."""
_FIRST: Final = 2**62
_NAMES: Final = 2**48
"""The range of lock bytes, one for each name, far beyond the file's end and SQLite's own locks."""


@contextmanager
def under_one_name(path: Path) -> Iterator[None]:
    """Prevent other processes from serving the file at *path* under another name meanwhile.

    The descriptor must be closed last: closing it drops all of SQLite's locks on the file.

    Raises:
        Misplaced: the file has another name under which a process serves it, or could.
    """
    if (names := path.stat().st_nlink) > 1 and not leftovers(path):
        raise Misplaced(
            f"{path} has {names} names (hard links) and was not served under this one: use the "
            "name beside which its WAL or mark lies, or remove the other names"
        )
    if _is_mounted(path):
        raise Misplaced(
            f"{path} is mounted as a single file, without its WAL: mount its folder instead"
        )
    with _opened(path) as file:
        if _HAS_LOCKS:
            byte = _byte_of(path)
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, _lock(fcntl.F_RDLCK, byte, 1))
        _check_alone(file, path)
        yield


def check_aliases(path: Path) -> None:
    """Check that no process serves the file at *path* under another name.

    This process must not have the file open in SQLite yet.

    Raises:
        Misplaced: a process does.
    """
    with _opened(path) as file:
        _check_alone(file, path)


def _check_alone(file: int, path: Path) -> None:
    if not _HAS_LOCKS:
        return
    byte = _byte_of(path)
    for start, end in ((_FIRST, byte), (byte + 1, _FIRST + _NAMES)):
        answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _lock(fcntl.F_WRLCK, start, end - start))
        if struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK:
            raise Misplaced(
                f"{path} is being served under another name: a link, a mount, or the name it had "
                "before it was moved; stop that server, or use that name"
            )


def _byte_of(path: Path) -> int:
    """Return the lock byte of this name: a hash of the folder's identity and the file name."""
    folder = path.parent.stat()
    name = f"{folder.st_dev} {folder.st_ino} {os.fsencode(path.name).hex()}"
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")
    return _FIRST + number % (_NAMES - 2) + 1


def _lock(kind: int, start: int, length: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, start, length, 0)


def _is_mounted(path: Path) -> bool:
    if not MOUNTS.exists():
        return False
    lines = MOUNTS.read_bytes().splitlines()
    return os.fsencode(path) in {_unescaped(line.split()[_MOUNT_POINT]) for line in lines}


def _unescaped(name: bytes) -> bytes:
    """Decode a name in which white space and backslashes are written as three octal digits."""
    first, *others = name.split(b"\\")
    return first + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in others)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)
