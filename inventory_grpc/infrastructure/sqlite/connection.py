"""Opens the database file: connections that write, read, or read a file at rest."""

import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apsw
import apsw.sqlite_extra

from inventory_grpc.application.store import Durability
from inventory_grpc.infrastructure.sqlite.causes import SQLITE_COMPANIONS, storage_errors
from inventory_grpc.infrastructure.sqlite.companions import companion
from inventory_grpc.infrastructure.sqlite.multirow import STATEMENTS

_log = logging.getLogger(__name__)

OLDEST_SQLITE: Final = (3, 51, 3)
"""Before this version, a WAL with several connections could be reset under one of them."""

BUSY_SECONDS: Final = 5.0
"""A connection waits this long for the write lock of another process."""

WAL_LIMIT_BYTES: Final = 64 * 1024 * 1024

CHECKSUM_VFS: Final = "cksmvfs"
CHECKSUM_BYTES: Final = 8


@dataclass(frozen=True)
class Database:
    """A database file, and the options with which it is opened."""

    path: Path
    durability: Durability = Durability.FULL
    vfs: str = CHECKSUM_VFS
    """With `cksumvfs`, every page has a checksum that is verified when the page is read."""
    is_at_rest: bool = False
    """No process writes to the file and it has no WAL, so it is opened as immutable."""

    def __post_init__(self) -> None:
        """Resolve symbolic links, so that the companion files lie beside the file itself.

        A lock file beside a link would not exclude a process that opens the file directly.
        """
        object.__setattr__(self, "path", self.path.resolve())

    def creator(self) -> apsw.Connection:
        """Create the file, and open a connection as `writer` does.

        Raises:
            FileExistsError: there is a file at its path.
            StorageError: it cannot be opened.
        """
        self.path.touch(0o644, exist_ok=False)  # SQLite would open any existing file
        with self._opened(apsw.SQLITE_OPEN_READWRITE) as connection:
            connection.reserve_bytes("main", CHECKSUM_BYTES)
            self._make_ready_to_write(connection)
        return connection

    def writer(self) -> apsw.Connection:
        """Open a connection that may write and checkpoint; a missing file is not created.

        Raises:
            StorageError: it cannot be opened.
        """
        self.mend_modes()
        with self._opened(apsw.SQLITE_OPEN_READWRITE) as connection:
            self._make_ready_to_write(connection)
        return connection

    def reader(self) -> apsw.Connection:
        """Open a read-only connection; it never checkpoints, not even when it is closed.

        Raises:
            StorageError: it cannot be opened.
        """
        if self.is_at_rest:
            return self.immutable()
        self.mend_modes()
        with self._opened(apsw.SQLITE_OPEN_READWRITE) as connection:
            connection.pragma("query_only", 1)
            connection.wal_autocheckpoint(0)
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        return connection

    def immutable(self) -> apsw.Connection:
        """Open a connection that reads the file without its WAL, and creates no WAL.

        Raises:
            StorageError: it cannot be opened.
        """
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        with self._opened(flags, f"{self.path.absolute().as_uri()}?immutable=1") as connection:
            return connection

    def _make_ready_to_write(self, connection: apsw.Connection) -> None:
        connection.pragma("journal_mode", "wal")
        full = self.durability is Durability.FULL
        connection.pragma("synchronous", "full" if full else "normal")
        connection.pragma("fullfsync", 1)  # on macOS, fsync alone does not flush the drive
        connection.pragma("journal_size_limit", WAL_LIMIT_BYTES)
        connection.pragma("foreign_keys", 0)

    def mend_modes(self) -> None:
        """Give the WAL and `-shm` the mode of the file, if the file is writable.

        SQLite created them with the mode that the file had then, which may have been read-only.
        """
        if not os.access(self.path, os.W_OK):
            return
        for file in (companion(self.path, end) for end in SQLITE_COMPANIONS):
            with suppress(OSError):  # it is missing, or belongs to another user
                mode = self.path.stat().st_mode & 0o777
                if file.stat().st_mode & 0o777 != mode:
                    file.chmod(mode)

    @contextmanager
    def _opened(self, flags: int, name: str = "") -> Iterator[apsw.Connection]:
        """Open a connection; if its setup in the `with` block fails, close it."""
        load_checksum_vfs()
        if not name:
            name = str(self.path)
            if not _is_utf8(name):  # only a URI can carry the bytes of such a name
                name, flags = self.path.as_uri(), flags | apsw.SQLITE_OPEN_URI
        with storage_errors(self.path):
            connection = apsw.Connection(
                name, flags=flags, vfs=self.vfs, statementcachesize=STATEMENTS
            )
        try:
            with storage_errors(self.path, connection):
                # otherwise SQLite plans a statement again whenever the bound values change,
                # which took as long as a look-up itself
                connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
                connection.set_busy_handler(_patience())
                connection.pragma("cache_size", -16_000)
                connection.pragma("temp_store", "memory")
                yield connection
        except BaseException:
            abandon(connection)
            raise


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def load_checksum_vfs() -> None:
    if tuple(map(int, apsw.sqlite_lib_version().split("."))) < OLDEST_SQLITE:
        version = ".".join(map(str, OLDEST_SQLITE))
        raise RuntimeError(
            f"SQLite {apsw.sqlite_lib_version()} is too old; install apsw with {version}"
        )
    if CHECKSUM_VFS not in apsw.vfs_names():
        apsw.sqlite_extra.load(apsw.Connection(":memory:"), "cksumvfs")


def _patience() -> Callable[[int], bool]:
    """Return a busy handler that retries often, at random intervals: SQLite's is not fair."""
    started = 0.0

    def wait(attempt: int) -> bool:
        nonlocal started
        if attempt == 0:
            started = time.monotonic()
        time.sleep(random.uniform(0.0005, 0.002))  # noqa: S311  not a secret
        return time.monotonic() - started < BUSY_SECONDS

    return wait


@contextmanager
def one_state(connection: apsw.Connection) -> Iterator[None]:
    """Run all reads in the `with` block in one read transaction."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        with suppress(apsw.Error):  # the read has ended in any case
            connection.execute("ROLLBACK")


def close(connection: apsw.Connection) -> None:
    """Close *connection*; an error of the file is logged, not raised."""
    path = connection.filename
    try:
        connection.close(force=True)
    except apsw.Error as error:
        # the last connection to close checkpoints; pages that it could not move stay in the WAL
        _log.warning("%s: a connection was closed with an error: %s", path, error)


def abandon(connection: apsw.Connection) -> None:
    """Close *connection* without a checkpoint, so that the next start replays the whole WAL.

    The last connection to close would checkpoint the remaining pages and delete the WAL. Pages
    moved earlier are on disk only if their sync succeeded, so all of them must be moved again.
    """
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    close(connection)
