"""Alerts go all the way: from a real server through Prometheus and Alertmanager to a webhook.

The rules are those that are shipped, with seconds for their minutes.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import pytest

from inventory_grpc.infrastructure import store
from inventory_grpc.server.serve import serving
from inventory_grpc.settings import Settings
from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest
from tests.support import fault_vfs
from tests.support.caller import SMALL_WINDOW, adding, batch, calling, refused
from tests.support.documents import text_of
from tests.support.fault_vfs import FaultyDatabase, faulty_file_system
from tests.support.prometheus import PATIENT, RULES, SECONDS, alertmanager, hastened, prometheus
from tests.support.scraping import page_address
from tests.support.server_process import server_process

pytestmark = pytest.mark.timeout(180)

LISTEN = "127.0.0.1:0"
EVENTS = 16_000
"""More than a follower may be behind, and what is on the way to it."""


class Pager:
    """A webhook that keeps what it is told."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        self._came = asyncio.Event()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request, and answer."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        [length] = [line for line in head.split("\r\n") if line.startswith("content-length:")]
        body = json.loads(await reader.readexactly(int(length.split(":")[1])))
        self.alerts += body["alerts"]
        self._came.set()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async def told(self, name: str, status: str = "firing") -> dict[str, Any]:
        """Wait for an alert."""
        async with asyncio.timeout(SECONDS):
            while True:
                for alert in self.alerts:
                    if (alert["labels"]["alertname"], alert["status"]) == (name, status):
                        return alert
                self._came.clear()
                await self._came.wait()


@pytest.fixture
def pager() -> Pager:
    return Pager()


@pytest.fixture
async def manager(tmp_path: Path, pager: Pager) -> AsyncIterator[int]:
    """Run Alertmanager, which tells the pager."""
    async with await asyncio.start_server(pager.take, "127.0.0.1", 0) as webhook:
        port = webhook.sockets[0].getsockname()[1]
        async with alertmanager(tmp_path, f"http://127.0.0.1:{port}/") as own:
            yield own


def _rules() -> str:
    return hastened(text_of(RULES))


async def test_a_server_that_is_killed_is_told(tmp_path: Path, manager: int, pager: Pager) -> None:
    options = ("--metrics-listen", LISTEN)
    async with (
        server_process(tmp_path / "i.db", tmp_path / "log", *options) as server,
        prometheus(tmp_path, await page_address(server), _rules(), manager, scrape=PATIENT),
    ):
        assert "InventoryDown" not in {one["labels"]["alertname"] for one in pager.alerts}
        server.kill()
        alert = await pager.told("InventoryDown")
    assert alert["labels"]["severity"] == "critical"
    assert alert["annotations"]["runbook"].endswith("#inventorydown")


async def test_a_full_disk_is_told_and_that_it_has_room_again(
    tmp_path: Path, manager: int, pager: Pager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "Database", partial(FaultyDatabase, vfs=fault_vfs.NAME))
    settings = Settings(listen=LISTEN, database=tmp_path / "i.db", metrics_listen=LISTEN)
    with faulty_file_system() as faults:
        async with serving(settings) as served, calling(served.address) as caller:
            assert served.metrics is not None
            async with prometheus(tmp_path, served.metrics, _rules(), manager, scrape=PATIENT):
                await caller.commands.AddStock(adding(1))
                faults.fail(1, apsw.FullError, for_good=True)
                assert (await refused(caller.commands.AddStock(adding(1)))).reason
                alert = await pager.told("InventoryWritesRefused")
                assert alert["labels"]["worker"] == "1"
                faults.mend()
                await pager.told("InventoryWritesRefused", "resolved")
                await caller.commands.AddStock(adding(1))


async def test_a_follower_that_does_not_read_is_told(
    tmp_path: Path, manager: int, pager: Pager
) -> None:
    options = ("--metrics-listen", LISTEN)
    async with (
        server_process(tmp_path / "i.db", tmp_path / "log", *options) as server,
        calling(await server.address()) as caller,
        calling(await server.address(), SMALL_WINDOW) as follower,
        prometheus(tmp_path, await page_address(server), _rules(), manager, scrape=PATIENT),
    ):
        following = follower.events.Subscribe(SubscribeRequest())
        await following.read()
        for _ in range(EVENTS // 1_000):
            await caller.commands.ExecuteBatch(batch(*[adding(1)] * 1_000))
        alert = await pager.told("InventoryFollowerBehind")
        assert alert["labels"]["severity"] == "warning"
        following.cancel()
