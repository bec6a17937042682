"""A log in PostgreSQL, from which another one is copied."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any, Final

import psycopg

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.copying import End, RequestRow, WalkRow
from inventory_grpc.infrastructure.log.names import LogName
from inventory_grpc.infrastructure.log.replay import Row
from inventory_grpc.infrastructure.postgres import log_names, place, replay, seal
from inventory_grpc.infrastructure.postgres.events import NO_END, TAIL, first_link, read_log_id
from inventory_grpc.infrastructure.postgres.faults import failures_in_words
from inventory_grpc.infrastructure.postgres.opening import check_log
from inventory_grpc.infrastructure.postgres.place import Move, Place
from inventory_grpc.infrastructure.postgres.roles import check_owner
from inventory_grpc.infrastructure.postgres.server import Server, lock_key
from inventory_grpc.infrastructure.postgres.statement import Statement
from inventory_grpc.infrastructure.postgres.wire import Wire

REQUESTS: Final = 2_000
"""Requests read at a time."""

_SETTINGS: Final = {
    # the last part of a copy is read in one snapshot, between writes to the target
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "on",
}
_SETTINGS_OF_SEAL: Final = {"lock_timeout": "10s"}

_REQUESTS: Final = Statement(
    "SELECT actor, request_id, fingerprint, position, outcome, record_time FROM requests "
    "WHERE record_time >= $time::int8 AND (record_time, position, actor, request_id) > "
    "($time::int8, $position::int8, $actor::text, $request_id::text) "
    "ORDER BY record_time, position, actor, request_id LIMIT $limit::int8"
)
_WALKS: Final = Statement("SELECT since, kind, name, product_id, store_id FROM unsettled")
_CREATE_TIME: Final = Statement("SELECT create_time FROM log")


@contextmanager
def open_source(url: str, *, seals: bool = False) -> Iterator["PostgresSource"]:
    """Connect to an existing log, which the copy *seals* in the end or leaves as it is.

    Raises:
        Unusable: there is none, it has another format, or the role must not seal it.
        StorageError: the server cannot be reached, or has failed.
    """
    server = Server(url)
    check_log(server)
    with failures_in_words(), closing(server.direct(_SETTINGS)) as connection:
        if seals:
            check_owner(connection, "--seal")
        yield PostgresSource(server, connection)


class PostgresSource:
    def __init__(self, server: Server, connection: psycopg.Connection[Any]) -> None:
        self._server = server
        self._connection = connection
        self._wire = Wire(connection)
        self.log_id = read_log_id(self._wire)
        self.create_time: int = self._wire.value(_CREATE_TIME)

    def end(self) -> End:
        return end_of(self._wire)

    def first_link(self) -> bytes:
        return first_link(self._wire)

    def pages(self, after: int, upto: int) -> Iterator[Sequence[Row]]:
        return replay.pages(self._wire, after, upto)

    def names(self) -> Sequence[LogName]:
        return log_names.names_of(self._wire)

    def requests(self) -> Iterator[Sequence[RequestRow]]:
        last: tuple[Any, ...] = "", "", None, -NO_END, None, -NO_END
        while rows := self._requests_after(*last):
            yield rows
            last = rows[-1]

    def _requests_after(
        self, actor: str, request_id: str, _: object, position: int, __: object, time: int
    ) -> Sequence[RequestRow]:
        return self._wire.query(
            _REQUESTS,
            time=time,
            position=position,
            actor=actor,
            request_id=request_id,
            limit=REQUESTS,
        )

    def walks(self) -> Sequence[WalkRow]:
        return self._wire.query(_WALKS)

    def one_state(self) -> AbstractContextManager[None]:
        return self._wire.one_state()

    def sealed(self) -> str | None:
        return seal.sealed(self._wire)

    def seal(self, new_place: str) -> None:
        with closing(self._server.direct(_SETTINGS_OF_SEAL)) as connection:
            wire = Wire(connection)
            found = place.place_of(wire)
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock_key(self.log_id),))
                self._check(wire, found)
                if seal.sealed(wire) is None:  # a log stays sealed for the place that was first
                    seal.seal(connection, new_place)

    def _check(self, wire: Wire, found: Place | None) -> None:
        """Check that this is still the log that was copied: it cannot be unsealed.

        Raises:
            StorageError: it has another name, or has to be adopted.
        """
        if read_log_id(wire) != self.log_id:
            raise StorageError(Fault.FAILED_OVER, why="it has got another id: run this again")
        former = place.kept_place(wire) if found else None
        if found and former and found.move_from(former) in {Move.PROMOTED, Move.RESTORED}:
            raise StorageError(
                Fault.FAILED_OVER, why="start a server with failover=trusted, or adopt it"
            )


def end_of(wire: Wire) -> End:
    rows = wire.query(TAIL)
    return End(*rows[0][:2]) if rows else End(0, first_link(wire))
