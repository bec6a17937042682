"""Shows the log's clock beside the wall clock, and resets it to the wall clock."""

from contextlib import closing
from typing import NamedTuple

import apsw

from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure import clocks
from inventory_grpc.infrastructure.sqlite import kept_time
from inventory_grpc.infrastructure.sqlite.causes import storage_errors
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.events import read_log_id, read_tail
from inventory_grpc.infrastructure.sqlite.opening import locked
from inventory_grpc.infrastructure.sqlite.read_only_files import readable


class LogTime(NamedTuple):
    """The clock that a server started now would use, and the wall clock."""

    log: Instant
    wall: Instant
    last: Instant
    """The record time of the last event."""
    position: int
    """Of the last event; 0 if there is none."""
    is_kept: bool
    """The log's clock continues from an earlier process since the same boot."""


def log_time(database: Database) -> LogTime:
    """Return the state of the clocks; servers may run meanwhile."""
    with (
        readable(database) as original,
        closing(original.reader()) as connection,
        storage_errors(database.path, connection),
    ):
        return _read(connection)


def adopt_wall(database: Database) -> LogTime:
    """Make the next server adopt its wall clock, as after a boot; return the state after that.

    Raises:
        InUse: a server is running, which would keep its clock.
    """
    with (
        locked(database, exclusive=True),
        closing(database.writer()) as connection,
        storage_errors(database.path, connection),
    ):
        kept_time.forget(connection)
        return _read(connection)


def _read(connection: apsw.Connection) -> LogTime:
    kept, wall = kept_time.read(connection), clocks.wall()
    end = read_tail(connection, read_log_id(connection))
    is_kept = kept is not None and kept.boot == clocks.boot() != ""
    now = clocks.monotonic() + kept.offset if kept is not None and is_kept else wall
    return LogTime(Instant(max(now, end.record_time)), wall, end.record_time, end.position, is_kept)
