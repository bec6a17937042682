"""Prints the event log as JSON lines."""

import asyncio
import sys
from typing import Final

from google.protobuf.json_format import MessageToJson

from inventory_grpc.application.following import Followers, Start
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.queries.events import EventFilter
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.event_log import SqliteEventLog
from inventory_grpc.infrastructure.sqlite.events import read_log_id
from inventory_grpc.infrastructure.sqlite.head_poll import HeadPoll
from inventory_grpc.infrastructure.sqlite.read_only_files import file_state, has_changed, readable
from inventory_grpc.infrastructure.sqlite.readers import Readers
from inventory_grpc.infrastructure.sqlite.schema import check_format
from inventory_grpc_protos.v1.events_pb2 import Event

MAX_EVENTS: Final = 512


async def print_events(
    database: Database, after: int, matching: EventFilter, *, follow: bool
) -> None:
    """Print matching events as JSON lines; with *follow*, continue with new ones.

    Raises:
        PositionAhead: *after* is past the end of the log.
        NotOurs: the log has an earlier format.
        StorageError: it cannot be read.
        InUse: another process changed a file that this process can only read.
    """
    with readable(database) as original:
        await _print(original, after, matching, follow=follow)


async def _print(database: Database, after: int, matching: EventFilter, *, follow: bool) -> None:
    before = file_state(database.path)
    readers = Readers(database)
    readers.point(lambda connection: check_format(connection, database.path))
    event_log = SqliteEventLog(readers, readers.point(read_log_id))
    head = Head(await event_log.head())
    followers = Followers(event_log, head)
    position, end = await followers.resolve(Start(after_position=after), "")
    polling = asyncio.create_task(HeadPoll(readers).watch(head, head.advance))
    try:
        async for progress in followers.follow(
            position,
            matching,
            max_events=MAX_EVENTS,
            heartbeat_seconds=1.0 if database.is_at_rest else 60.0,
            stop_at=None if follow else end,
        ):
            for event in progress.events:
                sys.stdout.write(_line(event))
            sys.stdout.flush()
            if database.is_at_rest and has_changed(database.path, before):
                return
    finally:
        polling.cancel()
        await readers.close()
        readers.shut_down()


def _line(event: bytes) -> str:
    """Return a stored event as a line of JSON, with the field names of the API."""
    message = Event.FromString(event)
    return MessageToJson(message, preserving_proto_field_name=True, indent=None) + "\n"
