"""A file system that fails on the n-th write, sync, truncation or read of a database.

As Linux does, it forgets what a sync that fails was to bring to the disk: it can be read as
long as the power is on, and no later sync brings it there (https://lwn.net/Articles/752063/).
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import apsw
import apsw.sqlite_extra

from inventory_grpc.infrastructure.sqlite.connection import CHECKSUM_VFS, Database

NAME: Final = "faulty"
CACHED_PAGES: Final = 16
"""So few that a batch has to write before it commits, and enough for a single command."""

_BASE: Final = CHECKSUM_VFS
"""Under the faults everything is as in a server, page checksums included."""


@dataclass
class Faults:
    """The faults to inject, and the calls on the files since they were set."""

    calls: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    """The calls that failed."""
    platter: bytearray = field(default_factory=bytearray)
    """The part of the main file that survives a power cut: all that was synced."""
    _unsynced: set[tuple[int, int]] = field(default_factory=set)
    """Ranges of the main file written since the last sync: from, to."""
    _error: type[apsw.Error] = apsw.IOError
    _countdown: int | None = None
    _last: bool = True
    _only: str = ""

    def fail(
        self, nth: int, error: type[apsw.Error], *, only: str = "", for_good: bool = False
    ) -> None:
        """Have the *nth* call from now on fail, or the *nth* to a file and method as in *only*.

        The calls after it succeed, unless it is *for_good*: then they fail until `mend`.
        """
        self.calls.clear()
        self.failed.clear()
        self._error, self._countdown, self._only, self._last = error, nth, only, not for_good

    def mend(self) -> None:
        self._countdown = None

    def meet(self, call: str) -> None:
        """Count *call*, and raise if it is to fail.

        Raises:
            apsw.Error: it is.
        """
        self.calls[call] += 1
        if self._countdown is None or self._only not in call:
            return
        self._countdown -= 1
        if self._countdown <= 0:
            if self._last:
                self._countdown = None
            self.failed.append(call)
            raise self._error(f"{call} was made to fail")

    def read(self, which: str) -> None:
        """Count a read, and fail, where reads are to fail; otherwise no read counts."""
        if "read" in self._only:
            self.meet(f"{which} read")

    def written(self, start: int, end: int) -> None:
        """Note that something was written that is not on the platter yet."""
        self._unsynced.add((start, end))

    def sync(self, path: Path) -> None:
        """Have on the platter what was written since the last sync, unless this one fails."""
        unsynced, self._unsynced = self._unsynced, set()
        self.meet("file sync")
        content = path.read_bytes()
        del self.platter[len(content) :]
        self.platter.extend(bytes(len(content) - len(self.platter)))
        for start, end in unsynced:
            self.platter[start:end] = content[start:end]


class _File(apsw.VFSFile):
    def __init__(
        self, faults: Faults, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        self._path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name or "")
        self._is_wal = self._path.name.endswith("-wal")
        self._which = "wal" if self._is_wal else "file"
        self._faults = faults
        super().__init__(_BASE, name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:
        self._faults.read(self._which)
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._faults.meet(f"{self._which} write")
        super().xWrite(data, offset)
        if not self._is_wal:
            self._faults.written(offset, offset + len(data))

    def xSync(self, flags: int) -> None:
        if self._is_wal:
            self._faults.meet("wal sync")
        else:
            self._faults.sync(self._path)
        super().xSync(flags)

    def xTruncate(self, newsize: int) -> None:
        self._faults.meet(f"{self._which} truncate")
        super().xTruncate(newsize)


class _Vfs(apsw.VFS):
    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        super().__init__(NAME, base=_BASE)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self._faults, name, flags)


class FaultyDatabase(Database):
    """A `Database` on the faulty file system, with hardly any memory for pages."""

    def writer(self) -> apsw.Connection:
        connection = super().writer()
        connection.pragma("cache_size", CACHED_PAGES)
        return connection


@contextmanager
def faulty_file_system() -> Iterator[Faults]:
    """Have a file system of this `NAME`, and say when it fails."""
    if _BASE not in apsw.vfs_names():
        apsw.sqlite_extra.load(apsw.Connection(":memory:"), "cksumvfs")
    faults = Faults()
    vfs = _Vfs(faults)
    try:
        yield faults
    finally:
        vfs.unregister()
