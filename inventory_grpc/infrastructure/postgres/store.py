"""Opens a log in PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from inventory_grpc.application.store import ReadLog, Store
from inventory_grpc.choices import Failover, Notify
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.postgres.event_log import PostgresEventLog
from inventory_grpc.infrastructure.postgres.events import read_head
from inventory_grpc.infrastructure.postgres.footprint import Footprint
from inventory_grpc.infrastructure.postgres.head_poll import HeadPoll
from inventory_grpc.infrastructure.postgres.notices import Notices, check_can_listen
from inventory_grpc.infrastructure.postgres.opening import check_log, prepare
from inventory_grpc.infrastructure.postgres.readers import Readers
from inventory_grpc.infrastructure.postgres.replicas import SameLog, Scans
from inventory_grpc.infrastructure.postgres.seen import SeenLog
from inventory_grpc.infrastructure.postgres.server import Server
from inventory_grpc.infrastructure.postgres.storage import PostgresStorage
from inventory_grpc.infrastructure.postgres.views import PostgresViews
from inventory_grpc.settings import Settings


@asynccontextmanager
async def open_postgres(settings: Settings, now: Instant) -> AsyncIterator[Store]:
    """Connect to the log in *settings*, and disconnect on exit.

    Raises:
        Unusable, StorageError: it cannot be used, and was not changed.
    """
    server = Server(str(settings.place), settings.durability, settings.prepare)
    notifies = settings.notify is Notify.ON
    prepare(server, now, create=settings.create)
    if notifies:
        check_can_listen(server)
    seen = SeenLog()
    readers = Readers(server, seen)
    scans = _scans(settings, server, readers, seen)
    storage = PostgresStorage(
        server,
        readers,
        seen,
        trusts_failover=settings.failover is Failover.TRUSTED,
        notifies=notifies,
    )
    try:
        await storage.open()
        yield Store(
            storage,
            PostgresEventLog(readers, seen, scans),
            PostgresViews(readers, scans),
            HeadPoll(
                readers,
                settings.head_poll_seconds,
                Notices(server) if notifies else None,
            ),
            storage.lock_wait,
            Footprint(server),
            storage.refused,
        )
    finally:
        await scans.close()
        await storage.close()


def _scans(settings: Settings, primary: Server, readers: Readers, seen: SeenLog) -> Scans:
    """Return the scans of the replicas in *settings*, if it names any, or of the primary."""
    if settings.replicas is None:
        return Scans(readers)
    replicas = Server(settings.replicas, prepare=settings.prepare, is_replica=True)
    return Scans(readers, Readers(replicas, SameLog(primary, seen)))


@asynccontextmanager
async def read_postgres(url: str) -> AsyncIterator[ReadLog]:
    """Connect to a log for reading only, and disconnect on exit.

    Raises:
        Unusable, StorageError: it cannot be read.
    """
    server = Server(url)
    check_log(server)
    seen = SeenLog()
    readers = Readers(server, seen)
    try:
        await readers.read(read_head)
        yield ReadLog(PostgresEventLog(readers, seen), HeadPoll(readers))
    finally:
        await readers.close()
        readers.shut_down()
