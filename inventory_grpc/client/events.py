"""How does a caller learn what has happened?"""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import TypedDict, Unpack

from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.client import messages
from inventory_grpc.client.calls import Calls
from inventory_grpc.client.subscription import follow
from inventory_grpc_protos.v1 import events_pb2 as pb
from inventory_grpc_protos.v1.events_pb2_grpc import InventoryEventsStub

HEARTBEAT = timedelta(seconds=10)
HEARTBEATS_MISSED_BY_THE_DEAD = 3


class Matching(TypedDict, total=False):
    """Which events to bring: those that match every list, each by any of its values."""

    event_types: Iterable[str]
    """Names of facts, such as `StockReserved`."""
    product_ids: Iterable[str]
    store_ids: Iterable[str]
    reservation_ids: Iterable[str]


class Following(Matching, total=False):
    """Where to begin, what to bring and how; each of them may be left out."""

    after_position: int
    """Begin after this position. 0, or no beginning at all: at the beginning of the log."""
    after_time: datetime
    """Begin after the last event recorded at or before this time."""
    from_now: bool
    """Bring only what is yet to come."""
    log_id: str
    """The log that the position belongs to; another one is refused with `OtherLog`."""
    max_batch: int
    heartbeat: timedelta
    """How long the server may be silent, 1 to 60 seconds; three times that, and it is dead."""
    stop_at_head: bool
    """End at the end of the log, instead of waiting there for more."""


class Events:
    """The side that tells."""

    _calls: Calls
    _events: InventoryEventsStub

    def subscribe(
        self, **following: Unpack[Following]
    ) -> AsyncGenerator[pb.SubscribeResponse, None]:
        """Yield batches of events in order, none missing and none twice, as long as it takes.

        After a lost or a dead connection it goes on by itself, behind the last batch that
        was yielded, if need be again and again. Heartbeats are yielded too: batches without
        events. To go on another day, keep a batch's `position` and `log_id` together with
        what was made of it, and begin with them.

        Leave it through `contextlib.aclosing`, or the call stays open until the garbage
        collector comes by.

        Raises:
            InventoryError: what no new attempt will mend: `OtherLog`, `PositionAhead`, ...
        """
        heartbeat = following.get("heartbeat", HEARTBEAT)
        request = pb.SubscribeRequest(
            log_id=following.get("log_id", ""),
            filter=_filter(following),
            max_batch=following.get("max_batch", 0),
            heartbeat=messages.duration(heartbeat),
            stop_at_head=following.get("stop_at_head", False),
            **_start(following),
        )
        dead_after = HEARTBEATS_MISSED_BY_THE_DEAD * heartbeat.total_seconds()
        return follow(self._events.Subscribe, request, dead_after=dead_after)

    async def events(self, **following: Unpack[Following]) -> AsyncGenerator[pb.Event, None]:
        """Yield the events of `subscribe`, one by one."""
        async with aclosing(self.subscribe(**following)) as batches:
            async for batch in batches:
                for event in batch.events:
                    yield event

    async def list_events(  # noqa: PLR0913  the fields of the request
        self,
        *,
        after_position: int = 0,
        before_position: int = 0,
        newest_first: bool = False,
        page_size: int = 0,
        page_token: str = "",
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
        **matching: Unpack[Matching],
    ) -> pb.ListEventsResponse:
        """Return a page of the log between two positions, oldest or newest first.

        A page may hold no event and still not be the last: go on with `next_page_token` as
        `page_token` until that is empty. `searched_position` says how far was looked.
        """
        request = pb.ListEventsRequest(
            filter=_filter(matching),
            after_position=after_position,
            before_position=before_position,
            newest_first=newest_first,
            page_size=page_size,
            page_token=page_token,
        )
        return await self._calls(self._events.ListEvents, request, timeout)


class _Start(TypedDict, total=False):
    after_position: int
    after_time: Timestamp
    from_now: bool


def _start(following: Following) -> _Start:
    position, moment = following.get("after_position"), following.get("after_time")
    from_now = following.get("from_now") or None
    messages.at_most_one(after_position=position, after_time=moment, from_now=from_now)
    if moment is not None:
        return {"after_time": messages.timestamp(moment)}
    return {"from_now": True} if from_now else {"after_position": position or 0}


def _filter(matching: Matching) -> pb.EventFilter:
    return pb.EventFilter(
        event_types=matching.get("event_types", ()),
        product_ids=matching.get("product_ids", ()),
        store_ids=matching.get("store_ids", ()),
        reservation_ids=matching.get("reservation_ids", ()),
    )
