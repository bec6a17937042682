"""The room that a database takes on its disk."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import apsw

from inventory_grpc.application.store import Disk
from inventory_grpc.application.tally import Tally


class Footprint:
    """The sizes of the files of a database, read when asked for."""

    def __init__(self, path: Path, checkpoint_seconds: Tally) -> None:
        self._path = path
        self.checkpoint_seconds = checkpoint_seconds
        self.engine = f"SQLite {apsw.sqlite_lib_version()}"

    def sizes(self) -> Mapping[str, int]:
        files = {"main": self._path, "wal": self._path.with_name(f"{self._path.name}-wal")}
        sizes = dict.fromkeys(files, 0)
        for part, file in files.items():
            with suppress(OSError):  # it was moved, or there is no WAL
                sizes[part] = file.stat().st_size
        return sizes

    def disk(self) -> Disk | None:
        try:
            disk = os.statvfs(self._path)
        except OSError:
            return None
        return Disk(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)
