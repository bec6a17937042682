"""Prints the event log as JSON lines."""

import asyncio
import sys
from pathlib import Path
from typing import Final

from google.protobuf.json_format import MessageToJson

from inventory_grpc.application.following import Followers, Start
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.queries.events import EventFilter
from inventory_grpc.application.store import ReadLog
from inventory_grpc.infrastructure.store import open_log
from inventory_grpc_protos.v1.events_pb2 import Event

MAX_EVENTS: Final = 512


async def print_events(
    database: Path | str, after: int, matching: EventFilter, *, follow: bool
) -> None:
    """Print matching events as JSON lines; with *follow*, continue with new ones.

    Raises:
        PositionAhead: *after* is past the end of the log.
        Unusable: there is no log, or it has an earlier format.
        StorageError: it cannot be read.
        InUse: another process changed a file that this process can only read.
    """
    async with open_log(database) as opened:
        await _print(opened, after, matching, follow=follow)


async def _print(opened: ReadLog, after: int, matching: EventFilter, *, follow: bool) -> None:
    head = Head(await opened.log.head())
    followers = Followers(opened.log, head)
    position, end = await followers.resolve(Start(after_position=after), "")
    polling = asyncio.create_task(opened.changes.watch(head, head.advance))
    try:
        async for progress in followers.follow(
            position,
            matching,
            max_events=MAX_EVENTS,
            heartbeat_seconds=1.0 if opened.was_replaced else 60.0,
            stop_at=None if follow else end,
        ):
            for event in progress.events:
                sys.stdout.write(_line(event))
            sys.stdout.flush()
            if opened.was_replaced and opened.was_replaced():
                return
    finally:
        polling.cancel()


def _line(event: bytes) -> str:
    """Return a stored event as a line of JSON, with the field names of the API."""
    message = Event.FromString(event)
    return MessageToJson(message, preserving_proto_field_name=True, indent=None) + "\n"
