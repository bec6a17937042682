"""A follower sees every event once, whatever happens to its connections."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from grpc import StatusCode

from inventory_grpc.client import InventoryClient, OtherLog, Overloaded, PositionAhead
from inventory_grpc.client.subscription import Backoff
from inventory_grpc_protos.v1.events_pb2 import (
    Event,
    EventFilter,
    SubscribeRequest,
    SubscribeResponse,
)
from tests.support.waiting import SECONDS
from tests.unit.client.scripted import Context, Failure, ScriptedServer, Silence, serving

LOG = "k3v9x0q2m7ab"
GONE = Failure(StatusCode.UNAVAILABLE)
QUICK = timedelta(milliseconds=100)


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "FIRST", 0.001)
    monkeypatch.setattr(Backoff, "MOST", 0.005)


def batch(*positions: int, upto: int = 0, caught_up: bool = False) -> SubscribeResponse:
    return SubscribeResponse(
        events=[Event(position=position) for position in positions],
        position=upto or positions[-1],
        caught_up=caught_up,
        log_id=LOG,
    )


END = batch(upto=9, caught_up=True)


async def positions(
    client: InventoryClient, heartbeat: timedelta = timedelta(seconds=10)
) -> list[int]:
    following = client.events(stop_at_head=True, heartbeat=heartbeat)
    return [event.position async for event in following]


async def test_after_a_cut_it_goes_on_behind_the_last_batch(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("Subscribe", [batch(1, 2), batch(3), GONE], [batch(4), END])
    assert await positions(client) == [1, 2, 3, 4]
    began, resumed = server.requests()
    assert (began.after_position, began.log_id) == (0, "")
    assert (resumed.after_position, resumed.log_id) == (3, LOG)


async def test_what_was_passed_over_is_not_passed_over_again(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("Subscribe", [batch(1), batch(upto=900), GONE], [END])
    await positions(client)
    assert server.requests()[1].after_position == 900


async def test_a_follower_from_now_misses_nothing_after_its_first_message(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("Subscribe", [batch(upto=5, caught_up=True), GONE], [batch(6)])
    async with aclosing(client.events(from_now=True)) as events:
        assert (await anext(events)).position == 6
    began, resumed = server.requests()
    assert began.from_now
    assert resumed.WhichOneof("start") == "after_position"
    assert resumed.after_position == 5


async def test_a_follower_may_begin_at_a_time(
    client: InventoryClient, server: ScriptedServer
) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    server.plays("Subscribe", [batch(4), END])
    async with aclosing(client.events(after_time=noon)) as events:
        assert (await anext(events)).position == 4
    assert server.requests()[0].after_time.ToDatetime(UTC) == noon


@pytest.mark.parametrize("name", ["subscribe", "events"])
async def test_all_that_is_given_arrives(
    client: InventoryClient, server: ScriptedServer, name: str
) -> None:
    lists: dict[str, Any] = {
        "event_types": ["StockAdded"],
        "product_ids": ["kettle"],
        "store_ids": ["lisbon", "porto"],
        "reservation_ids": ["cart-7"],
    }
    server.plays("Subscribe", [batch(9, caught_up=True)])
    following = getattr(client, name)(
        **lists,
        after_position=8,
        log_id=LOG,
        max_batch=16,
        heartbeat=timedelta(seconds=30),
        stop_at_head=True,
    )
    assert len([one async for one in following]) == 1
    assert server.requests() == [
        SubscribeRequest(
            filter=EventFilter(**lists),
            after_position=8,
            log_id=LOG,
            max_batch=16,
            heartbeat=Duration(seconds=30),
            stop_at_head=True,
        )
    ]


async def test_a_stream_that_falls_silent_is_dead_after_three_heartbeats(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("Subscribe", [batch(1), Silence()], [batch(2), END])
    assert await positions(client, heartbeat=QUICK) == [1, 2]
    first, second = server.asked
    assert second.time - first.time >= 0.3
    await asyncio.wait_for(server.cancelled.wait(), SECONDS)


async def test_a_stream_that_never_says_a_word_is_dead_too(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("Subscribe", [Silence()], [batch(1), END])
    assert await positions(client, heartbeat=QUICK) == [1]


async def test_heartbeats_keep_a_quiet_stream_alive(
    client: InventoryClient, server: ScriptedServer
) -> None:
    quiet = [step for _ in range(4) for step in (Silence(0.1), batch(upto=1))]
    server.plays("Subscribe", [batch(1), *quiet, END])
    assert await positions(client, heartbeat=QUICK) == [1]
    assert len(server.asked) == 1


async def test_a_slow_reader_is_not_taken_for_a_dead_stream(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("Subscribe", [batch(1), END])
    async for _ in client.events(stop_at_head=True, heartbeat=QUICK):
        await asyncio.sleep(0.4)
    assert len(server.asked) == 1


async def test_a_stream_that_ends_for_no_reason_is_resumed(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("Subscribe", [batch(1)], [batch(2), END])
    assert await positions(client) == [1, 2]


async def test_at_the_head_it_stops_even_if_the_connection_is_lost_right_there(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("Subscribe", [batch(1, caught_up=True), GONE])
    assert await positions(client) == [1]
    assert len(server.asked) == 1


async def test_another_log_ends_it(client: InventoryClient, server: ScriptedServer) -> None:
    other = Failure(StatusCode.FAILED_PRECONDITION, "OTHER_LOG", {"log_id": "a1b2c3d4e5f6"})
    server.plays("Subscribe", [batch(1), GONE], other)
    with pytest.raises(OtherLog):
        await positions(client)


async def test_a_log_that_has_become_shorter_ends_it(
    client: InventoryClient, server: ScriptedServer
) -> None:
    ahead = Failure(StatusCode.OUT_OF_RANGE, "POSITION_AHEAD", {"head_position": "3"})
    server.plays("Subscribe", [batch(8), GONE], ahead)
    with pytest.raises(PositionAhead):
        await positions(client)


async def test_a_server_with_too_many_followers_is_asked_again_when_it_says(
    client: InventoryClient, server: ScriptedServer
) -> None:
    full = Failure(StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_seconds=0.1)
    server.plays("Subscribe", full, [batch(1), END])
    assert await positions(client) == [1]
    first, second = server.asked
    assert second.time - first.time >= 0.1


async def test_a_server_that_gives_no_time_to_come_back_is_not_asked_again(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("Subscribe", Failure(StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"))
    with pytest.raises(Overloaded):
        await positions(client)


async def test_leaving_it_closes_the_call(client: InventoryClient, server: ScriptedServer) -> None:
    server.plays("Subscribe", [batch(1), Silence()])
    async with aclosing(client.events()) as events:
        await anext(events)
    await asyncio.wait_for(server.cancelled.wait(), SECONDS)


class CuttingServer(ScriptedServer):
    """Serves a log of 200 events, and cuts every stream somewhere."""

    HEAD = 200

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)

    async def _played(
        self, rpc: MethodDescriptor, request: Message, context: Context
    ) -> AsyncIterator[Message]:
        assert rpc.name == "Subscribe"
        assert isinstance(request, SubscribeRequest)
        position = request.after_position
        while self._random.random() < 0.8:
            upto = min(position + self._random.randrange(8), self.HEAD)
            events = range(position + 1, upto + 1)
            yield batch(*events, upto=upto, caught_up=upto == self.HEAD)
            if upto == self.HEAD:
                return
            position = upto
        await context.abort(StatusCode.UNAVAILABLE, "cut")


@pytest.mark.parametrize("seed", range(5))
async def test_however_often_it_is_cut_nothing_is_missed_and_nothing_comes_twice(
    seed: int,
) -> None:
    async with (
        serving(CuttingServer(seed)) as address,
        InventoryClient(address) as client,
    ):
        assert await positions(client) == list(range(1, CuttingServer.HEAD + 1))


async def test_a_server_that_comes_back_is_found_again(server: ScriptedServer) -> None:
    async with serving(server) as address:
        client = InventoryClient(address)
        server.plays("Subscribe", [batch(1), Silence()])
        events = client.events(stop_at_head=True)
        assert (await anext(events)).position == 1
    server.plays("Subscribe", [batch(2), END])
    rest = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0.05)
    async with serving(server, address), client:
        assert (await rest).position == 2
        await events.aclose()
