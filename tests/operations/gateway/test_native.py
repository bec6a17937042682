"""gRPC passes through the gateway as it is, streams in both directions too."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from grpc import StatusCode
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from inventory_grpc import InventoryClient
from inventory_grpc_protos.v1.commands_pb2 import RemoveStockRequest
from inventory_grpc_protos.v1.errors_pb2 import ShortLines
from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest
from tests.support.caller import Caller, adding, calling, message, refused
from tests.support.gateway import Gateway


@pytest.fixture
async def caller(envoy: Gateway) -> AsyncIterator[Caller]:
    async with calling(envoy.address) as caller:
        yield caller


async def test_a_call_is_answered(caller: Caller) -> None:
    answer = await caller.commands.AddStock(adding(5, "kettle"))
    assert answer.stock.available == 5


async def test_a_refusal_has_its_details(caller: Caller) -> None:
    request = RemoveStockRequest(product_id="toaster", store_id="lisbon", quantity=4)
    refusal = await refused(caller.commands.RemoveStock(request))
    assert (refusal.code, refusal.reason) == (
        StatusCode.FAILED_PRECONDITION,
        "INSUFFICIENT_STOCK",
    )
    assert refusal.details[ShortLines].lines[0].asked == 4


async def test_a_subscription_is_live(caller: Caller) -> None:
    call = caller.events.Subscribe(SubscribeRequest(from_now=True))
    received = aiter(call)
    await anext(received)
    await caller.commands.AddStock(adding(5, "teapot"))
    async for told in received:
        if told.events:
            assert told.events[0].product_id == "teapot"
            call.cancel()
            break
    else:
        pytest.fail("the stream ended")


async def test_a_stream_of_commands_goes_both_ways(caller: Caller) -> None:
    call: Any = caller.commands.ExecuteStream()
    for number in (1, 2):
        await call.write(message(adding(5, "pan")))
        [result] = (await call.read()).results
        assert result.version == number
    await call.done_writing()
    assert await call.code() is StatusCode.OK


async def test_health_is_watched(caller: Caller) -> None:
    call = caller.health.Watch(HealthCheckRequest(service="inventory.v1.InventoryCommands"))
    assert (await call.read()).status == HealthCheckResponse.SERVING
    call.cancel()


async def test_the_python_client_works(envoy: Gateway) -> None:
    async with InventoryClient(envoy.address) as inventory:
        added = await inventory.add_stock(product_id="grill", store_id="lisbon", quantity=5)
        assert added.stock.available == 5


async def test_no_other_service_is_passed_on(caller: Caller) -> None:
    """Reflection, which the server offers on loopback, is not of the API."""
    call: Any = caller.channel.unary_unary(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    )
    refusal = await refused(call(b""))
    assert refusal.code is StatusCode.UNIMPLEMENTED
