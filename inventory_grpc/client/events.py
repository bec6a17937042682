"""Events: subscriptions to the log, and lists of it."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Final, Literal, TypedDict

from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.client import messages
from inventory_grpc.client.calls import Calls
from inventory_grpc.client.connections import Connections
from inventory_grpc.client.subscription import follow
from inventory_grpc_protos.v1 import events_pb2 as pb

HEARTBEAT: Final = timedelta(seconds=10)
MAX_MISSED_HEARTBEATS: Final = 3

Alert = Literal[
    "STOCK_LOW",
    "STOCK_RECOVERED",
    "OUT_OF_STOCK",
    "BACK_IN_STOCK",
    "PROMISES_AT_RISK",
    "PROMISES_SAFE",
]

_ALERTS: Final = {name.removeprefix("ALERT_"): value for name, value in pb.Alert.items() if value}


class Events:
    """Reads events.

    Every method takes six filters: `event_types` (such as `StockReserved`), `product_ids`,
    `store_ids`, `reservation_ids`, `subjects` (such as `product/kettle`) and `alerts`
    (`STOCK_LOW`, `STOCK_RECOVERED`, `OUT_OF_STOCK`, `BACK_IN_STOCK`, `PROMISES_AT_RISK`,
    `PROMISES_SAFE`). Each is a list of at most 100 strings, of which an event has to match one; an
    empty list matches all.
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
        subjects: Iterable[str] = (),
        alerts: Iterable[Alert] = (),
        after_position: int | None = None,
        after_time: datetime | None = None,
        from_now: bool = False,
        log_id: str = "",
        max_batch: int = 0,
        heartbeat: timedelta = HEARTBEAT,
        stop_at_head: bool = False,
    ) -> AsyncGenerator[pb.SubscribeResponse, None]:
        """Yield batches of events in order, none missing and none twice, without end.

        After each lost connection it resumes after the last batch yielded. Heartbeats are
        yielded too, as batches without events, so that you can act while nothing happens. A
        timeout around `anext` ends the subscription, as every cancellation does. To resume in
        another process, store a batch's `position` and `log_id` together with its results, and
        start with them.

        The subscription starts after the position *after_position*, after the last event
        recorded by *after_time* (with a time zone), at the end of the log (*from_now*), or by
        default at its beginning. *log_id* is the log to which the position belongs. *max_batch*
        is 1 to 512 events, 0 for 256. The server is silent for at most *heartbeat*, 1 to 60
        seconds; after three times that, the connection counts as lost. With *stop_at_head* it
        ends at the end of the log instead of waiting for more.

        Close it with `contextlib.aclosing`; otherwise the call stays open until garbage
        collection. A client may have 500 subscriptions and streams open at a time.

        Raises:
            OtherLog: the server has another log than *log_id*.
            PositionAhead: *after_position* is beyond the end of the log.
            InvalidValue: a value is invalid.
            LogDamaged: an event is damaged; those before it are intact.
            Unauthenticated: the caller could not be authenticated.
            PermissionDenied: the caller may not read these events.
            ValueError: two starts are given, an alert is unknown, or *heartbeat* is not above 0.
            InventoryError: another error that a retry cannot fix, such as too many
                subscriptions of this client. After `Overloaded`, `ReadsRefused`, `ShuttingDown`
                and `Unavailable` it retries.
        """
        silence = messages.duration("heartbeat", heartbeat)
        if heartbeat <= timedelta(0):
            raise ValueError(f"heartbeat must be above 0, not {heartbeat}")
        request = messages.made(
            pb.SubscribeRequest,
            log_id=log_id,
            filter=_filter(event_types, product_ids, store_ids, reservation_ids, subjects, alerts),
            max_batch=max_batch,
            heartbeat=silence,
            stop_at_head=stop_at_head,
            **_start(after_position, after_time, from_now=from_now),
        )
        dead_after = MAX_MISSED_HEARTBEATS * heartbeat.total_seconds()
        return follow(self._connections, request, dead_after=dead_after)

    async def events(  # noqa: PLR0913  those of `subscribe`
        self,
        *,
        event_types: Iterable[str] = (),
        product_ids: Iterable[str] = (),
        store_ids: Iterable[str] = (),
        reservation_ids: Iterable[str] = (),
        subjects: Iterable[str] = (),
        alerts: Iterable[Alert] = (),
        after_position: int | None = None,
        after_time: datetime | None = None,
        from_now: bool = False,
        log_id: str = "",
        max_batch: int = 0,
        heartbeat: timedelta = HEARTBEAT,
        stop_at_head: bool = False,
    ) -> AsyncGenerator[pb.Event, None]:
        """Yield the events of `subscribe` one by one; it explains the arguments.

        Close it with `contextlib.aclosing`.

        Raises:
            OtherLog: the server has another log than *log_id*.
            PositionAhead: *after_position* is beyond the end of the log.
            InvalidValue: a value is invalid.
            LogDamaged: an event is damaged; those before it are intact.
            ValueError: a value is unknown or excludes another, as for `subscribe`.
            InventoryError: another one of those that `subscribe` raises. After `Overloaded`,
                `ReadsRefused` and `ShuttingDown` it retries.
        """
        # not `self.subscribe`, which blocks in a client that blocks
        following = Events.subscribe(
            self,
            event_types=event_types,
            product_ids=product_ids,
            store_ids=store_ids,
            reservation_ids=reservation_ids,
            subjects=subjects,
            alerts=alerts,
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
        subjects: Iterable[str] = (),
        alerts: Iterable[Alert] = (),
        after_position: int = 0,
        before_position: int = 0,
        newest_first: bool = False,
        page_size: int = 0,
        page_token: str = "",
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
    ) -> pb.ListEventsResponse:
        """Return a page of the events between two positions, oldest or newest first.

        The positions are exclusive; 0 means the beginning, or the end, of the log. *page_size*
        is the most rows: 0 means 100, the maximum is 1,000. A page may be empty without being
        the last: continue with `next_page_token` as *page_token* until it is empty.
        `searched_position` is the position up to which the log was searched. *timeout* is in
        seconds, for all attempts together.

        Raises:
            InvalidValue: a value is invalid.
            Overloaded: the server has too much to do.
            ReadsRefused: storage cannot be read for now.
            ShuttingDown: the server is shutting down.
            LogDamaged: an event is damaged.
            ValueError: an alert is unknown.
            InventoryError: one of those that every query may raise, see `StockQueries`.
        """
        request = messages.made(
            pb.ListEventsRequest,
            filter=_filter(event_types, product_ids, store_ids, reservation_ids, subjects, alerts),
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


def _filter(  # noqa: PLR0913, PLR0917  the filters
    event_types: Iterable[str],
    product_ids: Iterable[str],
    store_ids: Iterable[str],
    reservation_ids: Iterable[str],
    subjects: Iterable[str],
    alerts: Iterable[Alert],
) -> pb.EventFilter:
    return pb.EventFilter(
        event_types=messages.strings("event_types", event_types),
        product_ids=messages.strings("product_ids", product_ids),
        store_ids=messages.strings("store_ids", store_ids),
        reservation_ids=messages.strings("reservation_ids", reservation_ids),
        subjects=messages.strings("subjects", subjects),
        alerts=_alerts(alerts),
    )


def _alerts(given: Iterable[Alert]) -> Sequence[pb.Alert.ValueType]:
    names = messages.strings("alerts", given)
    for name in names:
        if name not in _ALERTS:
            raise ValueError(f"{messages.shown(name)} is not an alert: {', '.join(_ALERTS)}")
    return [_ALERTS[name] for name in names]
