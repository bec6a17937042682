"""One collector and one server for the tests of a file; calls are traced where callers say so."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.caller import Caller, calling
from tests.support.collector import Collector, collecting
from tests.support.keyring import Keyring
from tests.support.server_process import ServerProcess

QUICK: Final = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
"""Milliseconds until spans are sent."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("traces")


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def keys(folder: Path) -> Keyring:
    return Keyring(folder / "callers.toml")


@pytest.fixture(scope="module")
def token(keys: Keyring) -> str:
    return keys.add("ana", "operator")


@pytest.fixture(scope="module")
def server(
    folder: Path, collector: Collector, keys: Keyring, token: str
) -> Iterator[ServerProcess]:
    assert token
    server = ServerProcess.begin(
        folder / "inventory.db",
        folder / "server.log",
        f"--trace-endpoint={collector.endpoint}",
        f"--callers={keys.path}",
        "--trace-ratio=0",
        environment=QUICK,
    )
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
async def caller(server: ServerProcess) -> AsyncIterator[Caller]:
    async with calling(await server.address()) as caller:
        yield caller
