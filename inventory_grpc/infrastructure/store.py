"""Opens the store named in the settings; the only module that knows the storage engines."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

from inventory_grpc.application.store import ReadLog, ShowProgress, Store, without_progress
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.copying import Source, Target
from inventory_grpc.infrastructure.optional import with_driver
from inventory_grpc.infrastructure.sqlite import copy_source, copy_target
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.event_log import SqliteEventLog
from inventory_grpc.infrastructure.sqlite.events import read_log_id
from inventory_grpc.infrastructure.sqlite.footprint import Footprint
from inventory_grpc.infrastructure.sqlite.head_poll import HeadPoll
from inventory_grpc.infrastructure.sqlite.opening import prepare
from inventory_grpc.infrastructure.sqlite.read_only_files import file_state, has_changed, readable
from inventory_grpc.infrastructure.sqlite.readers import Readers
from inventory_grpc.infrastructure.sqlite.schema import check_format
from inventory_grpc.infrastructure.sqlite.storage import SqliteStorage
from inventory_grpc.infrastructure.sqlite.views import SqliteViews
from inventory_grpc.settings import Settings


@asynccontextmanager
async def open_store(
    settings: Settings, now: Instant, showing: ShowProgress = without_progress
) -> AsyncIterator[Store]:
    """Open the database in *settings*, and close it on exit.

    A missing database is created and an older one is upgraded; *showing* reports the progress.

    Raises:
        Unusable, InUse, StorageError: it cannot be used, and was not changed.
    """
    opened = _postgres(settings, now) if isinstance(settings.database, str) else None
    async with opened or _sqlite(settings, now, showing) as store:
        yield store


def _postgres(settings: Settings, now: Instant) -> AbstractAsyncContextManager[Store]:
    """Open a log in PostgreSQL."""
    store: AbstractAsyncContextManager[Store] = with_driver("postgres.store").open_postgres(
        settings, now
    )
    return store


@asynccontextmanager
async def _sqlite(settings: Settings, now: Instant, showing: ShowProgress) -> AsyncIterator[Store]:
    database = Database(settings.file, settings.durability)
    with prepare(database, now, create=settings.create, showing=showing):
        readers = Readers(database)
        storage = SqliteStorage(database, readers)
        try:
            await storage.open()
            yield Store(
                storage,
                SqliteEventLog(readers, storage.log_id),
                SqliteViews(readers),
                HeadPoll(readers, storage.write_lock, settings.head_poll_seconds),
                storage.write_lock,
                Footprint(database.path, storage.checkpoint_seconds),
                storage.refused,
            )
        finally:
            await storage.close()


@asynccontextmanager
async def open_log(database: Path | str) -> AsyncIterator[ReadLog]:
    """Open a log for reading only, beside servers.

    Raises:
        Unusable: there is none, or it has an earlier format.
        StorageError: it cannot be read.
        InUse: another process changed a file that this process can only read.
    """
    if isinstance(database, str):
        opened: AbstractAsyncContextManager[ReadLog] = with_driver("postgres.store").read_postgres(
            database
        )
    else:
        opened = _read_file(Database(database))
    async with opened as log:
        yield log


@asynccontextmanager
async def _read_file(database: Database) -> AsyncIterator[ReadLog]:
    with readable(database) as original:
        before = file_state(original.path)
        readers = Readers(original)
        try:
            readers.point(lambda connection: check_format(connection, original.path))
            log = SqliteEventLog(readers, readers.point(read_log_id))
            at_rest = partial(has_changed, original.path, before)
            yield ReadLog(log, HeadPoll(readers), at_rest if original.is_at_rest else None)
        finally:
            await readers.close()
            readers.shut_down()


def open_source(database: Path | str, *, seals: bool = False) -> AbstractContextManager[Source]:
    """Open a log that is copied; see `open_source` of its engine."""
    if isinstance(database, str):
        opened: AbstractContextManager[Source] = with_driver("postgres.copy_source").open_source(
            database, seals=seals
        )
        return opened
    return copy_source.open_source(Database(database))


def open_target(database: Path | str, log_id: str) -> AbstractContextManager[Target]:
    """Open or begin a copy of the log with this id; see `open_target` of its engine."""
    if isinstance(database, str):
        check = partial(with_driver("verify_postgres").verify, may_be_unfinished=True)
        opened: AbstractContextManager[Target] = with_driver("postgres.copy_target").open_target(
            database, log_id, check
        )
        return opened
    return copy_target.open_target(Database(database), log_id)
