"""Fixtures for tests through a real Envoy: one server and one gateway for the tests of a file."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.gateway import Gateway, gateway
from tests.support.server_process import ServerProcess
from tests.support.tools import find_tool


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    find_tool("envoy")
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="module")
def backend(folder: Path) -> Iterator[str]:
    """Serve from an empty database; say where."""
    server = ServerProcess.begin(folder / "inventory.db", folder / "server.log")
    try:
        yield asyncio.run(server.address())
    finally:
        server.kill()


@pytest.fixture(scope="module")
def envoy(folder: Path, backend: str) -> Iterator[Gateway]:
    """Run Envoy before that server, with the configuration as it is shipped."""
    with gateway(folder, [backend]) as started:
        yield started


@pytest.fixture(scope="module")
def http(envoy: Gateway) -> Iterator[httpx.Client]:
    with envoy.http() as client:
        yield client
