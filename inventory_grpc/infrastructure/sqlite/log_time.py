"""The distance of the log's time from the wall clock, and the command that sets it anew."""

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
from inventory_grpc.infrastructure.sqlite.unwritable import readable


class LogTime(NamedTuple):
    """What a server would go by that starts now."""

    log: Instant
    wall: Instant
    last: Instant
    """When the last event was recorded."""
    position: int
    """Of the last event; 0 without any."""
    is_kept: bool
    """It goes on from an earlier process of this start of the machine."""


def log_time(database: Database) -> LogTime:
    """Return how the clocks stand; servers may go on meanwhile."""
    with (
        readable(database) as original,
        closing(original.reader()) as connection,
        storage_errors(database.path, connection),
    ):
        return _read(connection)


def adopt_wall(database: Database) -> LogTime:
    """Have the next server adopt its wall clock, as after a boot; return how the clocks stand then.

    Raises:
        InUse: a server is running, which would go on with the time that it has.
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
