from collections.abc import AsyncIterator

import pytest

from inventory_grpc.client import InventoryClient
from tests.support.waiting import SECONDS
from tests.unit.client.in_threads import InThreads
from tests.unit.client.scripted import ScriptedServer, serving


@pytest.fixture
async def server() -> ScriptedServer:
    return ScriptedServer()


@pytest.fixture
async def address(server: ScriptedServer) -> AsyncIterator[str]:
    async with serving(server) as bound:
        yield bound


@pytest.fixture(params=[InventoryClient, InThreads], ids=["loop", "threads"])
async def client(request: pytest.FixtureRequest, address: str) -> AsyncIterator[InventoryClient]:
    async with request.param(address, timeout=SECONDS) as inventory:
        yield inventory
