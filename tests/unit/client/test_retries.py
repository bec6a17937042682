"""A command is done once, a query is answered, and both within their time."""

import asyncio
import math
from typing import Any
from uuid import UUID

import grpc
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
from inventory_grpc.client import calls as module
from inventory_grpc.client.calls import Calls
from inventory_grpc.client.loop_connections import LoopConnections
from inventory_grpc_protos.v1.commands_pb2 import AddStockRequest, AddStockResponse
from inventory_grpc_protos.v1.queries_pb2 import GetStockResponse
from inventory_grpc_protos.v1.stock_pb2 import Stock
from tests.support.waiting import SECONDS
from tests.unit.client.scripted import Failure, ScriptedServer, Silence

GONE = Failure(StatusCode.UNAVAILABLE)
FULL_OF_WORK = Failure(StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_seconds=0.0)
DONE = AddStockResponse(position=7)
ROUNDING = 1.0
"""Seconds by which gRPC may lengthen a deadline of minutes, which it sends in whole seconds."""


async def add_five_kettles(
    client: InventoryClient, seconds: float | None = None
) -> AddStockResponse:
    return await client.add_stock(
        product_id="kettle", store_id="lisbon", quantity=5, timeout=seconds
    )


async def test_a_command_carries_the_same_new_request_id_on_every_attempt(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("AddStock", GONE, FULL_OF_WORK, DONE)
    assert await add_five_kettles(client) == DONE
    await add_five_kettles(client)
    first, second, third, other = [request.request_id for request in server.requests()]
    assert first == second == third != other
    assert str(UUID(first)) == first
    assert first < other, "ids in the order of time are cheaper"


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


class Failing:
    """A method that takes its time and fails, without a server; and the clock that shows it."""

    def __init__(self, seconds: float, **trailers: str) -> None:
        self.now = 1_000.0
        self.timeouts: list[float] = []
        self._seconds = seconds
        self._trailers = grpc.aio.Metadata(*trailers.items())

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def __call__(
        self,
        _request: object,
        *,
        timeout: float,  # noqa: ASYNC109  as of gRPC
        metadata: object,
    ) -> AddStockResponse:
        assert metadata is None
        self.timeouts.append(timeout)
        self.now += min(self._seconds, timeout)
        raise grpc.aio.AioRpcError(StatusCode.UNAVAILABLE, grpc.aio.Metadata(), self._trailers)

    async def asked(self, seconds: float) -> InventoryError:
        """Ask it for so long; return how that ended."""
        method: Any = self
        connections = LoopConnections(lambda: grpc.aio.insecure_channel("127.0.0.1:1"))
        calls = Calls(connections, 10.0, clock=self.clock, sleep=self.sleep)
        with pytest.raises(InventoryError) as caught:
            await calls(lambda _: method, AddStockRequest(request_id="delivery-7"), seconds)
        await connections.close()
        return caught.value


async def test_all_attempts_share_one_deadline() -> None:
    failing = Failing(seconds=0.5)
    failure = await failing.asked(seconds=60.0)
    assert isinstance(failure, Unavailable)
    assert len(failing.timeouts) > 10
    assert failing.timeouts[0] == 60.0
    assert failing.timeouts == sorted(failing.timeouts, reverse=True)
    assert 1_055.0 <= failing.now <= 1_060.0, "it goes on to the end, and not beyond"


async def test_a_wait_that_would_outlast_the_deadline_is_not_begun() -> None:
    failing = Failing(seconds=0.5, **{"grpc-retry-pushback-ms": "59500"})
    failure = await failing.asked(seconds=60.0)
    assert failure.retry_after == 59.5
    assert failing.now == 1_000.5
    assert failing.timeouts == [60.0]


async def test_a_wait_that_fits_into_the_deadline_is_waited() -> None:
    failing = Failing(seconds=0.5, **{"grpc-retry-pushback-ms": "40000"})
    await failing.asked(seconds=60.0)
    assert len(failing.timeouts) == 2
    assert failing.timeouts[1] <= 19.5


async def test_a_server_says_how_long_it_wants_to_be_left_alone(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("AddStock", Failure(StatusCode.UNAVAILABLE, "SHUTTING_DOWN", retry_seconds=3600))
    with pytest.raises(ShuttingDown) as caught:
        await add_five_kettles(client)
    assert caught.value.retry_after == 3600.0


async def test_the_deadline_is_sent_to_the_server(
    client: InventoryClient, server: ScriptedServer
) -> None:
    await add_five_kettles(client, seconds=600)
    assert 0 < server.asked[0].remaining <= 600 + ROUNDING


async def test_a_server_that_never_answers_is_waited_for_until_the_deadline(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("AddStock", Silence())
    with pytest.raises(DeadlineExceeded) as caught:
        await add_five_kettles(client, seconds=0.1)
    assert caught.value.in_doubt
    assert "may have been recorded" in str(caught.value)
    assert caught.value.request_id in str(caught.value)
    assert caught.value.request_id == server.requests()[0].request_id
    await asyncio.wait_for(server.cancelled.wait(), SECONDS)


async def test_a_server_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    # the next attempt would be too late, so the first one is all, however long it takes
    monkeypatch.setattr(module, "_JITTER", lambda _: 2 * SECONDS)
    async with InventoryClient("127.0.0.1:1", timeout=SECONDS) as client:
        with pytest.raises(Unavailable):
            await client.get_server_info()


async def test_what_was_turned_away_for_good_was_not_done(
    client: InventoryClient, server: ScriptedServer
) -> None:
    full_for_long = Failure(StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_seconds=3600)
    server.plays("AddStock", FULL_OF_WORK, full_for_long)
    with pytest.raises(Overloaded) as caught:
        await add_five_kettles(client)
    assert not caught.value.in_doubt


async def test_a_doubt_is_not_forgotten_when_a_later_attempt_is_turned_away(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays(
        "AddStock", GONE, Failure(StatusCode.UNAVAILABLE, "WRITES_REFUSED", retry_seconds=3600)
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


async def test_a_query_is_never_in_doubt(client: InventoryClient, server: ScriptedServer) -> None:
    server.plays("GetStock", Failure(StatusCode.DEADLINE_EXCEEDED))
    with pytest.raises(DeadlineExceeded) as caught:
        await client.get_stock(product_id="kettle", store_id="lisbon")
    assert not caught.value.in_doubt
    assert "recorded" not in str(caught.value)
