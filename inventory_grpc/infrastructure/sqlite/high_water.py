"""The high-water mark of a log, which reveals that its last events are missing.

Checksums cannot protect the last transactions: if the WAL was changed, truncated or removed,
SQLite takes those commits for unfinished, and the log is shorter but consistent. So each commit
writes the end of the log to a file beside the database, and each opening compares it.

A request that recorded no event leaves no mark; it can be sent again. The mark is not synced:
after a power cut it may be older and detect less. It is never ahead of the disk, so a server
that does not sync its commits does not write it. A copy without a mark is served. An older copy
in the place of the original is refused until the mark is removed, because it lacks acknowledged
events; so is another log beside a mark that is not its own (`file_set.py`).
"""

import hashlib
import logging
import os
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from inventory_grpc.infrastructure.sqlite.companions import companion
from inventory_grpc.infrastructure.sqlite.events import read_head, read_log_id

_log = logging.getLogger(__name__)

_SIZE: Final = 128
_DIGEST: Final = 16


class Mark(NamedTuple):
    """The id of a log, and its end when the mark was written."""

    log_id: str
    position: int
    hash: str

    def dump(self) -> bytes:
        text = f"{self.log_id} {self.position} {self.hash}"
        return f"{text} {_digest(text)}\n".ljust(_SIZE).encode("ascii")

    @classmethod
    def load(cls, data: bytes) -> "Mark | None":
        """Return the mark in *data*, if it is complete."""
        text, _, digest = data.decode("ascii", "replace").rstrip().rpartition(" ")
        if not text or digest != _digest(text):
            return None
        log_id, position, hash_ = text.split(" ")
        return cls(log_id, int(position), hash_)


def mark_of(path: Path) -> Mark | None:
    """Return the mark of the database at *path*, if there is a complete one."""
    try:
        return Mark.load(companion(path, ".mark").read_bytes()[:_SIZE])
    except OSError:
        return None


class HighWater:
    """The mark of one database, in a separate file beside it."""

    def __init__(self, path: Path) -> None:
        self._database = path
        self._path = companion(path, ".mark")
        self._failed = False

    def rise(self, log_id: str, position: int, digest: bytes) -> None:
        """Write the mark that the log reaches to *position*; a failure is only logged."""
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.pwrite(file, Mark(log_id, position, digest.hex()).dump(), 0)
            finally:
                os.close(file)
        except OSError as error:
            if not self._failed:
                _log.warning("%s: %s; a later loss may go undetected", self._path, error)
            self._failed = True
        else:
            self._failed = False

    def missing(self, connection: apsw.Connection) -> str:
        """Return a description of the loss if the log ends before the mark, else an empty text."""
        mark = mark_of(self._database)
        if mark is None or mark.log_id != read_log_id(connection):
            return ""  # there is no mark yet; `check_files` reports a mark of another log
        found: bytes | None = connection.execute(
            "SELECT hash FROM events WHERE position = ?", (mark.position,)
        ).get
        if found is not None and found.hex() == mark.hash:
            return ""
        return (
            f"the log ends at {read_head(connection)}, without the event that was at "
            f"{mark.position}: the WAL was damaged or removed, or this is an older copy. "
            f"Restore a backup; to continue with the remaining events, remove {self._path}"
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]
