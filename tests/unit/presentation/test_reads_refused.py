"""A read that storage fails is refused with a reason about reads, by every rpc that reads."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, Never, Self

import pytest
from google.protobuf.message import Message
from grpc import StatusCode

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc_protos.v1 import admin_pb2, events_pb2, queries_pb2, stock_pb2
from tests.support.engine import Engine, assemble, running
from tests.support.stores import Store, TroubledStore
from tests.unit.presentation.asking import add, line
from tests.unit.presentation.conftest import Served
from tests.unit.presentation.tiny import failing

KETTLE: Final = stock_pb2.StockKey(product_id="kettle", store_id="lisbon")

REQUESTS: Final[Mapping[str, Message]] = {
    "GetStock": queries_pb2.GetStockRequest(product_id="kettle", store_id="lisbon"),
    "BatchGetStock": queries_pb2.BatchGetStockRequest(keys=[KETTLE]),
    "CheckAvailability": queries_pb2.CheckAvailabilityRequest(lines=[line()]),
    "GetProductInventory": queries_pb2.GetProductInventoryRequest(product_id="kettle"),
    "ListStock": queries_pb2.ListStockRequest(),
    "GetReservation": queries_pb2.GetReservationRequest(reservation_id="r1"),
    "ListReservations": queries_pb2.ListReservationsRequest(),
    "Subscribe": events_pb2.SubscribeRequest(),
    "ListEvents": events_pb2.ListEventsRequest(),
}
"""A request of each rpc that reads."""


class Unreadable:
    """A log, its read models and their snapshot, none of which can be read."""

    log_id = "unreadable"
    fault = Fault.BROKEN

    @property
    def latest(self) -> Self:
        return self

    def __getattr__(self, name: str) -> Callable[..., Never]:
        def unreadable(*_: object, **__: object) -> Never:
            raise StorageError(self.fault)

        return unreadable


@pytest.fixture
def unreadable() -> Unreadable:
    return Unreadable()


@pytest.fixture
async def engine(troubled: TroubledStore, unreadable: Any) -> AsyncIterator[Engine]:  # noqa: ANN401
    async with running(assemble(Store(troubled, unreadable, unreadable))) as engine:
        yield engine


def test_every_rpc_that_reads_has_a_request_here() -> None:
    services = (
        queries_pb2.DESCRIPTOR.services_by_name["InventoryQueries"],
        events_pb2.DESCRIPTOR.services_by_name["InventoryEvents"],
    )
    assert set(REQUESTS) == {method.name for service in services for method in service.methods}


async def _ask(service: Served, name: str) -> None:
    stub = service.queries if hasattr(service.queries, name) else service.events
    call = getattr(stub, name)(REQUESTS[name])
    await (call.read() if name == "Subscribe" else call)


@pytest.mark.parametrize("fault", [Fault.BROKEN, Fault.BUSY, Fault.FULL])
async def test_a_read_that_storage_fails_is_refused_as_a_read_and_writes_go_on(
    service: Served, unreadable: Unreadable, fault: Fault
) -> None:
    unreadable.fault = fault
    for name in REQUESTS:
        async with failing(StatusCode.UNAVAILABLE) as failure:
            await _ask(service, name)
        assert failure.reason == "READS_REFUSED", name
        assert failure.info.metadata["why"] == fault.value
        assert failure.pushback_ms is not None
        assert "writes" not in str(failure.error.details())
    recorded = await service.commands.AddStock(add())
    info = await service.admin.GetServerInfo(admin_pb2.GetServerInfoRequest())
    assert (info.writes, info.head_position) == (admin_pb2.WRITES_ACCEPTED, recorded.position)


async def test_damage_met_by_a_read_is_told_as_damage(
    service: Served, unreadable: Unreadable
) -> None:
    unreadable.fault = Fault.DAMAGED
    for name in REQUESTS:
        async with failing(StatusCode.DATA_LOSS) as failure:
            await _ask(service, name)
        assert failure.reason == "LOG_DAMAGED", name
