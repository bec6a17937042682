"""Which events does a caller of `InventoryEvents` want?"""

from collections.abc import Sequence
from typing import Final, NamedTuple, assert_never

from inventory_grpc.application.reading import EventFilter
from inventory_grpc.application.subscription import Start
from inventory_grpc.domain.values import (
    Instant,
    Malformed,
    Name,
    ProductId,
    ReservationId,
    Span,
)
from inventory_grpc.presentation import page_tokens
from inventory_grpc.presentation.mapping_queries import MAX_VALUES
from inventory_grpc.presentation.validation import Validator
from inventory_grpc_protos.v1 import events_pb2 as pb

DEFAULT_BATCH: Final = 256
MAX_BATCH: Final = 512

DEFAULT_HEARTBEAT: Final = Span(10_000_000)
MIN_HEARTBEAT: Final = Span(1_000_000)
MAX_HEARTBEAT: Final = Span(60_000_000)

END_OF_TIME: Final = 2**63 - 1
"""A position no log reaches."""

FACTS: Final = frozenset(
    field.message_type.name
    for field in pb.Event.DESCRIPTOR.oneofs_by_name["fact"].fields
    if field.message_type
)
"""The names of all facts."""


class Subscription(NamedTuple):
    """What a follower wants, and how it wants to be told."""

    start: Start
    log_id: str
    matching: EventFilter
    max_events: int
    heartbeat_seconds: float


class Stretch(NamedTuple):
    """Which part of the log to list, in which direction."""

    matching: EventFilter
    after: int
    before: int
    size: int


def subscription(check: Validator, request: pb.SubscribeRequest) -> Subscription:
    """Return what *request* wants."""
    check.take_if_any(Name, "log_id", request.log_id)
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


def stretch(check: Validator, request: pb.ListEventsRequest) -> Stretch:
    """Return what *request* wants, from its page on."""
    last = page_tokens.last_key(check, request, request.page_token, page_tokens.position)
    after = check.number("after_position", request.after_position, 0)
    before = check.number("before_position", request.before_position, 0) or END_OF_TIME
    if last and request.newest_first:
        before = int(last[0])
    elif last:
        after = int(last[0])
    return Stretch(
        _filter(check, request.filter), after, before, page_tokens.size(check, request.page_size)
    )


def page(rows: Sequence[tuple[int, bytes]], size: int) -> Sequence[tuple[int, bytes]]:
    """Return those of *rows* that fit on a page; at least one, if there is one."""
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
                check.violation("from_now", "must be true, or left out")
            return Start(from_now=True)
        case other:
            assert_never(other)


def _filter(check: Validator, message: pb.EventFilter) -> EventFilter:
    return EventFilter(
        check.values(_fact, "filter.event_types", message.event_types, MAX_VALUES),
        check.values(ProductId, "filter.product_ids", message.product_ids, MAX_VALUES),
        check.stores("filter.store_ids", message.store_ids, MAX_VALUES),
        check.values(ReservationId, "filter.reservation_ids", message.reservation_ids, MAX_VALUES),
    )


def _fact(name: str) -> str:
    if name not in FACTS:
        raise Malformed("must be the name of a fact, such as StockReserved")
    return name
