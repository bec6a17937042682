"""Two server processes on one log are one service."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration

from inventory_grpc_protos.v1.admin_pb2 import GetServerInfoRequest
from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest, SubscribeResponse
from inventory_grpc_protos.v1.queries_pb2 import GetStockRequest, ListStockRequest
from tests.support.caller import SECONDS, Caller, adding, calling, line, refusal, reserving
from tests.support.engines import on_each_engine
from tests.support.opened import checked, events, requests_of
from tests.support.server_process import ServerProcess
from tests.support.waiting import eventually

pytestmark = on_each_engine

SOON_SECONDS: Final = 5.0
"""Far longer than a busy machine needs, and far shorter than a heartbeat."""

LATE_SECONDS: Final = 10.0
"""The delay of a busy machine, beyond the promise."""


@pytest.fixture
async def callers(database: str | Path, tmp_path: Path) -> AsyncIterator[list[Caller]]:
    """Call each of two servers that were started at once, where there was no log yet."""
    servers = [ServerProcess.begin(database, tmp_path / f"{number}.log") for number in range(2)]
    try:
        async with AsyncExitStack() as stack:
            yield [
                await stack.enter_async_context(calling(await server.address()))
                for server in servers
            ]
    finally:
        for server in servers:
            server.kill()


async def test_servers_that_start_at_once_where_there_is_no_log_share_one_log(
    callers: list[Caller],
) -> None:
    asked = [caller.admin.GetServerInfo(GetServerInfoRequest()) for caller in callers]
    assert len({(await info).log_id for info in asked}) == 1


async def _reserve(caller: Caller, name: str) -> str:
    request = reserving(line(1), name=name, request_id=name)
    try:
        return f"{(await caller.commands.ReserveStock(request, timeout=SECONDS)).position}"
    except grpc.aio.AioRpcError as error:
        return refusal(error).reason


async def test_several_engines_never_sell_a_unit_twice_and_do_each_request_once(
    callers: list[Caller], database: str | Path
) -> None:
    await callers[0].commands.AddStock(adding(100))
    # each request goes to both of them, at the same time
    answers = await asyncio.gather(
        *(_reserve(caller, f"r{number}") for number in range(120) for caller in callers)
    )
    by_request = list(zip(answers[::2], answers[1::2], strict=True))
    agreed = [one for one, other in by_request if one == other]
    assert len(agreed) == 120, "two answers to one request"
    assert Counter(agreed)["INSUFFICIENT_STOCK"] == 20
    assert len(requests_of(events(database))) == 100
    assert len(checked(database).promises) == 100


async def test_a_hold_that_is_over_expires_once(
    callers: list[Caller], database: str | Path
) -> None:
    await callers[0].commands.AddStock(adding(50))
    for number in range(50):
        await callers[number % 2].commands.ReserveStock(
            reserving(line(1), name=f"r{number}", ttl=Duration(seconds=1))
        )
    await eventually(lambda: len(events(database)) >= 101)
    for caller in callers:  # one that had a hold left to expire would do that first
        await caller.commands.AddStock(adding(1))
    log = events(database)
    assert len(log) == 103
    late = [
        event.record_time.ToMicroseconds() - event.occur_time.ToMicroseconds()
        for event in log
        if event.WhichOneof("fact") == "reservation_expired"
    ]
    assert len(late) == 50
    assert 0 <= min(late) <= max(late) < LATE_SECONDS * 1e6
    assert {promise.state for promise in checked(database).promises.values()} == {"expired"}


async def test_what_one_records_the_other_shows_soon_and_at_once_to_who_names_it(
    callers: list[Caller],
) -> None:
    one, two = callers
    seen: dict[int, float] = {}

    async def follow() -> None:
        following = two.events.Subscribe(SubscribeRequest(), timeout=SECONDS)
        while len(seen) < 40:
            message = await following.read()
            assert isinstance(message, SubscribeResponse)
            for event in message.events:
                assert event.position == len(seen) + 1
                seen[event.position] = time.monotonic()
        following.cancel()

    following = asyncio.create_task(follow())
    recorded: dict[int, float] = {}
    for units in range(1, 41):
        position = (await one.commands.AddStock(adding(1))).position
        recorded[position] = time.monotonic()
        read = await two.queries.GetStock(
            GetStockRequest(product_id="kettle", store_id="lisbon", min_position=position)
        )
        assert (read.stock.on_hand, read.as_of_position >= position) == (units, True)
    await following
    lags = sorted(seen[position] - at for position, at in recorded.items())
    assert lags[len(lags) // 2] < SOON_SECONDS


async def test_what_one_has_cached_is_forgotten_when_the_other_changes_it(
    callers: list[Caller],
) -> None:
    one, two = callers
    kettles = GetStockRequest(product_id="kettle", store_id="lisbon")
    first = await one.commands.AddStock(adding(1))
    await two.queries.ListStock(ListStockRequest(min_position=first.position))
    for units in range(2, 7):
        for _ in range(2):  # the second time from the cache
            assert (await two.queries.GetStock(kettles)).stock.on_hand == units - 1
        await one.commands.AddStock(adding(1))
        async with asyncio.timeout(SOON_SECONDS):
            shown = 0
            while shown < units:
                shown = (await two.queries.GetStock(kettles)).stock.on_hand
