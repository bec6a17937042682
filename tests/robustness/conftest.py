"""Fixtures and time limits of the robustness tests."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from inventory_grpc.server import serve
from inventory_grpc.settings import Settings
from inventory_grpc_protos.v1.queries_pb2 import GetStockRequest
from tests.robustness.inside import Inside, serving_openly
from tests.support.caller import Caller, adding, calling, line, reserving
from tests.support.effort import DEEP
from tests.support.server_process import ServerProcess, server_process

GROWTH: Final = 48 * 2**20
"""By how many bytes a server may grow while one test tries it."""


CAMPAIGN_SECONDS: Final = 900
"""The limit of a test here in CI: several times its duration on an idle machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give campaigns time, and deep ones as long as they need."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            limit = 0 if DEEP else CAMPAIGN_SECONDS
            item.add_marker(pytest.mark.timeout(limit), append=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a path at which there is no database yet."""
    return tmp_path / "inventory.db"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lone_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """Serve all tests of a file in a process of its own, which has to stand them all."""
    folder = tmp_path_factory.mktemp("lone")
    async with server_process(folder / "inventory.db", folder / "log") as server:
        async with calling(await server.address()) as caller:
            await caller.commands.AddStock(adding(5))
        yield server


@pytest.fixture
async def bystander(lone_server: ServerProcess) -> AsyncIterator[Caller]:
    """Be served all along; and see in the end that nothing was written, and nothing has grown."""
    async with calling(await lone_server.address()) as caller:
        begun = lone_server.resident_bytes()
        yield caller
        got = await caller.queries.GetStock(GetStockRequest(product_id="kettle", store_id="lisbon"))
        assert (got.stock.on_hand, got.as_of_position) == (5, 1), "something was written"
        assert lone_server.resident_bytes() - begun < GROWTH
        assert not [line for line in lone_server.log() if line["level"] == "error"]


@pytest.fixture
async def inside(database: str | Path) -> AsyncIterator[Inside]:
    """Serve in this process, so that it can be looked into."""
    async with serving_openly(database) as inside:
        yield inside


@pytest.fixture
async def caller(database: str | Path) -> AsyncIterator[Caller]:
    """Have a shop with many kettles, of which r1 holds two for Ana."""
    settings = Settings(listen="127.0.0.1:0", database=database)
    async with serve.serving(settings) as served, calling(served.address) as caller:
        await caller.commands.AddStock(adding(1_000, request_id="delivery"))
        await caller.commands.ReserveStock(reserving(line(2), name="r1", never_expires=True))
        yield caller
