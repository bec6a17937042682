"""Compares every table of the file with the log."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw

from inventory_grpc.infrastructure import read_models
from inventory_grpc.infrastructure.log import findings
from inventory_grpc.infrastructure.log.findings import SHOWN
from inventory_grpc.infrastructure.log.replay import Progress, play
from inventory_grpc.infrastructure.read_models import READ_MODELS
from inventory_grpc.infrastructure.sqlite import schema
from inventory_grpc.infrastructure.sqlite.causes import storage_errors
from inventory_grpc.infrastructure.sqlite.connection import Database, one_state
from inventory_grpc.infrastructure.sqlite.events import broken_links, read_head
from inventory_grpc.infrastructure.sqlite.high_water import HighWater
from inventory_grpc.infrastructure.sqlite.read_only_files import readable
from inventory_grpc.infrastructure.sqlite.replay import PAGE, SqliteTarget, pages


def verify(database: Database, progress: Progress) -> Iterator[str]:
    """Yield every difference between the log, its hash chain, and its read models.

    Servers may run meanwhile: the log is replayed in pages. The tables are compared in one
    short read transaction, after the replay has caught up with it.

    Raises:
        NotOurs: the log has an earlier format.
        StorageError: the file cannot be read.
        InUse: another process changed a file that this process can only read.
    """
    with (
        tempfile.TemporaryDirectory(prefix="inventory-verify-") as folder,
        readable(database) as original,
        closing(original.reader()) as source,
        storage_errors(original.path, source),
        closing(apsw.Connection(str(Path(folder) / "fresh.db"))) as fresh,
    ):
        schema.check_format(source, original.path)
        fresh.pragma("journal_mode", "off")
        fresh.pragma("synchronous", "off")
        read_models.create(fresh)
        if problems := list(_pages(source)):
            yield from problems
            return  # nothing else that is read from such a file can be trusted
        if missing := HighWater(original.path).missing(source):
            yield missing
        pinned = read_head(source)
        yield from _links(source, pinned)
        yield from _played(source, fresh, 0, pinned, progress)
        source.execute("ATTACH ? AS fresh", (str(Path(folder) / "fresh.db"),))
        with one_state(source):
            head = read_head(source)
            yield from _links(source, head, after=pinned)
            yield from _played(source, fresh, pinned, head, progress)
            for model in READ_MODELS:
                if model.check:
                    yield from model.check(source)
                else:
                    for table in model.tables:
                        yield from _differences(source, table)
            yield from _names(source, "stream")
            yield from _names(source, "subject")
            yield from _walks(source)
            yield from _requests(source)


def _links(source: apsw.Connection, upto: int, after: int = 0) -> Iterator[str]:
    while after < upto:
        end = min(after + PAGE, upto)
        for position in broken_links(source, after, end):
            yield findings.broken_link(position)
        after = end


def _played(
    source: apsw.Connection, fresh: apsw.Connection, after: int, upto: int, progress: Progress
) -> Iterator[str]:
    with fresh:
        try:
            yield from play(pages(source, after, upto), SqliteTarget(fresh), progress)
        except apsw.ConstraintError as error:
            yield findings.not_to_be_replayed(error)


def _differences(source: apsw.Connection, table: str) -> Iterator[str]:
    """Yield the rows that only the file has, and those that only the replay gives."""
    for word, one, other in (("unexpected", "main", "fresh"), ("missing", "fresh", "main")):
        rows = source.execute(
            f"SELECT * FROM {one}.{table} EXCEPT SELECT * FROM {other}.{table} LIMIT {SHOWN}"  # noqa: S608  our own tables
        )
        for row in rows:
            yield findings.unlike(table, word, row)


def _names(source: apsw.Connection, number: str) -> Iterator[str]:
    """Yield the streams or subjects whose number is not the position of their first event."""
    for row in source.execute(
        f"SELECT named.* FROM {number}s AS named LEFT JOIN events ON position = named.{number} "  # noqa: S608  our own tables
        f"WHERE events.{number} IS NOT named.{number} LIMIT {SHOWN}"
    ):
        yield findings.without_event(f"{number}s", row)


def _walks(source: apsw.Connection) -> Iterator[str]:
    """Yield the walks that no event of their stream has begun."""
    for row in source.execute(
        "SELECT unsettled.* FROM unsettled LEFT JOIN events ON position = since "
        "LEFT JOIN streams USING (stream) "
        "WHERE (streams.kind, streams.name) IS NOT (unsettled.kind, unsettled.name) LIMIT ?",
        (SHOWN,),
    ):
        yield findings.without_event("unsettled", row)


def _requests(source: apsw.Connection) -> Iterator[str]:
    """Yield the remembered requests that point to the events of another request."""
    for row in source.execute(
        "SELECT actor, request_id, requests.position, event FROM requests "
        "LEFT JOIN events USING (position) WHERE outcome IS NULL"
    ):
        yield from findings.of_request(*row)


def _pages(source: apsw.Connection) -> Iterator[str]:
    """Yield the problems that SQLite finds; reading every page also verifies its checksum."""
    for problem in source.execute("PRAGMA main.integrity_check(20)"):
        if problem != ("ok",):
            yield f"file: {problem[0]}"
