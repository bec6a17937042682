"""Subscriptions and lists of events are answered, or every violation in them is named."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.application.access import ANYBODY
from inventory_grpc.application.failures import OtherLog, PositionAhead
from inventory_grpc.application.following import Start
from inventory_grpc.application.queries import events as event_queries
from inventory_grpc.domain.refusals import InvalidValue
from inventory_grpc.domain.values import Instant
from inventory_grpc.presentation.events import FACTS, Events, page, read_subscription
from inventory_grpc.presentation.validation import Validator
from inventory_grpc_protos.v1 import events_pb2 as pb
from tests.support.engine import Engine
from tests.support.memory import store as memory_store
from tests.support.world import NOON, TOASTERS, add, reserve
from tests.unit.presentation.asking import called, fields


def events_of(engine: Engine) -> Events:
    return Events(engine.followers, engine.store.event_log, engine.clock.wall)


async def subscribe(
    engine: Engine, request: pb.SubscribeRequest
) -> AsyncIterator[pb.SubscribeResponse]:
    async for message in events_of(engine).Subscribe(request, called()):
        yield pb.SubscribeResponse.FromString(message)


async def list_events(engine: Engine, request: pb.ListEventsRequest) -> pb.ListEventsResponse:
    return pb.ListEventsResponse.FromString(await events_of(engine).ListEvents(request, called()))


SUBSCRIBE_WRONG: list[tuple[pb.SubscribeRequest, list[str]]] = [
    (pb.SubscribeRequest(after_position=-1), ["after_position"]),
    (pb.SubscribeRequest(after_time=Timestamp(nanos=-1)), ["after_time"]),
    (pb.SubscribeRequest(from_now=False), ["from_now"]),
    (pb.SubscribeRequest(log_id="x" * 129), ["log_id"]),
    (pb.SubscribeRequest(max_batch=-1), ["max_batch"]),
    (pb.SubscribeRequest(max_batch=513), ["max_batch"]),
    (pb.SubscribeRequest(heartbeat=Duration()), ["heartbeat"]),
    (pb.SubscribeRequest(heartbeat=Duration(nanos=999_999_999)), ["heartbeat"]),
    (pb.SubscribeRequest(heartbeat=Duration(seconds=60, nanos=1_000)), ["heartbeat"]),
    (
        pb.SubscribeRequest(filter=pb.EventFilter(event_types=["StockAdded", "StockSold"])),
        ["filter.event_types[1]"],
    ),
    (pb.SubscribeRequest(filter=pb.EventFilter(product_ids=[""])), ["filter.product_ids[0]"]),
    (pb.SubscribeRequest(filter=pb.EventFilter(store_ids=["a"] * 101)), ["filter.store_ids"]),
    (
        pb.SubscribeRequest(
            filter=pb.EventFilter(alerts=[pb.ALERT_STOCK_LOW, pb.ALERT_UNSPECIFIED])
        ),
        ["filter.alerts[1]"],
    ),
    (
        pb.SubscribeRequest(filter=pb.EventFilter(alerts=[pb.ALERT_STOCK_LOW] * 101)),
        ["filter.alerts"],
    ),
    (
        pb.SubscribeRequest(max_batch=-1, filter=pb.EventFilter(reservation_ids=["%"])),
        ["filter.reservation_ids[0]", "max_batch"],
    ),
]

LIST_WRONG: list[tuple[pb.ListEventsRequest, list[str]]] = [
    (
        pb.ListEventsRequest(
            after_position=-1,
            before_position=-1,
            page_size=-1,
            page_token="x",  # noqa: S106
        ),
        ["after_position", "before_position", "page_size", "page_token"],
    ),
    (
        pb.ListEventsRequest(filter=pb.EventFilter(event_types=["stock_added"])),
        ["filter.event_types[0]"],
    ),
]


@pytest.mark.parametrize(("asked", "where"), SUBSCRIBE_WRONG, ids=lambda case: str(case)[:40])
async def test_every_violation_of_a_subscription_is_named_by_its_path(
    engine: Engine, asked: pb.SubscribeRequest, where: list[str]
) -> None:
    with pytest.raises(InvalidValue) as refused:
        await anext(subscribe(engine, asked))
    assert fields(refused.value) == where


@pytest.mark.parametrize(("asked", "where"), LIST_WRONG, ids=lambda case: str(case)[:40])
async def test_every_violation_of_a_list_is_named_by_its_path(
    engine: Engine, asked: pb.ListEventsRequest, where: list[str]
) -> None:
    with pytest.raises(InvalidValue) as refused:
        await list_events(engine, asked)
    assert fields(refused.value) == where


@pytest.mark.parametrize(
    ("asked", "start", "max_events", "heartbeat_seconds"),
    [
        (pb.SubscribeRequest(), Start(), 256, 10.0),
        (pb.SubscribeRequest(after_position=7, max_batch=1), Start(after_position=7), 1, 10.0),
        (
            pb.SubscribeRequest(from_now=True, heartbeat=Duration(seconds=1)),
            Start(from_now=True),
            256,
            1.0,
        ),
        (
            pb.SubscribeRequest(
                after_time=Timestamp(seconds=1, nanos=1_999), heartbeat=Duration(seconds=60)
            ),
            Start(after_time=Instant(1_000_001)),
            256,
            60.0,
        ),
    ],
)
def test_a_subscription_is_the_one_that_the_follower_asked_for(
    asked: pb.SubscribeRequest, start: Start, max_events: int, heartbeat_seconds: float
) -> None:
    with Validator(ANYBODY) as check:
        wanted = read_subscription(check, asked)
    assert (wanted.start, wanted.max_events, wanted.heartbeat_seconds) == (
        start,
        max_events,
        heartbeat_seconds,
    )


def test_every_fact_can_be_asked_for_by_its_name() -> None:
    facts = pb.Event.DESCRIPTOR.oneofs_by_name["fact"].fields
    assert {fact.message_type.name for fact in facts if fact.message_type} == FACTS


async def test_a_follower_gets_what_was_recorded_and_where_that_is(engine: Engine) -> None:
    await engine.record(add(5), "q1")
    await engine.record(reserve(2))
    messages = [
        message async for message in subscribe(engine, pb.SubscribeRequest(stop_at_head=True))
    ]
    assert [event.position for message in messages for event in message.events] == [1, 2]
    assert messages[-1].caught_up
    for message in messages:
        assert (message.log_id, message.head_position) == ("memory", 2)
        assert message.server_time.ToMicroseconds() == NOON
    assert messages[-1].position == 2


async def test_a_follower_of_another_log_or_beyond_the_head_is_refused_before_the_first_message(
    engine: Engine,
) -> None:
    with pytest.raises(OtherLog):
        await anext(subscribe(engine, pb.SubscribeRequest(log_id="another")))
    with pytest.raises(PositionAhead):
        await anext(subscribe(engine, pb.SubscribeRequest(after_position=1)))


async def test_events_are_listed_page_by_page_in_either_direction(engine: Engine) -> None:
    for units in range(1, 6):
        await engine.record(add(units))

    async def listed(**asked: Any) -> list[int]:  # noqa: ANN401
        request, found = pb.ListEventsRequest(page_size=2, **asked), []
        while True:
            response = await list_events(engine, request)
            assert response.head_position == 5
            found += [event.position for event in response.events]
            if not response.next_page_token:
                return found
            request.page_token = response.next_page_token

    assert await listed() == [1, 2, 3, 4, 5]
    assert await listed(newest_first=True) == [5, 4, 3, 2, 1]
    assert await listed(after_position=1, before_position=5) == [2, 3, 4]
    assert await listed(after_position=1, before_position=5, newest_first=True) == [4, 3, 2]
    assert await listed(after_position=9) == []


@pytest.mark.parametrize("meanwhile", ["head", "search"])
async def test_who_follows_from_the_head_of_a_list_misses_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    await engine.record(add(1))
    log = engine.store.event_log
    step = getattr(log, meanwhile)

    async def step_before_another_command(*arguments: Any, **more: Any) -> Any:  # noqa: ANN401
        answer = await step(*arguments, **more)
        monkeypatch.undo()
        await engine.record(add(1))
        return answer

    monkeypatch.setattr(log, meanwhile, step_before_another_command)
    response = await list_events(engine, pb.ListEventsRequest())
    assert [event.position for event in response.events] == [1]
    assert response.head_position == 1


@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest first", "newest first"])
async def test_a_page_says_how_far_it_looked_and_may_be_empty_and_not_the_last(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, *, newest_first: bool
) -> None:
    monkeypatch.setattr(memory_store, "MAX_SCANNED", 2)
    monkeypatch.setattr(event_queries, "MAX_STEPS", 3)
    for _ in range(8):
        await engine.record(add(1))
    await engine.record(add(1, TOASTERS))
    for _ in range(8):
        await engine.record(add(1))
    request = pb.ListEventsRequest(
        filter=pb.EventFilter(product_ids=["toaster"]), newest_first=newest_first
    )
    pages = list[tuple[list[int], int]]()
    while not pages or request.page_token:
        response = await list_events(engine, request)
        pages.append(([event.position for event in response.events], response.searched_position))
        request.page_token = response.next_page_token
    if newest_first:
        assert pages == [([], 12), ([9], 6), ([], 1)]
    else:
        assert pages == [([], 6), ([9], 12), ([], 17)]


async def test_a_full_page_has_looked_as_far_as_its_last_event(engine: Engine) -> None:
    for _ in range(3):
        await engine.record(add(1))
    request = pb.ListEventsRequest(page_size=2)
    assert (await list_events(engine, request)).searched_position == 2
    request.newest_first = True
    assert (await list_events(engine, request)).searched_position == 2
    request.after_position = 3
    nothing = await list_events(engine, request)
    assert (nothing.searched_position, nothing.next_page_token) == (0, "")


async def test_a_list_is_filtered(engine: Engine) -> None:
    await engine.record(add(5))
    await engine.record(add(5, TOASTERS))
    await engine.record(reserve(1))
    wanted = pb.EventFilter(event_types=["StockAdded"], product_ids=["kettle"])
    response = await list_events(engine, pb.ListEventsRequest(filter=wanted))
    assert [event.position for event in response.events] == [1]


def test_a_page_ends_where_it_is_full_or_heavy_but_never_empty() -> None:
    heavy = [(position, b"x" * 400_000) for position in range(1, 5)]
    assert len(page(heavy, 100)) == 2
    assert len(page(heavy, 1)) == 1
    assert len(page([(1, b"x" * 2_000_000)], 100)) == 1
    assert page([], 100) == []
