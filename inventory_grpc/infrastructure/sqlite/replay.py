"""Replays the log of a file, to rebuild its read models."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import apsw

from inventory_grpc.application.failpoints import reach
from inventory_grpc.domain.levels import Levels
from inventory_grpc.infrastructure import read_models
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.log.replay import (
    COLUMNS,
    LogInconsistent,
    Progress,
    Row,
    play,
    whole_commands,
)
from inventory_grpc.infrastructure.read_models import stock_reads
from inventory_grpc.infrastructure.sqlite.back_links import FOLLOWS
from inventory_grpc.infrastructure.sqlite.events import broken_links

PAGE: Final = 10_000
"""Events read at a time, which bounds each read transaction."""

_PAGE: Final = (
    f"SELECT {COLUMNS.format(follows=FOLLOWS)} "
    "WHERE position > ? AND position <= ? ORDER BY position"
)


def pages(
    source: apsw.Connection, after: int, upto: int, most: int | None = None
) -> Iterator[Sequence[Row]]:
    """Yield the rows of the log between two positions in order, whole commands at a time.

    A page has at most as many as *most*, which is more than a command has, or as `PAGE`.
    """
    while after < upto:
        end = min(after + (most or PAGE), upto)
        page = whole_commands(source.execute(_PAGE, (after, end)).fetchall(), upto)
        if not page:
            break
        yield page
        after = page[-1][0]


class SqliteTarget:
    """A `Target` in SQLite."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def stocks(self, streams: Collection[int]) -> Mapping[int, tuple[Levels, int]]:
        return {stream: stock_reads.levels_of(self._connection, stream) for stream in streams}

    def project(self, recorded: Sequence[NumberedEvent]) -> None:
        read_models.project(self._connection, recorded)


def rebuild(connection: apsw.Connection, upto: int, progress: Progress) -> None:
    """Rebuild the read models in one transaction."""
    with connection:
        for position in broken_links(connection, 0, upto):
            raise LogInconsistent(f"event {position}: is missing, or breaks the hash chain")
        read_models.drop(connection)
        read_models.create(connection)
        for misfit in play(pages(connection, 0, upto), SqliteTarget(connection), progress):
            raise LogInconsistent(misfit)
        reach("rebuild_mid")
        connection.execute("UPDATE log SET read_models = ?", (read_models.VERSION,))
