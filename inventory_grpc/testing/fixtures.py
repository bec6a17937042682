"""Fixtures of pytest; name this module in `pytest_plugins` of the outermost `conftest.py`.

    pytest_plugins = ["inventory_grpc.testing.fixtures"]

Each test has a server of its own. For one that several tests share, define `inventory_server` with
a wider scope in your `conftest.py`.
"""

from collections.abc import Iterator

import pytest

from inventory_grpc.client import SyncInventoryClient
from inventory_grpc.testing.server import InventoryServer


@pytest.fixture
def inventory_server() -> Iterator[InventoryServer]:
    """Run a server without stock; `InventoryClient(inventory_server.address)` calls it too."""
    with InventoryServer() as server:
        yield server


@pytest.fixture
def inventory(inventory_server: InventoryServer) -> Iterator[SyncInventoryClient]:
    """Make a client of `inventory_server`, which blocks."""
    with inventory_server.client() as client:
        yield client
