"""Prepares a database file for serving: creates or upgrades it, and holds the servers' lock."""

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from inventory_grpc.application.store import Progress, ShowProgress, without_progress
from inventory_grpc.infrastructure import read_models
from inventory_grpc.infrastructure.sqlite import schema
from inventory_grpc.infrastructure.sqlite.causes import storage_errors
from inventory_grpc.infrastructure.sqlite.companions import companion
from inventory_grpc.infrastructure.sqlite.connection import Database, close
from inventory_grpc.infrastructure.sqlite.file_aliases import under_one_name
from inventory_grpc.infrastructure.sqlite.file_set import check_files
from inventory_grpc.infrastructure.sqlite.file_swap import sync
from inventory_grpc.infrastructure.sqlite.lock_holders import locks_on
from inventory_grpc.infrastructure.sqlite.upgrading import make_current

_log = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 10.0
"""A start waits this long for another process that is creating or rebuilding the file."""


class InUse(Exception):
    """Another process uses the database in a way that excludes this use."""


@contextmanager
def prepare(
    database: Database, now: int, *, create: bool = True, showing: ShowProgress = without_progress
) -> Iterator[None]:
    """Hold the servers' shared lock on a database of the current version.

    A missing database is created, unless *create* is false: then no folder is created either.
    A log of an older format is upgraded and older read models are rebuilt; *showing* reports
    the progress.

    Raises:
        NotOurs: the file is not an inventory database or is newer; or it is missing and
            *create* is false.
        Misplaced: the files there do not belong together, or the file has another name.
        InUse: another process has been creating or replacing it for too long.
    """
    if not create and not check_files(database.path):
        raise schema.NotOurs(
            f"there is no database at {database.path}, and INVENTORY_CREATE is 0 (as always for a "
            "worker that replaces another): check that its volume is mounted, or start with "
            "INVENTORY_CREATE=1 to create a new one"
        )
    database.path.parent.mkdir(parents=True, exist_ok=True)
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        with _shared(database):  # so no other process is creating it
            if _is_ready(database):
                with under_one_name(database.path):
                    yield
                return
        try:
            # of servers that start together, one creates the file; the others check again
            with locked(database, exclusive=True, patience_seconds=0.0):
                _make_ready(database, now, showing)
        except InUse:
            if time.monotonic() >= give_up:
                raise
            time.sleep(0.02)


@contextmanager
def _shared(database: Database) -> Iterator[None]:
    """Hold the servers' lock; while another process upgrades the file, wait for it."""
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(locked(database, exclusive=False))
            except InUse:
                if not _is_old(database):
                    raise
                _log.info("waiting for another process to upgrade %s", database.path)
            else:
                break
        yield


def _is_ready(database: Database) -> bool:
    return check_files(database.path) and not _is_old(database)


def _is_old(database: Database) -> bool:
    """Return whether there is a file that must be upgraded before it is served."""
    if not (found := schema.check_header(database.path)):
        return False
    return schema.read_models_of(database) < read_models.VERSION or found < schema.FORMAT


def _make_ready(database: Database, now: int, showing: ShowProgress) -> None:
    if not check_files(database.path):
        _make(database, now)
        _log.warning("created a new database at %s", database.path)
    elif not _is_ready(database):
        with closing(database.writer()) as connection, storage_errors(database.path, connection):
            if schema.is_current(connection):
                schema.write_header(connection)  # a process was killed just before this step
                return
            _log.warning("the read models have an older version: rebuilding them from the log")
            with showing("rebuilding") as progress:
                make_current(connection, progress)


def _make(database: Database, now: int) -> None:
    """Create an empty log under a temporary name, then rename it, so it is complete or absent."""
    new = replace(database, path=companion(database.path, ".making"))
    _remove(new)  # left by a start that was killed
    try:
        connection = new.creator()
        try:
            with storage_errors(new.path, connection):
                schema.create(connection, now)
        finally:
            close(connection)  # an error of it would replace the cause
        sync(new.path)
        new.path.rename(database.path)
    except BaseException:
        _remove(new)
        raise
    sync(database.path.parent)


def _remove(database: Database) -> None:
    for end in ("", "-wal", "-shm", "-journal"):
        companion(database.path, end).unlink(missing_ok=True)


def rebuild_alone(database: Database, progress: Progress) -> int:
    """Run `make_current` while no server is running; return the position reached.

    Raises:
        InUse: a server is running.
        Misplaced: the files there do not belong together, or the file has another name.
        LogInconsistent: the log contradicts itself; nothing was changed.
    """
    with locked(database, exclusive=True):
        check_files(database.path)
        with (
            under_one_name(database.path),
            closing(database.writer()) as connection,
            storage_errors(database.path, connection),
        ):
            return make_current(connection, progress)


@contextmanager
def locked(
    database: Database, *, exclusive: bool, patience_seconds: float | None = None
) -> Iterator[None]:
    """Hold the database's lock file: shared for servers, exclusive to replace tables.

    The system releases the lock when this process ends, however it ends.

    Raises:
        InUse: other processes have held it for too long.
    """
    path = database.path.with_name(database.path.name + ".lock")
    file = _opened(path)
    try:
        patience = PATIENCE_SECONDS if patience_seconds is None else patience_seconds
        _wait_for(file, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH, path, patience)
        yield
    finally:
        os.close(file)


def _opened(path: Path) -> int:
    """Open the lock file; read-only is enough to lock it, as on a read-only file system."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        if not path.exists():
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _wait_for(file: int, how: int, path: Path, patience_seconds: float) -> None:
    give_up = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up:
                holders = ", ".join(f"{lock.process}" for lock in locks_on(path) if lock.process)
                of = f" (process {holders})" if holders else ""
                what = (
                    f"a server is running{of}: stop it first"
                    if how == fcntl.LOCK_EX
                    else f"it is being rebuilt{of}: start again when that has ended"
                )
                raise InUse(f"{path.with_suffix('')} is in use: {what}") from None
            time.sleep(0.02)
        else:
            return
