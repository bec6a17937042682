"""A server, its console and a browser for the tests of one file."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from inventory_grpc.client import SyncInventoryClient
from inventory_grpc.testing import InventoryServer
from tests.support.console import ConsoleProcess, chromium, console_process, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def server() -> Iterator[InventoryServer]:
    with InventoryServer() as running:
        yield running


@pytest.fixture(scope="module")
def shop(server: InventoryServer) -> Iterator[SyncInventoryClient]:
    """Return a client of the server, beside the console."""
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def console(
    server: InventoryServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ConsoleProcess]:
    folder: Path = tmp_path_factory.mktemp("console")
    with console_process(server.address, folder, "--write") as running:
        yield running


@pytest.fixture
def http(console: ConsoleProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=console.url(), timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def running_browser() -> Iterator["Browser"]:
    with chromium() as running:
        yield running


@pytest.fixture
def browser(running_browser: "Browser") -> Iterator["Browser"]:
    """Return the browser, whose windows are closed after the test."""
    yield running_browser
    for window in running_browser.contexts:
        window.close()


@pytest.fixture
def page(browser: "Browser", console: ConsoleProcess) -> "Page":
    return opened(browser, console.url())
