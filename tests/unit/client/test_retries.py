"""A command is done once, a query is answered, and both within their time."""

import asyncio
import math
import time

import pytest
from grpc import StatusCode

from inventory_grpc.client import (
    DeadlineExceeded,
    InsufficientStock,
    InventoryClient,
    InventoryError,
    Overloaded,
    ShuttingDown,
    Unavailable,
    WritesRefused,
)
from inventory_grpc_protos.v1.commands_pb2 import AddStockResponse
from inventory_grpc_protos.v1.queries_pb2 import GetStockResponse
from inventory_grpc_protos.v1.stock_pb2 import Stock
from tests.unit.client.scripted import Failure, ScriptedServer, Silence

GONE = Failure(StatusCode.UNAVAILABLE)
FULL_OF_WORK = Failure(StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_seconds=0.0)
DONE = AddStockResponse(position=7)
ROUNDING = 0.05
"""Seconds by which gRPC may make a deadline later on its way to a server."""


async def add_five_kettles(client: InventoryClient, timeout: float = 2.0) -> AddStockResponse:  # noqa: ASYNC109  the client's own
    return await client.add_stock(
        product_id="kettle", store_id="lisbon", quantity=5, timeout=timeout
    )


async def test_a_command_carries_the_same_new_request_id_on_every_attempt(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("AddStock", GONE, FULL_OF_WORK, DONE)
    assert await add_five_kettles(client) == DONE
    await add_five_kettles(client)
    first, second, third, other = [request.request_id for request in server.requests()]
    assert first == second == third != other
    assert len(first) == len("12345678-1234-1234-1234-123456789012")


async def test_a_request_id_of_the_callers_own_is_kept(
    client: InventoryClient, server: ScriptedServer
) -> None:
    await client.release_reservation(reservation_id="cart-7", request_id="release-7")
    assert server.requests()[0].request_id == "release-7"


async def test_a_query_is_asked_again_too(client: InventoryClient, server: ScriptedServer) -> None:
    answer = GetStockResponse(stock=Stock(on_hand=5))
    server.plays("GetStock", GONE, answer)
    assert await client.get_stock(product_id="kettle", store_id="lisbon") == answer


async def test_what_a_stopping_server_cancelled_is_sent_again(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("AddStock", Failure(StatusCode.CANCELLED), DONE)
    assert await add_five_kettles(client) == DONE


@pytest.mark.parametrize(
    "sent_away",
    [
        Failure(StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_seconds=0.15),
        Failure(StatusCode.UNAVAILABLE, "SHUTTING_DOWN", retry_seconds=0.15),
        Failure(StatusCode.UNAVAILABLE, pushback_ms="150"),
        Failure(StatusCode.UNAVAILABLE, "STORAGE_FULL", retry_seconds=0.01, pushback_ms="150"),
    ],
    ids=["overloaded", "shutting-down", "pushback-alone", "the-longer-of-two"],
)
async def test_nobody_comes_back_before_the_time_that_the_server_gave(
    client: InventoryClient, server: ScriptedServer, sent_away: Failure
) -> None:
    server.plays("AddStock", sent_away, DONE)
    await add_five_kettles(client)
    first, second = server.asked
    assert second.time - first.time >= 0.15


@pytest.mark.parametrize("pushback_ms", ["-1", "never"])
async def test_a_server_that_forbids_to_come_back_is_left_alone(
    client: InventoryClient, server: ScriptedServer, pushback_ms: str
) -> None:
    server.plays("AddStock", Failure(StatusCode.UNAVAILABLE, pushback_ms=pushback_ms))
    with pytest.raises(Unavailable) as caught:
        await add_five_kettles(client)
    assert caught.value.retry_after == math.inf
    assert len(server.asked) == 1


async def test_what_is_exhausted_without_a_time_to_come_back_is_not_tried_again(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("AddStock", Failure(StatusCode.RESOURCE_EXHAUSTED))
    with pytest.raises(InventoryError, match="RESOURCE_EXHAUSTED"):
        await add_five_kettles(client)
    assert len(server.asked) == 1


async def test_a_refusal_is_not_tried_again(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("ReserveStock", Failure(StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK"))
    with pytest.raises(InsufficientStock):
        await client.reserve_stock(lines=[("kettle", "lisbon", 6)], customer_id="ana")
    assert len(server.asked) == 1


async def test_all_attempts_share_one_deadline(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("AddStock", *[GONE] * 100)
    started = time.monotonic()
    with pytest.raises((Unavailable, DeadlineExceeded)):
        await add_five_kettles(client, timeout=0.6)
    assert time.monotonic() - started < 2.0
    assert len(server.asked) > 2
    assert server.asked[0].remaining <= 0.6 + ROUNDING
    deadlines = [attempt.time + attempt.remaining for attempt in server.asked]
    assert max(deadlines) - min(deadlines) < 0.25


async def test_a_wait_that_would_outlast_the_deadline_is_not_begun(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("AddStock", Failure(StatusCode.UNAVAILABLE, "SHUTTING_DOWN", retry_seconds=5))
    started = time.monotonic()
    with pytest.raises(ShuttingDown) as caught:
        await add_five_kettles(client)
    assert time.monotonic() - started < 2.0
    assert caught.value.retry_after == 5.0


async def test_a_server_that_never_answers_is_waited_for_until_the_deadline(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("AddStock", Silence())
    with pytest.raises(DeadlineExceeded) as caught:
        await add_five_kettles(client, timeout=0.1)
    assert caught.value.in_doubt
    assert caught.value.request_id == server.requests()[0].request_id
    await asyncio.wait_for(server.cancelled.wait(), 1)


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with InventoryClient("127.0.0.1:1", timeout=0.1) as client:
        with pytest.raises(Unavailable):
            await client.get_server_info()


async def test_what_was_turned_away_for_good_was_not_done(
    client: InventoryClient, server: ScriptedServer
) -> None:
    full_for_long = Failure(StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_seconds=60)
    server.plays("AddStock", FULL_OF_WORK, full_for_long)
    with pytest.raises(Overloaded) as caught:
        await add_five_kettles(client)
    assert not caught.value.in_doubt


async def test_a_doubt_is_not_forgotten_when_a_later_attempt_is_turned_away(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays(
        "AddStock", GONE, Failure(StatusCode.UNAVAILABLE, "WRITES_REFUSED", retry_seconds=60)
    )
    with pytest.raises(WritesRefused) as caught:
        await add_five_kettles(client)
    assert caught.value.in_doubt


async def test_a_doubt_is_settled_by_a_judgement_of_the_same_request(
    client: InventoryClient, server: ScriptedServer
) -> None:
    short = Failure(StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK")
    server.plays("RemoveStock", GONE, short)
    with pytest.raises(InsufficientStock) as caught:
        await client.remove_stock(product_id="kettle", store_id="lisbon", quantity=9)
    assert not caught.value.in_doubt
