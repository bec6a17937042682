"""The mark of how far a log has come, which tells whether all of it is still there.

What a transaction has written last is beyond the reach of checksums: where the WAL was
changed, cut off or taken away, SQLite takes the file for one whose last commits were never
finished, and the log is a shorter one without a fault. So whoever commits notes where the
log ends, beside the file, and whoever opens the file compares.

A request that recorded nothing leaves no mark; it can be asked again and be found done.
The mark is not synced: after a power cut it may be an old one, and then tells less. It is
never ahead of what is on disk, which is why nobody sets it who does not sync commits.
A copy without the mark is served; an older copy in the place of the original is not, until
somebody has taken the mark away: it would forget what was acknowledged. Neither is another log
beside a mark that is not its own (`belonging.py`).
"""

import hashlib
import logging
import os
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from inventory_grpc.infrastructure.sqlite.beside import beside
from inventory_grpc.infrastructure.sqlite.events import read_head, read_log_id

_log = logging.getLogger(__name__)

_SIZE: Final = 128
_DIGEST: Final = 16


class Mark(NamedTuple):
    """Where a log ended when it was last noted."""

    log_id: str
    position: int
    hash: str

    def dump(self) -> bytes:
        text = f"{self.log_id} {self.position} {self.hash}"
        return f"{text} {_digest(text)}\n".ljust(_SIZE).encode("ascii")

    @classmethod
    def load(cls, data: bytes) -> "Mark | None":
        """Return the mark in *data*, if there is a whole one."""
        text, _, digest = data.decode("ascii", "replace").rstrip().rpartition(" ")
        if not text or digest != _digest(text):
            return None
        log_id, position, hash_ = text.split(" ")
        return cls(log_id, int(position), hash_)


def mark_of(path: Path) -> Mark | None:
    """Return the mark beside the database at *path*, if there is a whole one."""
    try:
        return Mark.load(beside(path, ".mark").read_bytes()[:_SIZE])
    except OSError:
        return None


class HighWater:
    """The mark of one database, in a file of its own beside it."""

    def __init__(self, path: Path) -> None:
        self._database = path
        self._path = beside(path, ".mark")
        self._failed = False

    def rise(self, log_id: str, position: int, digest: bytes) -> None:
        """Note that the log reaches to *position*; a mark that cannot be set is no error."""
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.pwrite(file, Mark(log_id, position, digest.hex()).dump(), 0)
            finally:
                os.close(file)
        except OSError as error:
            if not self._failed:
                _log.warning("%s: %s; what is lost may go unnoticed", self._path, error)
            self._failed = True
        else:
            self._failed = False

    def missing(self, connection: apsw.Connection) -> str:
        """Return what of the log is not there any more, in words; empty if all of it is."""
        mark = mark_of(self._database)
        if mark is None or mark.log_id != read_log_id(connection):
            return ""  # none was set yet, or it is told otherwise that it is another log's
        found: bytes | None = connection.execute(
            "SELECT hash FROM events WHERE position = ?", (mark.position,)
        ).get
        if found is not None and found.hex() == mark.hash:
            return ""
        return (
            f"the log ends at {read_head(connection)}, and is not what it was when it reached "
            f"{mark.position}: the WAL was damaged or taken away, or this is an older copy. "
            f"Restore a backup; to go on with what is left, remove {self._path}"
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]
