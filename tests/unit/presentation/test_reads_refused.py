"""Every rpc that reads refuses with a reason about reads when storage fails."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Never, Self

import pytest
from grpc import StatusCode

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc_protos.v1 import admin_pb2
from tests.support.engine import Engine, assemble, running
from tests.support.samples import METHODS, SAMPLES
from tests.support.stores import Store, TroubledStore
from tests.unit.presentation.asking import add
from tests.unit.presentation.conftest import Served
from tests.unit.presentation.tiny import failing

REQUESTS: Final = {
    name: request
    for name, request in SAMPLES.items()
    if METHODS[name].containing_service.name in {"InventoryQueries", "InventoryEvents"}
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


async def _ask(service: Served, name: str) -> None:
    stub = service.queries if hasattr(service.queries, name) else service.events
    ask: Any = getattr(stub, name)
    call = ask(REQUESTS[name])
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
