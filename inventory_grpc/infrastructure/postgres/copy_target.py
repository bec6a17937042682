"""A database in PostgreSQL to which a log is copied.

Until the copy is complete, a table with the id of the original keeps servers from using it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final

import psycopg

from inventory_grpc.application.failpoints import reach
from inventory_grpc.application.store import Unusable
from inventory_grpc.infrastructure.copying import End, RequestRow, WalkRow
from inventory_grpc.infrastructure.log.copies import event_rows, stream_rows, subject_rows
from inventory_grpc.infrastructure.log.names import LogName
from inventory_grpc.infrastructure.log.replay import Row, play
from inventory_grpc.infrastructure.postgres import log_names, requests
from inventory_grpc.infrastructure.postgres.copy_source import end_of
from inventory_grpc.infrastructure.postgres.events import read_log_id
from inventory_grpc.infrastructure.postgres.faults import failures_in_words
from inventory_grpc.infrastructure.postgres.opening import begin_copy, is_unfinished_copy
from inventory_grpc.infrastructure.postgres.place import keep, place_of
from inventory_grpc.infrastructure.postgres.replay import PostgresTarget
from inventory_grpc.infrastructure.postgres.server import Server
from inventory_grpc.infrastructure.postgres.statement import Statement, insert
from inventory_grpc.infrastructure.postgres.transaction import (
    INSERT_EVENTS,
    INSERT_STREAMS,
    INSERT_SUBJECTS,
)
from inventory_grpc.infrastructure.postgres.wire import Wire

_SETTINGS: Final = {
    # what is lost in a crash is copied again; the end of the copy is synced
    "synchronous_commit": "off",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
}

_ALONE: Final = Statement("SELECT pg_try_advisory_lock(hashtext('copy to ' || current_schema()))")
_REQUESTS: Final = insert(
    "requests",
    requests.COLUMNS,
    "ON CONFLICT (actor, request_id) DO UPDATE SET fingerprint = excluded.fingerprint, "
    "position = excluded.position, outcome = excluded.outcome, record_time = excluded.record_time",
)
_WALKS: Final = insert(
    "unsettled",
    {"since": "int8", "kind": "int2", "name": "text", "product_id": "text", "store_id": "text"},
)

Check = Callable[[str, Callable[[int], None]], Iterator[str]]
"""Yields the differences of an unfinished copy at a URL."""


@contextmanager
def open_target(url: str, log_id: str, check: Check) -> Iterator["PostgresCopy"]:
    """Connect to a copy of the log with this id, and begin it in an empty schema.

    Raises:
        Unusable: another process is copying to it, or PostgreSQL refuses a statement.
        StorageError: the server cannot be reached, or has failed.
    """
    server = Server(url)
    with failures_in_words():
        begin_copy(server, log_id)
        with closing(server.bulk_writer(_SETTINGS)) as connection:
            yield PostgresCopy(url, connection, check)


class PostgresCopy:
    def __init__(self, url: str, connection: psycopg.Connection[Any], check: Check) -> None:
        self._url = url
        self._connection = connection
        self._wire = Wire(connection)
        self._check = check
        self.is_finished = not is_unfinished_copy(connection)
        self.log_id = read_log_id(self._wire)
        if not self.is_finished and not self._wire.value(_ALONE):
            raise Unusable(f"another process is copying to {url}")

    def end(self) -> End:
        return end_of(self._wire)

    def append(self, page: Sequence[Row]) -> Iterator[str]:
        rows = ((INSERT_STREAMS, stream_rows(page)), (INSERT_SUBJECTS, subject_rows(page)))
        statements = [statement.bind_rows(of_page) for statement, of_page in rows if of_page]
        with self._connection.transaction():
            self._wire.run([*statements, INSERT_EVENTS.bind_rows(event_rows(page))])
            yield from play([page], PostgresTarget(self._wire), lambda _: None)

    def requests(self, keys: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], RequestRow]:
        actors, ids = zip(*keys, strict=True)
        return {row[:2]: row for row in self._wire.query(requests.ANSWERED, actors=actors, ids=ids)}

    def keep_requests(self, rows: Sequence[RequestRow]) -> None:
        self._wire.run([_REQUESTS.bind_rows(rows)])

    def keep_walks(self, rows: Sequence[WalkRow]) -> None:
        with self._connection.transaction():
            self._connection.execute("DELETE FROM unsettled")
            if rows:
                self._wire.run([_WALKS.bind_rows(rows)])

    def check(self, progress: Callable[[int], None]) -> Iterator[str]:
        return self._check(self._url, progress)

    def finish(self, log_id: str, create_time: int, names: Sequence[LogName]) -> None:
        place = place_of(self._wire)
        with self._connection.transaction():
            self._connection.execute("SET LOCAL synchronous_commit = on")
            self._connection.execute(
                "UPDATE log SET log_id = %s, create_time = %s", (log_id, create_time)
            )
            if names:
                self._wire.run([log_names.insert_names(names)])
            if place is not None:
                self._wire.run(keep(place))
            self._connection.execute("DROP TABLE copying")
        reach("copy_finish")
