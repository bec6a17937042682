"""A log in a file, from which another one is copied."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any, Final

import apsw

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.copying import End, RequestRow, WalkRow
from inventory_grpc.infrastructure.log.names import LogName
from inventory_grpc.infrastructure.log.replay import Row
from inventory_grpc.infrastructure.sqlite import replay, seal
from inventory_grpc.infrastructure.sqlite.causes import storage_errors
from inventory_grpc.infrastructure.sqlite.connection import Database, one_state
from inventory_grpc.infrastructure.sqlite.events import first_link, read_log_id, read_tail
from inventory_grpc.infrastructure.sqlite.high_water import HighWater
from inventory_grpc.infrastructure.sqlite.opening import locked
from inventory_grpc.infrastructure.sqlite.read_only_files import readable
from inventory_grpc.infrastructure.sqlite.schema import check_format

PAGE: Final = 2_000
"""Events copied at a time: a server that gets them answers within its time limit, on any disk."""
REQUESTS: Final = 2_000
"""Requests read at a time."""


@contextmanager
def open_source(database: Database) -> Iterator["SqliteSource"]:
    """Open an existing file.

    Raises:
        NotOurs: the log has an earlier format.
        StorageError: it cannot be read, or its last events are missing.
        InUse: another process changed a file that this process can only read.
    """
    with (
        readable(database) as original,
        closing(original.reader()) as connection,
        storage_errors(original.path, connection),
    ):
        check_format(connection, original.path)
        if missing := HighWater(original.path).missing(connection):
            raise StorageError(Fault.DAMAGED, detail=missing)
        yield SqliteSource(database, connection)


class SqliteSource:
    def __init__(self, database: Database, connection: apsw.Connection) -> None:
        self._database = database
        self._connection = connection
        self.log_id = read_log_id(connection)
        self.create_time: int = connection.execute("SELECT create_time FROM log").get

    def end(self) -> End:
        return end_of(self._connection, self.log_id)

    def first_link(self) -> bytes:
        return first_link(self._connection)

    def pages(self, after: int, upto: int) -> Iterator[Sequence[Row]]:
        return replay.pages(self._connection, after, upto, PAGE)

    def names(self) -> Sequence[LogName]:
        return ()

    def requests(self) -> Iterator[Sequence[RequestRow]]:
        last = 0
        while rows := self._requests_after(last):
            yield [row[1:] for row in rows]
            last = rows[-1][0]

    def _requests_after(self, last: int) -> Sequence[Any]:
        return self._connection.execute(
            "SELECT request, actor, request_id, fingerprint, position, outcome, record_time "
            "FROM requests WHERE request > ? ORDER BY request LIMIT ?",
            (last, REQUESTS),
        ).fetchall()

    def walks(self) -> Sequence[WalkRow]:
        return self._connection.execute("SELECT * FROM unsettled").fetchall()

    def one_state(self) -> AbstractContextManager[None]:
        return one_state(self._connection)

    def sealed(self) -> str | None:
        return seal.sealed(self._connection)

    def seal(self, place: str) -> None:
        with (
            locked(self._database, exclusive=False),
            closing(self._database.writer()) as connection,
            storage_errors(self._database.path, connection),
        ):
            connection.execute("BEGIN IMMEDIATE")
            seal.seal(connection, place)
            connection.execute("COMMIT")


def end_of(connection: apsw.Connection, log_id: str) -> End:
    tail = read_tail(connection, log_id)
    return End(tail.position, tail.hash if tail.position else first_link(connection))
