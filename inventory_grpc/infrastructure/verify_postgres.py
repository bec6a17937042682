"""Checks a log in PostgreSQL, by a replay into a temporary SQLite file.

Both engines have the same rows, so the tables of one must equal those that the other makes of the
same events. It is the only module that knows both.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import apsw

from inventory_grpc.infrastructure import read_models
from inventory_grpc.infrastructure.postgres.events import broken_links, read_head
from inventory_grpc.infrastructure.postgres.faults import storage_errors
from inventory_grpc.infrastructure.postgres.server import Server
from inventory_grpc.infrastructure.postgres.statement import Statement
from inventory_grpc.infrastructure.postgres.wire import Row, Wire
from inventory_grpc.infrastructure.read_models import READ_MODELS
from inventory_grpc.infrastructure.sqlite.replay import PAGE, Progress, play

SHOWN: Final = 20
"""The most differences reported for each table."""

_PAGE: Final = Statement(
    "SELECT position, event, version = 1 OR EXISTS (SELECT 1 FROM events AS before "
    "WHERE before.stream = events.stream AND before.version = events.version - 1 "
    "AND before.position < events.position), "
    "stream, version, ordinal, events.kind, subject, "
    "second_subject, alerts, streams.kind, id, product_id, store_id, streams.name, "
    "subjects.kind, subjects.name "
    "FROM events LEFT JOIN streams USING (stream) LEFT JOIN subjects USING (subject) "
    "WHERE position > $after::int8 AND position <= $upto::int8 ORDER BY position"
)
_MORE: Final = Statement(f"FETCH {PAGE} FROM found")


def verify(url: str, progress: Progress) -> Iterator[str]:
    """Yield every difference between the log, its hash chain, and its read models.

    Servers may write meanwhile: the log is replayed in pages. The tables are compared in one read
    transaction, after the replay has caught up with it.

    Raises:
        StorageError: the server cannot be read.
    """
    with (
        tempfile.TemporaryDirectory(prefix="inventory-verify-") as folder,
        closing(apsw.Connection(str(Path(folder) / "fresh.db"))) as fresh,
        storage_errors(),
        closing(Server(url).reader()) as wire,
    ):
        fresh.pragma("journal_mode", "off")
        fresh.pragma("synchronous", "off")
        read_models.create(fresh)
        pinned = read_head(wire)
        yield from _played(wire, fresh, 0, pinned, progress)
        with wire.one_state():
            head = read_head(wire)
            yield from _played(wire, fresh, pinned, head, progress)
            for model in READ_MODELS:
                if not model.check:
                    for table in model.tables:
                        yield from _differences(wire, fresh, table)


def _played(
    wire: Wire, fresh: apsw.Connection, after: int, upto: int, progress: Progress
) -> Iterator[str]:
    """Replay a part of the log, and check its chain."""
    for first in range(after, upto, PAGE):
        for position in broken_links(wire, first, min(first + PAGE, upto)):
            yield f"event {position}: is missing, or breaks the hash chain"
    with fresh:
        try:
            yield from play(_pages(wire, after, upto), fresh, progress)
        except apsw.ConstraintError as error:
            yield f"the log cannot be replayed to its end: {error}"


def _pages(wire: Wire, after: int, upto: int) -> Iterator[Sequence[Row]]:
    for first in range(after, upto, PAGE):
        if page := wire.query(_PAGE, after=first, upto=min(first + PAGE, upto)):
            yield page


def _differences(wire: Wire, fresh: apsw.Connection, table: str) -> Iterator[str]:
    """Yield the rows that only PostgreSQL has, and those that only the replay gives."""
    columns = [name for _, name, *_ in fresh.execute(f"PRAGMA table_info({table})")]
    names, values = ", ".join(columns), ", ".join("?" * len(columns))
    fresh.execute(f"CREATE TEMP TABLE theirs AS SELECT {names} FROM {table} LIMIT 0")  # noqa: S608  our own tables
    wire.query(f"DECLARE found NO SCROLL CURSOR FOR SELECT {names} FROM {table}")  # noqa: S608  as above
    while rows := wire.query(_MORE):
        with fresh:
            fresh.executemany(f"INSERT INTO theirs VALUES ({values})", rows)  # noqa: S608  as above
    wire.query("CLOSE found")
    ours = f"SELECT {names} FROM {table}"  # noqa: S608  as above
    theirs = "SELECT * FROM theirs"
    for word, one, other in (("unexpected", theirs, ours), ("missing", ours, theirs)):
        for row in fresh.execute(f"{one} EXCEPT {other} LIMIT {SHOWN}"):
            yield f"{table}: {word} row {row}"
    fresh.execute("DROP TABLE theirs")
