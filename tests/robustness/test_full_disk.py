"""On a full disk writes are refused until there is room, reads go on, and no repair is needed."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import grpc.aio
import pytest
from grpc import StatusCode
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from inventory_grpc_protos.v1.queries_pb2 import GetStockRequest
from tests.support.caller import Caller, adding, calling, refusal, refused
from tests.support.effort import campaign, runs
from tests.support.opened import checked, events, requests_of
from tests.support.server_process import command_line, server_process

LEFT: Final = 256 * 1024
"""Bytes that there still are, so that it becomes full in the middle of things."""

ASKED: Final = GetStockRequest(product_id="kettle", store_id="lisbon")
COMMANDS: Final = HealthCheckRequest(service="inventory.v1.InventoryCommands")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mount") is None, reason="only root may mount a small disk"
)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of four megabytes."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mounted)]
    said = subprocess.run(command, capture_output=True, check=False, text=True)
    if said.returncode:
        pytest.skip(f"a small disk cannot be mounted: {said.stderr.strip()}")
    try:
        yield mounted
    finally:
        subprocess.run(["umount", "-l", str(mounted)], check=False)


class Filler:
    """Files of others on the same disk."""

    def __init__(self, disk: Path) -> None:
        self._path = disk / "filler"

    def fill(self) -> None:
        with suppress(OSError), self._path.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        os.truncate(self._path, self._path.stat().st_size - LEFT)

    def remove(self) -> None:
        self._path.unlink()


async def _until_full(caller: Caller, cycle: int, acknowledged: dict[str, int]) -> int:
    """Add until there is no room; return how many units of this were acknowledged."""
    for number in range(20_000):
        request_id = f"delivery-{cycle}-{number}"
        try:
            added = await caller.commands.AddStock(adding(1, request_id=request_id), timeout=20)
        except grpc.aio.AioRpcError as error:
            if refusal(error).reason not in {"STORAGE_FULL", "OUTCOME_UNKNOWN"}:
                raise
            return number
        acknowledged[request_id] = added.position
    raise AssertionError("it never was full")


async def test_on_a_full_disk_writes_are_refused_until_there_is_room_and_reads_go_on(
    disk: Path, tmp_path: Path
) -> None:
    path, filler, acknowledged = disk / "inventory.db", Filler(disk), dict[str, int]()
    cycles = runs(least=1, ci=2, deep=20)
    async with (
        server_process(path, tmp_path / "log") as server,
        calling(await server.address()) as caller,
    ):
        await caller.commands.AddStock(adding(1, request_id="delivery"))
        with campaign("full disk", cycles=cycles) as noted:
            for cycle in range(cycles):
                filler.fill()
                noted[f"fitted_{cycle}"] = await _until_full(caller, cycle, acknowledged)
                assert (await refused(caller.commands.AddStock(adding(1)))).code is (
                    StatusCode.UNAVAILABLE
                )
                assert (await caller.queries.GetStock(ASKED)).stock.on_hand > 0
                health = await caller.health.Check(COMMANDS)
                assert health.status == HealthCheckResponse.NOT_SERVING
                filler.remove()
                await _until_there_is_room(caller, cycle, acknowledged)
        server.terminate()
        assert await server.ended() == 0
    checked(path)
    recorded = requests_of(events(path))
    assert acknowledged.keys() <= recorded.keys(), "acknowledged, and gone"
    verified = command_line("verify", "--database", str(path))
    assert (verified.returncode, verified.stdout) == (0, "")


async def _until_there_is_room(caller: Caller, cycle: int, acknowledged: dict[str, int]) -> None:
    """Send one request until it is taken; then all is as before."""
    request = adding(1, request_id=f"patience-{cycle}")
    for _ in range(400):
        try:
            added = await caller.commands.AddStock(request, timeout=20)
        except grpc.aio.AioRpcError as error:
            if error.code() is not StatusCode.UNAVAILABLE:
                raise
            await asyncio.sleep(0.1)
        else:
            acknowledged[request.request_id] = added.position
            assert (await caller.health.Check(COMMANDS)).status == HealthCheckResponse.SERVING
            return
    raise AssertionError("there is room, and it is not used")
