"""A worker that is stopped while it writes is reported within seconds, named and replaced."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

import psutil
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from inventory_grpc.client import InventoryClient
from inventory_grpc.infrastructure.sqlite.write_lock import holder_of
from inventory_grpc.presentation.server import COMMANDS
from inventory_grpc_protos.v1.admin_pb2 import GetServerInfoRequest, Writes
from tests.support.caller import SECONDS, Caller, adding
from tests.support.opened import checked, events, requests_of
from tests.support.server_process import ServerProcess
from tests.support.waiting import eventually
from tests.support.workers import reaching_each, said, workers_of

_SOONER: Final = (
    "import sys; from inventory_grpc.cli import main; "
    "from inventory_grpc.server import supervisor; "
    "supervisor.HUNG_BEATS = 10; del sys.argv[1:4]; main()"
)
SOONER: Final = (sys.executable, "-c", _SOONER)
"""A supervisor that waits for 5 s in place of 10 before it kills a worker."""


async def _writes(caller: Caller) -> tuple[int, int]:
    """Return what the server says of commands: in its information, and as its health."""
    info = await caller.admin.GetServerInfo(GetServerInfoRequest(), timeout=SECONDS)
    asked = HealthCheckRequest(service=COMMANDS)
    health = await caller.health.Check(asked, timeout=SECONDS)
    return info.writes, health.status


async def _until(caller: Caller, writes: int, status: int) -> None:
    async with asyncio.timeout(SECONDS):
        while await _writes(caller) != (writes, status):  # noqa: ASYNC110  it is asked
            await asyncio.sleep(0.05)


def _passed(server: ServerProcess) -> list[int]:
    """Return which workers are writing, or were."""
    return [entry["worker"] for entry in server.log() if "was passed" in entry["event"]]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has workers")
async def test_a_worker_stopped_while_it_writes_is_reported_named_and_replaced(
    path: Path, tmp_path: Path
) -> None:
    server = ServerProcess.begin(
        path,
        tmp_path / "log",
        "--workers",
        "2",
        fail_points="projection_step=sleep:1",
        under=SOONER,
    )
    stopped: list[psutil.Process] = []
    try:
        address = await server.address()
        async with reaching_each(address) as (one, other):
            writing = asyncio.create_task(_add(one, "stopped"))
            await eventually(lambda: bool(_passed(server) and holder_of(path)))
            stopped = [psutil.Process(holder_of(path))]
            stopped[0].send_signal(signal.SIGSTOP)
            waiting = asyncio.create_task(_add(other, "other"))
            await _until(other, Writes.WRITES_WAITING, HealthCheckResponse.NOT_SERVING)
            [told] = said(server, "commands wait for another process")
            assert f"({stopped[0].pid}) that has held the write lock" in told
            await eventually(lambda: bool(said(server, "another starts")))
            name = f"worker {_passed(server)[0]} of 2"
            which = f"process {stopped[0].pid}, which is stopped"
            assert said(server, "has sent no heartbeat") == [
                f"{name} has sent no heartbeat for 2 s: {which}; it is killed after 5 s",
                f"{name} has sent no heartbeat for 5 s: {which}; it is killed",
            ]
            await _until(other, Writes.WRITES_ACCEPTED, HealthCheckResponse.SERVING)
            await asyncio.gather(writing, waiting, return_exceptions=True)
        assert len(said(server, "commands continue")) == 1
        async with InventoryClient(address, timeout=SECONDS) as inventory:
            for name in ("stopped", "other"):
                await inventory.add_stock(
                    product_id="kettle", store_id="lisbon", quantity=1, request_id=name
                )
        server.terminate()
        assert await server.ended() == 0
    finally:
        for worker in [*stopped, *(workers_of(server) if server.process.poll() is None else [])]:
            if worker.is_running():
                worker.kill()
        server.kill()
    assert requests_of(events(path)) == {"stopped": 1, "other": 1}
    checked(path)


async def _add(caller: Caller, name: str) -> None:
    await caller.commands.AddStock(adding(1, request_id=name), timeout=SECONDS)
