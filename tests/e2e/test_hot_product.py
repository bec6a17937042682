"""Concurrent demand for one product sells exactly the units there are."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import grpc.aio
import pytest

from inventory_grpc_protos.v1 import queries_pb2
from tests.support.caller import Caller, adding, calling, line, refusal, reserving
from tests.support.model import Model


async def _attempt(caller: Caller, number: int) -> str:
    request = reserving(line(1), name=f"cart-{number}", request_id=f"attempt-{number}")
    try:
        response = await caller.commands.ReserveStock(request, timeout=30)
    except grpc.aio.AioRpcError as error:
        return refusal(error).reason or f"{error.code()} {error.details()}"
    assert response.stocks[0].reserved <= 500
    return "reserved"


@pytest.mark.parametrize("connections", [1, 20])
async def test_2_000_concurrent_attempts_on_500_units_are_500_reservations(
    address: str, connections: int
) -> None:
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(calling(address)) for _ in range(connections)]
        await callers[0].commands.AddStock(adding(500))
        answers = await asyncio.gather(
            *(_attempt(callers[number % connections], number) for number in range(2_000))
        )
        assert Counter(answers) == {"reserved": 500, "INSUFFICIENT_STOCK": 1_500}
        stock = await callers[0].queries.GetStock(
            queries_pb2.GetStockRequest(product_id="kettle", store_id="lisbon")
        )
        log = await callers[0].log()
    assert (stock.stock.available, stock.stock.reserved) == (0, 500)
    model = Model(event.SerializeToString() for event in log)
    assert len(model.promises) == 500
