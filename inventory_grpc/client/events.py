"""Events: the log as it was recorded, and as it goes on."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Final, TypedDict

from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.client import messages
from inventory_grpc.client.calls import Calls
from inventory_grpc.client.connections import Connections
from inventory_grpc.client.subscription import follow
from inventory_grpc_protos.v1 import events_pb2 as pb

HEARTBEAT: Final = timedelta(seconds=10)
HEARTBEATS_MISSED_BY_THE_DEAD: Final = 3


class Events:
    """Reads events.

    Every method takes four filters, `event_types` (names of facts, such as `StockReserved`),
    `product_ids`, `store_ids` and `reservation_ids`: each a list of at most 100 strings of
    which an event has to match one, and an empty list filters nothing.
    """

    _calls: Calls
    _connections: Connections

    def subscribe(  # noqa: PLR0913  the fields of the request
        self,
        *,
        event_types: Iterable[str] = (),
        product_ids: Iterable[str] = (),
        store_ids: Iterable[str] = (),
        reservation_ids: Iterable[str] = (),
        after_position: int | None = None,
        after_time: datetime | None = None,
        from_now: bool = False,
        log_id: str = "",
        max_batch: int = 0,
        heartbeat: timedelta = HEARTBEAT,
        stop_at_head: bool = False,
    ) -> AsyncGenerator[pb.SubscribeResponse, None]:
        """Yield batches of events in order, none missing and none twice, without end.

        After a lost connection it goes on by itself behind the last batch that was yielded,
        again and again. Heartbeats are yielded too, as batches without events: with them you
        can act while nothing happens. A timeout around `anext` ends the subscription, as every
        cancellation does. To go on another day, keep a batch's `position` and `log_id` together
        with what was made of it, and begin with them.

        It begins after the position *after_position*, after the last event recorded by
        *after_time* (with a time zone), at the end of the log (*from_now*), or else at its
        beginning. *log_id* is the log that the position belongs to. *max_batch* is 1 to 512
        events, 0 for 256. The server is silent for at most *heartbeat*, 1 to 60 seconds; after
        three times that the connection counts as lost. With *stop_at_head* it ends at the end
        of the log instead of waiting for more.

        Leave it through `contextlib.aclosing`; otherwise the call stays open until the garbage
        collector finds it. A client has room for 500 subscriptions and streams at a time.

        Raises:
            OtherLog: the server has another log than *log_id*.
            PositionAhead: *after_position* is beyond the end of the log.
            InvalidValue: a value breaks a rule.
            LogDamaged: an event is damaged; those before it are sound.
            Unauthenticated: the server does not know who calls.
            PermissionDenied: the caller may not read these events.
            ValueError: two beginnings are given, or *heartbeat* is not above 0.
            InventoryError: another error that a new attempt cannot mend, such as too many
                subscriptions of this client. `Overloaded`, `ReadsRefused`, `ShuttingDown` and
                `Unavailable` are waited out.
        """
        silence = messages.duration("heartbeat", heartbeat)
        if heartbeat <= timedelta(0):
            raise ValueError(f"heartbeat must be above 0, not {heartbeat}")
        request = messages.made(
            pb.SubscribeRequest,
            log_id=log_id,
            filter=_filter(event_types, product_ids, store_ids, reservation_ids),
            max_batch=max_batch,
            heartbeat=silence,
            stop_at_head=stop_at_head,
            **_start(after_position, after_time, from_now=from_now),
        )
        dead_after = HEARTBEATS_MISSED_BY_THE_DEAD * heartbeat.total_seconds()
        return follow(self._connections, request, dead_after=dead_after)

    async def events(  # noqa: PLR0913  those of `subscribe`
        self,
        *,
        event_types: Iterable[str] = (),
        product_ids: Iterable[str] = (),
        store_ids: Iterable[str] = (),
        reservation_ids: Iterable[str] = (),
        after_position: int | None = None,
        after_time: datetime | None = None,
        from_now: bool = False,
        log_id: str = "",
        max_batch: int = 0,
        heartbeat: timedelta = HEARTBEAT,
        stop_at_head: bool = False,
    ) -> AsyncGenerator[pb.Event, None]:
        """Yield the events of `subscribe` one by one; it explains the arguments.

        Leave it through `contextlib.aclosing`.

        Raises:
            OtherLog: the server has another log than *log_id*.
            PositionAhead: *after_position* is beyond the end of the log.
            InvalidValue: a value breaks a rule.
            LogDamaged: an event is damaged; those before it are sound.
            InventoryError: another one of those that `subscribe` names. `Overloaded`,
                `ReadsRefused` and `ShuttingDown` are waited out.
        """
        following = self.subscribe(
            event_types=event_types,
            product_ids=product_ids,
            store_ids=store_ids,
            reservation_ids=reservation_ids,
            after_position=after_position,
            after_time=after_time,
            from_now=from_now,
            log_id=log_id,
            max_batch=max_batch,
            heartbeat=heartbeat,
            stop_at_head=stop_at_head,
        )
        async with aclosing(following) as batches:
            async for batch in batches:
                for event in batch.events:
                    yield event

    async def list_events(  # noqa: PLR0913  the fields of the request
        self,
        *,
        event_types: Iterable[str] = (),
        product_ids: Iterable[str] = (),
        store_ids: Iterable[str] = (),
        reservation_ids: Iterable[str] = (),
        after_position: int = 0,
        before_position: int = 0,
        newest_first: bool = False,
        page_size: int = 0,
        page_token: str = "",
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
    ) -> pb.ListEventsResponse:
        """Return a page of the events between two positions, oldest or newest first.

        The positions themselves are left out; 0 is the beginning, or the end, of the log.
        *page_size* is rows at most: 0 is 100, and 1,000 are the most. A page may hold
        no event and still not be the last: go on with `next_page_token` as *page_token* until
        that is empty. `searched_position` says how far the log was searched. *timeout* is
        seconds for all attempts together.

        Raises:
            InvalidValue: a value breaks a rule.
            Overloaded: the server has too much to do.
            ReadsRefused: storage cannot be read for now.
            ShuttingDown: the server is going away.
            LogDamaged: an event is damaged.
            InventoryError: one of those that every query may raise, see `StockQueries`.
        """
        request = messages.made(
            pb.ListEventsRequest,
            filter=_filter(event_types, product_ids, store_ids, reservation_ids),
            after_position=after_position,
            before_position=before_position,
            newest_first=newest_first,
            page_size=page_size,
            page_token=page_token,
        )
        return await self._calls(lambda on: on.events.ListEvents, request, timeout)


class _Start(TypedDict, total=False):
    after_position: int
    after_time: Timestamp
    from_now: bool


def _start(position: int | None, moment: datetime | None, *, from_now: bool) -> _Start:
    messages.flag("from_now", from_now)
    messages.at_most_one(after_position=position, after_time=moment, from_now=from_now or None)
    if moment is not None:
        return {"after_time": messages.timestamp("after_time", moment)}
    return {"from_now": True} if from_now else {"after_position": position or 0}


def _filter(
    event_types: Iterable[str],
    product_ids: Iterable[str],
    store_ids: Iterable[str],
    reservation_ids: Iterable[str],
) -> pb.EventFilter:
    return pb.EventFilter(
        event_types=messages.strings("event_types", event_types),
        product_ids=messages.strings("product_ids", product_ids),
        store_ids=messages.strings("store_ids", store_ids),
        reservation_ids=messages.strings("reservation_ids", reservation_ids),
    )
