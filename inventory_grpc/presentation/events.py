"""`InventoryEvents`: subscriptions and lists of the log.

Its methods return bytes, because events are sent as they are stored.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Final, NamedTuple, assert_never

from inventory_grpc.application.access import Role
from inventory_grpc.application.following import Followers, Progress, Start
from inventory_grpc.application.ports import WallClock
from inventory_grpc.application.queries.events import EventFilter, EventLog, find_page
from inventory_grpc.domain.alerts import Alert
from inventory_grpc.domain.event import SubjectKey
from inventory_grpc.domain.registry import SUBJECT_KEYS
from inventory_grpc.domain.values import (
    Instant,
    Malformed,
    Name,
    ProductId,
    ReservationId,
    Span,
    StoreId,
)
from inventory_grpc.presentation import page_tokens, stored_events
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.to_proto import fill_time
from inventory_grpc.presentation.validation import Validator
from inventory_grpc_protos.v1 import events_pb2 as pb

ROLES: Final[Mapping[str, Role]] = {"Subscribe": Role.READER, "ListEvents": Role.READER}

DEFAULT_BATCH: Final = 256
MAX_BATCH: Final = 512

DEFAULT_HEARTBEAT: Final = Span(10_000_000)
MIN_HEARTBEAT: Final = Span(1_000_000)
MAX_HEARTBEAT: Final = Span(60_000_000)

END_OF_TIME: Final = 2**63 - 1
"""A position beyond every log."""

FACTS: Final = frozenset(
    field.message_type.name
    for field in pb.Event.DESCRIPTOR.oneofs_by_name["fact"].fields
    if field.message_type
)
"""The names of all facts."""

ALERTS: Final = {pb.Alert.Value(f"ALERT_{alert.name}"): alert for alert in Alert}
"""All alerts, by the number of the enum."""


class Events:
    def __init__(self, followers: Followers, log: EventLog, now: WallClock) -> None:
        self._followers = followers
        self._log = log
        self._now = now
        self.sent = 0
        """Events sent to followers."""

    async def Subscribe(self, request: pb.SubscribeRequest, call: Call) -> AsyncIterator[bytes]:
        with Validator(call.caller) as check:
            asked = read_subscription(check, request)
        after, end = await self._followers.resolve(asked.start, asked.log_id)
        call.note(position=after)
        following = self._followers.follow(
            after,
            asked.matching,
            max_events=asked.max_events,
            heartbeat_seconds=asked.heartbeat_seconds,
            stop_at=end if request.stop_at_head else None,
        )
        async with aclosing(following) as pages:
            async for progress in pages:
                yield self._response(progress)
                self.sent += len(progress.events)
                call.note(position=progress.position)

    async def ListEvents(self, request: pb.ListEventsRequest, call: Call) -> bytes:
        with Validator(call.caller) as check:
            asked = read_range(check, request)
        # before the rows, and as their bound: a caller may follow the log from there
        head = await self._log.head()
        rows, searched, done = await find_page(
            self._log,
            asked.matching,
            asked.after,
            min(asked.before, head + 1),
            asked.size + 1,  # to know whether there are more
            newest_first=request.newest_first,
        )
        shown = page(rows, asked.size)
        if len(shown) < len(rows):
            searched, done = shown[-1][0], False
        rest = pb.ListEventsResponse(head_position=head, searched_position=searched)
        if not done:
            rest.next_page_token = page_tokens.token(request, searched)
        return stored_events.response((event for _, event in shown), rest)

    def _response(self, progress: Progress) -> bytes:
        rest = pb.SubscribeResponse(
            position=progress.position,
            head_position=progress.head,
            caught_up=progress.caught_up,
            log_id=self._log.log_id,
        )
        fill_time(rest.server_time, self._now())
        return stored_events.response(progress.events, rest)


class Subscription(NamedTuple):
    start: Start
    log_id: str
    matching: EventFilter
    max_events: int
    heartbeat_seconds: float


class LogRange(NamedTuple):
    matching: EventFilter
    after: int
    before: int
    size: int


def read_subscription(check: Validator, request: pb.SubscribeRequest) -> Subscription:
    check.optional_value(Name, "log_id", request.log_id)
    heartbeat = DEFAULT_HEARTBEAT
    if request.HasField("heartbeat"):
        heartbeat = check.span("heartbeat", request.heartbeat, MIN_HEARTBEAT, MAX_HEARTBEAT)
    return Subscription(
        _start(check, request),
        request.log_id,
        _filter(check, request.filter),
        check.number("max_batch", request.max_batch, 0, MAX_BATCH) or DEFAULT_BATCH,
        heartbeat / Instant.SECOND,
    )


def read_range(check: Validator, request: pb.ListEventsRequest) -> LogRange:
    last = page_tokens.last_key(check, request, request.page_token, page_tokens.position)
    after = check.number("after_position", request.after_position, 0)
    before = check.number("before_position", request.before_position, 0) or END_OF_TIME
    if last and request.newest_first:
        before = int(last[0])
    elif last:
        after = int(last[0])
    return LogRange(
        _filter(check, request.filter), after, before, page_tokens.size(check, request.page_size)
    )


def page(rows: Sequence[tuple[int, bytes]], size: int) -> Sequence[tuple[int, bytes]]:
    """Return the first *rows* that fit on a page; at least one, if there is one."""
    room = page_tokens.MAX_BYTES
    for count, (_, event) in enumerate(rows):
        room -= len(event)
        if count == size or (room < 0 and count):
            return rows[:count]
    return rows


def _start(check: Validator, request: pb.SubscribeRequest) -> Start:
    match request.WhichOneof("start"):
        case None:
            return Start()
        case "after_position":
            return Start(after_position=check.number("after_position", request.after_position, 0))
        case "after_time":
            return Start(after_time=check.instant("after_time", request.after_time))
        case "from_now":
            if not request.from_now:
                check.violation("from_now", "must be true or absent")
            return Start(from_now=True)
        case other:
            assert_never(other)


def _filter(check: Validator, message: pb.EventFilter) -> EventFilter:
    return EventFilter(
        check.values(_fact, "filter.event_types", message.event_types),
        check.values(ProductId, "filter.product_ids", message.product_ids),
        check.values(StoreId, "filter.store_ids", message.store_ids),
        check.values(ReservationId, "filter.reservation_ids", message.reservation_ids),
        check.values(_subject, "filter.subjects", message.subjects),
        check.choices("filter.alerts", message.alerts, ALERTS, "must be an alert"),
        check.caller.scope.stores,
    )


def _subject(text: str) -> SubjectKey:
    kind, _, name = text.partition("/")
    if kind not in SUBJECT_KEYS:
        kinds = ", ".join(SUBJECT_KEYS)
        raise Malformed(f"must be <kind>/<id>, such as product/kettle; the kinds are {kinds}")
    return SUBJECT_KEYS[kind].named(name)


def _fact(name: str) -> str:
    if name not in FACTS:
        raise Malformed("must be the name of a fact, such as StockReserved")
    return name
