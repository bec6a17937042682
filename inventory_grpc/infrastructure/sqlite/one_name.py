"""The rule that a database is served by one name: in one folder, where its WAL is.

SQLite keeps the WAL and its locks beside the name by which a file is opened. A hard link, a
mount of the file alone, or a move under a running server gives one file two such places; two
servers would then write into it, each with a WAL of its own. Symbolic links are followed, and
folders may be linked and mounted at will: what lies beside the file is then the same. Of several
hard links that one may be served beside which the WAL or the mark lies.
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

from inventory_grpc.infrastructure.sqlite.belonging import Misplaced
from inventory_grpc.infrastructure.sqlite.beside import leftovers

MOUNTS: Final = Path("/proc/self/mountinfo")
_MOUNT_POINT: Final = 4
"""Its column in the lines of that file."""

_HAS_LOCKS: Final = sys.platform == "linux" and sys.maxsize > 2**32
_FLOCK: Final = "hhqqi4x"
"""`struct flock` there: kind, whence, start, length, process."""
_FIRST: Final = 2**62
_NAMES: Final = 2**48
"""Bytes of the file, far beyond its end and SQLite's own locks, of which each name has one."""


@contextmanager
def served_by_one_name(path: Path) -> Iterator[None]:
    """Keep everybody from serving the file at *path* by another name meanwhile.

    Its descriptor is closed last: with it the process gives up all of SQLite's locks on the file.

    Raises:
        Misplaced: it has another name, by which somebody could serve it or does.
    """
    if (names := path.stat().st_nlink) > 1 and not leftovers(path):
        raise Misplaced(
            f"{path} has {names} names (hard links), and by this one it was not served: use the "
            "name beside which its WAL or mark lies, or keep one name only"
        )
    if _is_mounted(path):
        raise Misplaced(
            f"{path} is mounted by itself, without the WAL beside it: mount its folder instead"
        )
    with _opened(path) as file:
        if _HAS_LOCKS:
            byte = _byte_of(path)
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, _lock(fcntl.F_RDLCK, byte, 1))
        _check_alone(file, path)
        yield


def check_name(path: Path) -> None:
    """Return if nobody serves the file at *path* by another name, where its WAL is then.

    The process may not have it open by SQLite yet.

    Raises:
        Misplaced: somebody does.
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
                f"{path} is being served by another name: a link, a mount of it, or the name that "
                "it had before it was moved; stop that server, or use its name"
            )


def _byte_of(path: Path) -> int:
    """Return the byte of this name: of the folder, however it is reached, and the name in it."""
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
    """Return a name in which white space and backslashes stand as three octal digits."""
    first, *others = name.split(b"\\")
    return first + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in others)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)
