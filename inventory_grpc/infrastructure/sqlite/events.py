"""Reads the log in the file: its id, its end, its events and its hash chain."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import apsw

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.codec import decode, log_id_of, record_time
from inventory_grpc.infrastructure.log.chain import MAX_COMMAND_EVENTS, Tail, link
from inventory_grpc.infrastructure.log.ids import kind_and_name

OF_OTHER_STREAM: Final = "events WHERE stream = ? AND previous IS NULL"
"""The events of a stream that is no stock; those of stocks have back links."""


def read_log_id(connection: apsw.Connection) -> str:
    """Return the id of the log, which new events get.

    Raises:
        StorageError: it is missing.
    """
    log_id = connection.execute("SELECT log_id FROM log WHERE one = 1").get
    if not isinstance(log_id, str):
        raise StorageError(Fault.DAMAGED)
    return log_id


def first_link(connection: apsw.Connection) -> bytes:
    """Return the hash input before the first event: the id of the log that recorded it.

    That is the id of this log, unless it began as a copy of another one.
    """
    event = connection.execute("SELECT event FROM events WHERE position = 1").get
    name = log_id_of(event) if isinstance(event, bytes) else read_log_id(connection)
    return name.encode()


def read_head(connection: apsw.Connection) -> int:
    """Return the position of the last event; 0 in an empty log."""
    head: int | None = connection.execute("SELECT max(position) FROM events").get
    return head or 0


def read_tail(connection: apsw.Connection, log_id: str) -> Tail:
    row = connection.execute(
        "SELECT position, hash, event FROM events ORDER BY position DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return Tail(0, log_id.encode(), Instant(0))
    return Tail(row[0], row[1], record_time(row[2]))


def find_stream(connection: apsw.Connection, key: Key) -> int | None:
    """Return the stream number of *key*, if it has a history."""
    stream: int | None = connection.execute(
        "SELECT stream FROM streams WHERE kind = ? AND name = ?", kind_and_name(key)
    ).get
    return stream


def encoded_after(connection: apsw.Connection, position: int, limit: int) -> Iterator[bytes]:
    """Yield the next *limit* events as they are stored."""
    rows = connection.execute(
        "SELECT event FROM events WHERE position > ? ORDER BY position LIMIT ?", (position, limit)
    )
    return (data for (data,) in rows)


def events_of_command(connection: apsw.Connection, position: int) -> Sequence[Event]:
    """Return the events of the command whose first is at *position*."""
    events: list[Event] = []
    for event in map(decode, encoded_after(connection, position - 1, MAX_COMMAND_EVENTS)):
        if event.command_position != position:
            break
        events.append(event)
    return events


def events_of_subject(
    connection: apsw.Connection, subject: int, after: int, upto: int
) -> Iterator[Event]:
    """Yield the events about a subject, between two positions."""
    rows = connection.execute(
        "SELECT event FROM events WHERE subject = ? AND position > ? AND position <= ? "
        "ORDER BY position",
        (subject, after, upto),
    )
    return (decode(data) for (data,) in rows)


def events_of_stream(connection: apsw.Connection, stream: int, upto: int) -> Iterator[Event]:
    """Yield the events of a stream that is no stock, up to a version."""
    rows = connection.execute(
        f"SELECT event FROM {OF_OTHER_STREAM} AND version <= ? ORDER BY version",  # noqa: S608  made of constants, values are bound
        (stream, upto),
    )
    return (decode(data) for (data,) in rows)


def event_of(connection: apsw.Connection, stream: int, version: int) -> Event:
    """Return the event with this version of a stream that is no stock."""
    return event_at(connection, position_of(connection, stream, version))


def event_at(connection: apsw.Connection, position: int) -> Event:
    """Return the event at a position."""
    data: bytes = connection.execute("SELECT event FROM events WHERE position = ?", (position,)).get
    return decode(data)


def position_of(connection: apsw.Connection, stream: int, version: int) -> int:
    """Return the position of the event with this version of a stream that is no stock."""
    position: int = connection.execute(
        f"SELECT position FROM {OF_OTHER_STREAM} AND version = ?",  # noqa: S608  as above
        (stream, version),
    ).get
    return position


def version_at(connection: apsw.Connection, stream: int, position: int) -> int:
    """Return the version of a stream that is no stock after *position*.

    Versions increase with positions.
    """
    latest: int = connection.execute(
        f"SELECT max(version) FROM {OF_OTHER_STREAM}",  # noqa: S608  as above
        (stream,),
    ).get
    versions = range(1, latest + 1)
    return bisect_right(versions, position, key=partial(position_of, connection, stream))


def position_before(connection: apsw.Connection, time: Instant) -> int:
    """Return the position of the last event recorded before *time*; times never decrease."""

    def time_of(position: int) -> int:
        data: bytes = connection.execute(
            "SELECT event FROM events WHERE position = ?", (position,)
        ).get
        return record_time(data)

    return bisect_right(range(1, read_head(connection) + 1), time - 1, key=time_of)


def check_tail(connection: apsw.Connection, length: int) -> None:
    """Verify the last *length* links of the chain.

    Raises:
        StorageError: a link is broken.
    """
    for position in broken_links(connection, max(0, read_head(connection) - length)):
        raise StorageError(Fault.DAMAGED, detail=f"event {position} is missing or was changed")


def broken_links(connection: apsw.Connection, after: int, upto: int | None = None) -> Iterator[int]:
    """Yield the positions after *after* that are missing or have a wrong hash."""
    previous: bytes | None
    if after:
        previous = connection.execute("SELECT hash FROM events WHERE position = ?", (after,)).get
    else:
        previous = first_link(connection)
    expected = after + 1
    for position, event, digest in connection.execute(
        "SELECT position, event, hash FROM events WHERE position > ? AND position <= ? "
        "ORDER BY position",
        (after, 2**62 if upto is None else upto),
    ):
        yield from range(expected, position)
        if position == expected and not _is_intact(previous, event, digest):
            yield position
        expected, previous = position + 1, digest


def _is_intact(previous: object, event: object, digest: object) -> bool:
    """Return whether the link is intact; damaged pages may yield any type instead of bytes."""
    return (
        isinstance(previous, bytes) and isinstance(event, bytes) and link(previous, event) == digest
    )
