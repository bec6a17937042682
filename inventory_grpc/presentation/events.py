"""The side that tells what has happened, as gRPC calls it.

Its methods answer with bytes: events are passed on as they are stored.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing

from inventory_grpc.application.event_pages import find_page
from inventory_grpc.application.ports import WallClock
from inventory_grpc.application.reading import EventLog
from inventory_grpc.application.subscription import Followers, Progress
from inventory_grpc.presentation import mapping_events as mapping
from inventory_grpc.presentation import page_tokens, stored_events
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.to_proto import fill_time
from inventory_grpc.presentation.validation import Validator
from inventory_grpc_protos.v1 import events_pb2 as pb


class Events:
    """Serves `InventoryEvents` from the log."""

    def __init__(self, followers: Followers, log: EventLog, now: WallClock) -> None:
        self._followers = followers
        self._log = log
        self._now = now

    async def Subscribe(self, request: pb.SubscribeRequest, call: Call) -> AsyncIterator[bytes]:
        with Validator(call.caller) as check:
            asked = mapping.subscription(check, request)
        after, end = await self._followers.resolve(asked.start, asked.log_id)
        call.note(position=after)
        following = self._followers.follow(
            after,
            asked.matching,
            max_events=asked.max_events,
            heartbeat_seconds=asked.heartbeat_seconds,
            stop_at=end if request.stop_at_head else None,
        )
        async with aclosing(following) as stretches:
            async for progress in stretches:
                yield self._told(progress)
                call.note(position=progress.position)

    async def ListEvents(self, request: pb.ListEventsRequest, call: Call) -> bytes:
        with Validator(call.caller) as check:
            asked = mapping.stretch(check, request)
        rows, searched, done = await find_page(
            self._log,
            asked.matching,
            asked.after,
            asked.before,
            asked.size + 1,  # to know whether there are more
            newest_first=request.newest_first,
        )
        shown = mapping.page(rows, asked.size)
        if len(shown) < len(rows):
            searched, done = shown[-1][0], False
        rest = pb.ListEventsResponse(head_position=self._log.head(), searched_position=searched)
        if not done:
            rest.next_page_token = page_tokens.token(request, searched)
        return stored_events.response((event for _, event in shown), rest)

    def _told(self, progress: Progress) -> bytes:
        rest = pb.SubscribeResponse(
            position=progress.position,
            head_position=progress.head,
            caught_up=progress.caught_up,
            log_id=self._log.log_id,
        )
        fill_time(rest.server_time, self._now())
        return stored_events.response(progress.events, rest)
