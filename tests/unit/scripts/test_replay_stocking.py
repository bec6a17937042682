"""The replay notices a bulk command that is done twice when sent twice."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import grpc.aio
import pytest

from inventory_grpc.client import Line
from inventory_grpc.presentation.grpc_types import Context
from inventory_grpc_protos.v1 import commands_pb2 as pb
from scripts.replay.findings import Findings
from scripts.replay.plan import Plan, Sending
from scripts.replay.stocking import BATCH, Stocking, StockingFailed

GOODS = 10 * BATCH + 1


class Warehouse:
    """Executes each request once, or with the fault that a test sets."""

    def __init__(self) -> None:
        self.positions: dict[str, int] = {}
        self.messages = 0
        self.forgets = ""
        self.breaks_at: int | None = None

    async def execute_stream(
        self, requests: AsyncIterator[pb.ExecuteStreamRequest], context: Context
    ) -> AsyncIterator[pb.ExecuteStreamResponse]:
        async for request in requests:
            self.messages += 1
            if self.messages == self.breaks_at:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the warehouse is closed")
            response = pb.ExecuteStreamResponse()
            for command in request.commands:
                response.results.append(self._done(command.add_stock))
            yield response

    def _done(self, request: pb.AddStockRequest) -> pb.CommandResult:
        name = request.request_id
        replayed = name in self.positions and name != self.forgets
        if not replayed:
            self.positions[name] = len(self.positions) + 1
        return pb.CommandResult(position=self.positions[name], replayed=replayed, version=1)


@pytest.fixture
def warehouse() -> Warehouse:
    return Warehouse()


@pytest.fixture
async def address(warehouse: Warehouse) -> AsyncIterator[str]:
    server = grpc.aio.server()
    execute: Any = grpc.stream_stream_rpc_method_handler(
        warehouse.execute_stream,
        pb.ExecuteStreamRequest.FromString,
        pb.ExecuteStreamResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(
                "inventory.v1.InventoryCommands", {"ExecuteStream": execute}
            )
        ]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


def goods() -> Iterator[Line]:
    return (Line(f"kettle-{number}", "lisbon", 5) for number in range(GOODS))


async def stocked(address: str, *, twice: float) -> tuple[Stocking, Findings, int]:
    findings = Findings()
    stocking = Stocking(Plan(1, twice=twice, released=0, expired=0), findings)
    arrived: list[int] = []
    await stocking.stock(address, goods(), arrived.append)
    return stocking, findings, sum(arrived)


@pytest.mark.parametrize("twice", [0.6, 1])
async def test_everything_is_brought_once_whatever_is_sent_twice(
    warehouse: Warehouse, address: str, twice: float
) -> None:
    stocking, findings, arrived = await stocked(address, twice=twice)

    assert len(warehouse.positions) == arrived == GOODS
    again, at_once = (stocking.sendings[one] for one in (Sending.AGAIN, Sending.TWICE_AT_ONCE))
    assert again
    assert at_once
    assert warehouse.messages == stocking.requests == 11 + again + at_once
    assert findings.count == 0


async def test_what_is_done_twice_is_found(warehouse: Warehouse, address: str) -> None:
    warehouse.forgets = "stock-lisbon-kettle-7"

    _, findings, _ = await stocked(address, twice=1)

    done_again, at_other_positions = findings.first
    assert done_again.startswith("stock-lisbon-kettle-7: version 1 expected, replayed: True")
    assert at_other_positions.startswith("positions of a repeated message")


async def test_a_stream_that_breaks_off_ends_the_replay(warehouse: Warehouse, address: str) -> None:
    warehouse.breaks_at = 3

    with pytest.raises(StockingFailed, match="stocking in bulk"):
        await stocked(address, twice=0)
