"""Reads the log: its id, its end, its events and its hash chain."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.codec import decode, log_id_of, record_time
from inventory_grpc.infrastructure.log.chain import MAX_COMMAND_EVENTS, Tail, link
from inventory_grpc.infrastructure.log.ids import kind_and_name
from inventory_grpc.infrastructure.postgres.statement import Statement
from inventory_grpc.infrastructure.postgres.wire import Row, Wire

NO_END: Final = 2**62

NOW: Final = "(extract(epoch FROM clock_timestamp()) * 1000000)::int8"
"""The time of the server when the expression is evaluated."""

LOG_ID: Final = Statement("SELECT log_id FROM log WHERE one = 1")
HEAD: Final = Statement("SELECT coalesce(max(position), 0) FROM events")
TAIL: Final = Statement("SELECT position, hash, event FROM events ORDER BY position DESC LIMIT 1")
_STREAM: Final = Statement(
    "SELECT stream FROM streams WHERE kind = $kind::int2 AND name = $name::text"
)
_AFTER: Final = Statement(
    "SELECT event FROM events WHERE position > $position::int8 ORDER BY position LIMIT $limit::int8"
)
_OF_COMMAND: Final = Statement(
    "SELECT event FROM events WHERE position >= $first::int8 AND position < coalesce("
    "(SELECT position FROM events WHERE position > $first::int8 AND ordinal = 0 "
    "ORDER BY position LIMIT 1), $first::int8 + $most::int8) ORDER BY position"
)
_AT: Final = Statement("SELECT event FROM events WHERE position = $position::int8")
_OF_SUBJECT: Final = Statement(
    "SELECT event FROM events WHERE subject = $subject::int8 AND position > $after::int8 "
    "AND position <= $upto::int8 ORDER BY position"
)
_OF_STREAM: Final = Statement(
    "SELECT event FROM events WHERE stream = $stream::int8 AND version <= $upto::int8 "
    "ORDER BY version"
)
_OF_VERSION: Final = Statement(
    "SELECT position, event FROM events WHERE stream = $stream::int8 AND version = $version::int8"
)
# Versions increase with positions, so a version can be found by bisection in the index.
_VERSION_AT: Final = Statement(
    """
    WITH RECURSIVE step (low, high) AS (
      SELECT 0::int8, coalesce(max(version), 0) FROM events WHERE stream = $stream::int8
      UNION ALL
      SELECT
        CASE WHEN found.position <= $position::int8 THEN found.version ELSE low END,
        CASE WHEN found.position <= $position::int8 THEN high ELSE found.version - 1 END
      FROM step JOIN LATERAL (
        SELECT version, position FROM events
        WHERE stream = $stream::int8 AND version = (low + high + 1) / 2
      ) AS found ON low < high
    )
    SELECT low FROM step WHERE low >= high
    """
)
_LINKS: Final = Statement(
    "SELECT position, event, hash FROM events WHERE position > $after::int8 "
    "AND position <= $upto::int8 ORDER BY position"
)
EXISTS: Final = Statement(
    "SELECT EXISTS (SELECT 1 FROM pg_tables "
    "WHERE schemaname = current_schema() AND tablename = $table::text)"
)
"""Whether the schema of the log has this table; others in the search path may have one, too."""
HASH: Final = Statement("SELECT hash FROM events WHERE position = $position::int8")


def read_log_id(wire: Wire) -> str:
    """Return the id of the log, which new events get.

    Raises:
        StorageError: it is missing.
    """
    log_id = wire.value(LOG_ID)
    if not isinstance(log_id, str):
        raise StorageError(Fault.DAMAGED)
    return log_id


def read_head(wire: Wire) -> int:
    """Return the position of the last event; 0 in an empty log."""
    head: int = wire.value(HEAD)
    return head


def hash_of(wire: Wire, position: int) -> bytes | None:
    """Return the hash of the event at *position*, if the log has it."""
    digest: bytes | None = wire.value(HASH, position=position)
    return digest


def tail_of(rows: Sequence[Row], log_id: str) -> Tail:
    """Return the end of the log in the rows of `TAIL`."""
    if not rows:
        return Tail(0, log_id.encode(), Instant(0))
    [(position, digest, event)] = rows
    return Tail(position, digest, record_time(event))


def find_stream(wire: Wire, key: Key) -> int | None:
    """Return the stream number of *key*, if it has a history."""
    kind, name = kind_and_name(key)
    stream: int | None = wire.value(_STREAM, kind=kind, name=name)
    return stream


def encoded_after(wire: Wire, position: int, limit: int) -> Sequence[bytes]:
    """Return the next *limit* events as they are stored."""
    return [data for (data,) in wire.query(_AFTER, position=position, limit=limit)]


def event_at(wire: Wire, position: int) -> Event | None:
    """Return the event at *position*, if the log has it."""
    data: bytes | None = wire.value(_AT, position=position)
    return None if data is None else decode(data)


def events_of_commands(wire: Wire, positions: Collection[int]) -> Sequence[Sequence[Event]]:
    """Return the events of the commands whose first are at *positions*, in one round trip."""
    asked = [_OF_COMMAND.bind(first=first, most=MAX_COMMAND_EVENTS) for first in positions]
    return [_decoded(rows) for rows in wire.run(asked)]


def events_of_subject(wire: Wire, subject: int, after: int, upto: int) -> Sequence[Event]:
    """Return the events about a subject, between two positions."""
    return _decoded(wire.query(_OF_SUBJECT, subject=subject, after=after, upto=upto))


def events_of_stream(wire: Wire, stream: int, upto: int) -> Sequence[Event]:
    """Return the events of a stream, up to a version."""
    return _decoded(wire.query(_OF_STREAM, stream=stream, upto=upto))


def event_of(wire: Wire, stream: int, version: int) -> Event:
    """Return the event with this version of a stream."""
    [(_, data)] = wire.query(_OF_VERSION, stream=stream, version=version)
    return decode(data)


def position_of(wire: Wire, stream: int, version: int) -> int:
    """Return the position of the event with this version of a stream."""
    position: int = wire.value(_OF_VERSION, stream=stream, version=version)
    return position


def version_at(wire: Wire, stream: int, position: int) -> int:
    """Return the version of a stream after *position*."""
    version: int = wire.value(_VERSION_AT, stream=stream, position=position)
    return version


def position_before(wire: Wire, time: Instant) -> int:
    """Return the position of the last event recorded before *time*; times never decrease."""
    low, high = 0, read_head(wire)
    while low < high:
        middle = (low + high + 1) // 2
        if record_time(wire.value(_AT, position=middle)) < time:
            low = middle
        else:
            high = middle - 1
    return low


def check_tail(wire: Wire, length: int) -> None:
    """Verify the last *length* links of the chain.

    Raises:
        StorageError: a link is broken.
    """
    head = read_head(wire)
    for position in broken_links(wire, max(0, head - length), head):
        raise StorageError(Fault.DAMAGED, detail=f"event {position} is missing or was changed")


def broken_links(wire: Wire, after: int, upto: int) -> Iterator[int]:
    """Yield the positions between two that are missing or have a wrong hash."""
    previous = hash_of(wire, after) if after else first_link(wire)
    expected = after + 1
    for position, event, digest in wire.query(_LINKS, after=after, upto=upto):
        yield from range(expected, position)
        if position == expected and (previous is None or link(previous, event) != digest):
            yield position
        expected, previous = position + 1, digest
    yield from range(expected, upto + 1)


def first_link(wire: Wire) -> bytes:
    """Return the hash input before the first event: the id of the log that recorded it."""
    event: bytes | None = wire.value(_AT, position=1)
    return (log_id_of(event) if event else read_log_id(wire)).encode()


def _decoded(rows: Sequence[Row]) -> list[Event]:
    return [decode(data) for (data,) in rows]
