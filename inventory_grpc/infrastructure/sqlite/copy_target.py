"""A file to which a log is copied.

Until the copy is complete it has another name, so that no server finds it. A table with the
id of the original shows that it is not complete.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Final

import apsw

from inventory_grpc.application.failpoints import reach
from inventory_grpc.application.store import Durability
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.copying import End, RequestRow, WalkRow
from inventory_grpc.infrastructure.log.copies import (
    are_of_stocks,
    event_rows,
    stream_rows,
    subject_rows,
)
from inventory_grpc.infrastructure.log.names import LogName
from inventory_grpc.infrastructure.log.replay import Row, play
from inventory_grpc.infrastructure.sqlite import schema
from inventory_grpc.infrastructure.sqlite.back_links import INSERT_EVENTS, with_back_links
from inventory_grpc.infrastructure.sqlite.causes import storage_errors
from inventory_grpc.infrastructure.sqlite.companions import companion
from inventory_grpc.infrastructure.sqlite.connection import Database, close
from inventory_grpc.infrastructure.sqlite.copy_source import end_of
from inventory_grpc.infrastructure.sqlite.events import read_log_id
from inventory_grpc.infrastructure.sqlite.file_set import check_files
from inventory_grpc.infrastructure.sqlite.file_swap import sync
from inventory_grpc.infrastructure.sqlite.multirow import execute_with, select_with
from inventory_grpc.infrastructure.sqlite.opening import InUse, locked
from inventory_grpc.infrastructure.sqlite.replay import SqliteTarget
from inventory_grpc.infrastructure.sqlite.staging import rename_without_replacing
from inventory_grpc.infrastructure.sqlite.transaction import INSERT_STREAMS, INSERT_SUBJECTS
from inventory_grpc.infrastructure.sqlite.verify import verify

UNFINISHED: Final = ".copying"
"""The end of the name of a copy that is not complete."""

_TABLES: Final = "SELECT count(*) FROM sqlite_schema"
_ANSWERED: Final = (
    "WITH wanted (actor, request_id) AS ({}) "
    "SELECT actor, request_id, fingerprint, position, outcome, record_time "
    "FROM wanted CROSS JOIN requests USING (actor, request_id)"
)
_REQUESTS: Final = (
    "INSERT INTO requests (actor, request_id, fingerprint, position, outcome, record_time) {} "
    "ON CONFLICT (actor, request_id) DO UPDATE SET fingerprint = excluded.fingerprint, "
    "position = excluded.position, outcome = excluded.outcome, record_time = excluded.record_time"
)
_WALKS: Final = "INSERT INTO unsettled (since, kind, name, product_id, store_id) {}"


@contextmanager
def open_target(database: Database, log_id: str) -> Iterator["SqliteCopy"]:
    """Open a copy of the log with this id, and begin it if there is none.

    Raises:
        NotOurs: there is a file that is not an inventory database.
        Misplaced: there are files of another database beside it.
        InUse: another process is copying to it.
        StorageError: it cannot be written.
    """
    database.path.parent.mkdir(parents=True, exist_ok=True)
    copy = replace(
        database, path=companion(database.path, UNFINISHED), durability=Durability.RELAXED
    )
    if not check_files(database.path):
        with _alone(copy), storage_errors(copy.path):
            if _is_begun(copy) and _is_complete(copy):
                _put_in_place(copy, database)
            elif not check_files(database.path):
                with _unfinished(copy, database, log_id) as opened:
                    yield opened
                return
    with closing(schema.inspect(database)) as connection:
        yield SqliteCopy(database, database, connection, is_finished=True)


@contextmanager
def _unfinished(copy: Database, database: Database, log_id: str) -> Iterator["SqliteCopy"]:
    if not _is_begun(copy):
        _begin(copy, log_id)
    opened = SqliteCopy(database, copy, copy.writer())
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def _alone(copy: Database) -> Iterator[None]:
    try:
        with locked(copy, exclusive=True, patience_seconds=0.0):
            yield
    except InUse:
        raise InUse(f"another process is making {copy.path}") from None


def _is_begun(copy: Database) -> bool:
    if not copy.path.exists():
        return False
    with closing(copy.writer()) as connection:
        return bool(connection.execute(_TABLES).get)


def _is_complete(copy: Database) -> bool:
    """Return whether only the name of the file is missing."""
    with closing(copy.writer()) as connection:
        return not connection.execute(f"{_TABLES} WHERE name = 'copying'").get


def _put_in_place(copy: Database, database: Database) -> None:
    sync(copy.path)
    rename_without_replacing(copy.path, database.path)
    for end in ("-wal", "-shm", ".lock"):
        companion(copy.path, end).unlink(missing_ok=True)


def _begin(copy: Database, log_id: str) -> None:
    for end in ("", "-wal", "-shm"):
        companion(copy.path, end).unlink(missing_ok=True)
    with closing(copy.creator()) as connection:
        with connection:
            schema.fill(connection, Instant(0), log_id)
            connection.execute("CREATE TABLE copying (source TEXT NOT NULL) STRICT")
        schema.write_header(connection)


class SqliteCopy:
    def __init__(
        self,
        database: Database,
        copy: Database,
        connection: apsw.Connection,
        *,
        is_finished: bool = False,
    ) -> None:
        self._database = database
        self._copy = copy
        self._connection: apsw.Connection = connection
        self._is_open = True
        self.is_finished = is_finished
        self.log_id = read_log_id(connection)

    def end(self) -> End:
        return end_of(self._connection, self.log_id)

    def append(self, page: Sequence[Row]) -> Iterator[str]:
        with self._connection:
            execute_with(self._connection, INSERT_STREAMS, stream_rows(page))
            execute_with(self._connection, INSERT_SUBJECTS, subject_rows(page))
            rows = with_back_links(event_rows(page), are_of_stocks(page))
            try:
                execute_with(self._connection, INSERT_EVENTS, rows)
            except apsw.ConstraintError:
                yield from self._play(page)  # which names the event that has no back link
                raise
            yield from self._play(page)

    def _play(self, page: Sequence[Row]) -> Iterator[str]:
        return play([page], SqliteTarget(self._connection), lambda _: None)

    def requests(self, keys: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], RequestRow]:
        found = select_with(self._connection, _ANSWERED, [*keys])
        return {(row[0], row[1]): row for row in found}

    def keep_requests(self, rows: Sequence[RequestRow]) -> None:
        with self._connection:
            execute_with(self._connection, _REQUESTS, rows)

    def keep_walks(self, rows: Sequence[WalkRow]) -> None:
        with self._connection:
            self._connection.execute("DELETE FROM unsettled")
            execute_with(self._connection, _WALKS, rows)

    def check(self, progress: Callable[[int], None]) -> Iterator[str]:
        return verify(self._copy, progress)

    def finish(self, log_id: str, create_time: int, names: Sequence[LogName]) -> None:  # noqa: ARG002  a file has no names
        connection = self._connection
        with connection:
            connection.execute("UPDATE log SET log_id = ?, create_time = ?", (log_id, create_time))
            connection.execute("DROP TABLE copying")
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self.close()
        reach("copy_finish")
        _put_in_place(self._copy, self._database)

    def close(self) -> None:
        if self._is_open:
            close(self._connection)
            self._is_open = False
