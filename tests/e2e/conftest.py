"""Fixtures for tests over gRPC."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from inventory_grpc.client import InventoryClient
from inventory_grpc.server import serve
from inventory_grpc.settings import Settings
from tests.support.caller import Caller, calling
from tests.support.server_process import ServerProcess, server_process


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a path at which there is no database yet."""
    return tmp_path / "inventory.db"


@pytest.fixture
async def address(database: str | Path) -> AsyncIterator[str]:
    """Serve in this process; say where."""
    async with serve.serving(Settings(listen="127.0.0.1:0", database=database)) as served:
        yield served.address


@pytest.fixture
async def caller(address: str) -> AsyncIterator[Caller]:
    async with calling(address) as caller:
        yield caller


@pytest.fixture
async def client(address: str) -> AsyncIterator[InventoryClient]:
    async with InventoryClient(address) as client:
        yield client


@pytest.fixture
async def server(database: str | Path, tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """Serve in a process of its own."""
    async with server_process(database, tmp_path / "server.log") as server:
        yield server


@pytest.fixture
async def remote(server: ServerProcess) -> AsyncIterator[Caller]:
    """Call that process."""
    async with calling(await server.address()) as caller:
        yield caller
