"""A refusal is freed once it is sent, without the garbage collector."""

import gc
from collections.abc import Iterator

import grpc.aio
import pytest

from inventory_grpc.domain.refusals import Refusal
from inventory_grpc_protos.v1 import commands_pb2 as pb
from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest
from inventory_grpc_protos.v1.queries_pb2 import GetStockRequest
from tests.support.caller import message
from tests.unit.presentation.asking import add, line, reserve
from tests.unit.presentation.conftest import Served
from tests.unit.presentation.streams import left, opened

SHORT = reserve(lines=[line(1, f"kettle-{number}") for number in range(20)])
WRONG = add(quantity=-1)


def _refusals() -> list[Refusal]:
    return [one for one in gc.get_objects() if isinstance(one, Refusal)]


@pytest.fixture
def before() -> Iterator[list[Refusal]]:
    """Keep the garbage collector away, and return the refusals that other tests keep."""
    gc.collect()
    gc.disable()
    yield _refusals()
    gc.enable()


async def test_refused_commands_leave_no_refusal_behind(
    before: list[Refusal], service: Served
) -> None:
    for _ in range(3):
        for refused in (
            service.commands.ReserveStock(SHORT),
            service.commands.AddStock(WRONG),
            service.queries.GetStock(GetStockRequest(product_id="kettle", store_id="lisbon")),
            service.events.Subscribe(SubscribeRequest(after_position=9)).read(),
        ):
            with pytest.raises(grpc.aio.AioRpcError):
                await refused
    await left(service)
    assert _refusals() == before


async def test_refused_bulk_commands_leave_no_refusal_in_memory(
    before: list[Refusal], service: Served
) -> None:
    commands = [pb.Command(reserve_stock=SHORT), pb.Command(add_stock=WRONG)] * 10
    answer = await service.commands.ExecuteBatch(pb.ExecuteBatchRequest(commands=commands))
    assert len(answer.results) == 20
    stream = opened(service)
    for _ in range(3):
        await stream.write(message(SHORT, WRONG))
        assert len((await stream.read()).results) == 2
    await stream.done_writing()
    assert await stream.read() is grpc.aio.EOF
    await left(service)
    assert _refusals() == before
