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
from inventory_grpc.infrastructure.sqlite.beside import beside
from inventory_grpc.infrastructure.sqlite.causes import BESIDE, storage_errors
from inventory_grpc.infrastructure.sqlite.multirow import STATEMENTS

_log = logging.getLogger(__name__)

OLDEST_SQLITE: Final = (3, 51, 3)
"""Before it, a WAL with several connections could be reset under one of them."""

BUSY_SECONDS: Final = 5.0
"""How long the write lock of another process is waited for."""

WAL_LIMIT_BYTES: Final = 64 * 1024 * 1024

CHECKSUM_VFS: Final = "cksmvfs"
CHECKSUM_BYTES: Final = 8


@dataclass(frozen=True)
class Database:
    """A file, and the way it is opened."""

    path: Path
    durability: Durability = Durability.FULL
    vfs: str = CHECKSUM_VFS
    """Every page carries a checksum that is verified when it is read (`cksumvfs`)."""
    is_at_rest: bool = False
    """Nobody writes to it, so it is read without its WAL, of which there is none."""

    def __post_init__(self) -> None:
        """Go by the file's own name: what SQLite and we keep beside it is beside the file itself.

        A lock beside a symbolic link would keep out nobody who came by another name.
        """
        object.__setattr__(self, "path", self.path.resolve())

    def creator(self) -> apsw.Connection:
        """Make the file, and open a connection as `writer` does.

        Raises:
            FileExistsError: there is something at its path.
            StorageError: it cannot be opened.
        """
        self.path.touch(0o644, exist_ok=False)  # SQLite would take any file that is there
        with self._opened(apsw.SQLITE_OPEN_READWRITE) as connection:
            connection.reserve_bytes("main", CHECKSUM_BYTES)
            self._make_ready_to_write(connection)
        return connection

    def writer(self) -> apsw.Connection:
        """Open a connection that may write, and checkpoint; a file that is gone is not made.

        Raises:
            StorageError: it cannot be opened.
        """
        self.mend_modes()
        with self._opened(apsw.SQLITE_OPEN_READWRITE) as connection:
            self._make_ready_to_write(connection)
        return connection

    def reader(self) -> apsw.Connection:
        """Open a connection that reads; it never checkpoints, not even when it is closed.

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
        """Open a connection that reads the file alone, without its WAL, and makes none.

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
        connection.pragma("fullfsync", 1)  # macOS: fsync alone does not reach the platter
        connection.pragma("journal_size_limit", WAL_LIMIT_BYTES)
        connection.pragma("foreign_keys", 0)

    def mend_modes(self) -> None:
        """Give what lies beside the file its mode, if the file may be written.

        SQLite made them with the mode that the file had then, such as one without writing.
        """
        if not os.access(self.path, os.W_OK):
            return
        for file in (beside(self.path, end) for end in BESIDE):
            with suppress(OSError):  # it is not there, or belongs to somebody else
                mode = self.path.stat().st_mode & 0o777
                if file.stat().st_mode & 0o777 != mode:
                    file.chmod(mode)

    @contextmanager
    def _opened(self, flags: int, name: str = "") -> Iterator[apsw.Connection]:
        """Open a connection; if it cannot be set up as is done inside, close it and say why."""
        load_checksum_vfs()
        if not name:
            name = str(self.path)
            if not _is_utf8(name):  # the bytes of the name pass in a URI only
                name, flags = self.path.as_uri(), flags | apsw.SQLITE_OPEN_URI
        with storage_errors(self.path):
            connection = apsw.Connection(
                name, flags=flags, vfs=self.vfs, statementcachesize=STATEMENTS
            )
        try:
            with storage_errors(self.path, connection):
                # else SQLite plans a statement anew whenever other values are bound, which took
                # as long as a look-up itself
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
    """Return a busy handler that asks often, at uneven times: SQLite's own is not fair."""
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
    """Have everything that is read inside be of one state of the file."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        with suppress(apsw.Error):  # the read is over, one way or another
            connection.execute("ROLLBACK")


def close(connection: apsw.Connection) -> None:
    """Close *connection*, whatever state the file is in."""
    path = connection.filename
    try:
        connection.close(force=True)
    except apsw.Error as error:
        # the last one to leave checkpoints; what it could not move is still in the WAL
        _log.warning("%s: a connection was closed with an error: %s", path, error)


def abandon(connection: apsw.Connection) -> None:
    """Close *connection*, and leave the WAL to whoever opens the file next.

    The last one to leave would move what was not moved yet, and remove the WAL. But what was
    moved before is on disk only if the sync after it succeeded; so all of it is moved again.
    """
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    close(connection)
