"""Overload keeps goodput up, and refused calls leave no trace.

The goodput itself is a measurement, not a test; a deep run holds it to 80 % of the peak.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Final

import psutil
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from tests.support.caller import Caller, calling
from tests.support.effort import DEEP, SEED, campaign, runs
from tests.support.opened import checked, events, requests_of
from tests.support.server_process import ENVIRONMENT, ROOT, ServerProcess, server_process

PEAK_RATE: Final = 2_500
"""Commands a second, about what one process records on a machine of two cores."""

CONNECTIONS: Final = 24
MAX_MEMORY: Final = 256 * 1024 * 1024
MAX_SHED_MS: Final = 50.0


async def _flooded(address: str, rate: float, connections: int, seconds: float, name: str) -> Any:  # noqa: ANN401  JSON
    """Send commands at a rate from another process; return what became of them."""
    arguments = [str(part) for part in (address, rate, connections, seconds, name)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.robustness.flood",
        *arguments,
        env=ENVIRONMENT,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(said)


async def _health_all_along(caller: Caller, over: asyncio.Event) -> int:
    """Ask until it is over; every answer must be that it serves."""
    answers = 0
    while not over.is_set():
        answer = await caller.health.Check(HealthCheckRequest(), timeout=10)
        assert answer.status == HealthCheckResponse.SERVING
        answers += 1
        await asyncio.sleep(0.1)
    return answers


async def test_goodput_holds_at_ten_times_the_load(path: Path, tmp_path: Path) -> None:
    seconds = runs(least=3, ci=3, deep=20)
    async with (
        server_process(path, tmp_path / "server.log") as server,
        calling(await server.address()) as caller,
    ):
        address = await server.address()
        process = psutil.Process(server.process.pid)
        await _flooded(address, PEAK_RATE, 4, 2, f"{SEED}-warm")
        over = asyncio.Event()
        health = asyncio.create_task(_health_all_along(caller, over))
        peak = (await _flooded(address, 2 * PEAK_RATE, 2, seconds, f"{SEED}-peak"))["goodput"]
        with campaign("overload", seconds_each=seconds) as noted:
            noted["peak"] = round(peak)
            for times in (3, 10):
                poured = await _flooded(
                    address, times * PEAK_RATE, CONNECTIONS, seconds, f"{SEED}-{times}"
                )
                assert not poured["failed"]
                noted[f"{times}x"] = round(poured["goodput"] / peak, 2)
                noted[f"{times}x_ms"] = poured["answered_ms"]
                noted[f"{times}x_MiB"] = process.memory_info().rss // 2**20
                assert process.memory_info().rss < MAX_MEMORY
                if DEEP:
                    assert poured["goodput"] >= 0.8 * peak
            over.set()
            noted["health_answers"] = await health
    checked(path)


async def test_calls_beyond_the_limit_are_refused_at_once_and_not_recorded(
    path: Path, tmp_path: Path
) -> None:
    log = tmp_path / "server.log"
    small = {"INVENTORY_MAX_COMMANDS": "500"}
    server = ServerProcess.begin(path, log, fail_points="batch_open=sleep:0.4", environment=small)
    try:
        poured = await _flooded(await server.address(), 1_000, 12, 4, f"{SEED}-slow")
        server.terminate()
        assert await server.ended() == 0
    finally:
        server.kill()
    assert not poured["failed"]
    assert poured["shed"] > 20, "of thousands: how many depends on how fast they are sent"
    assert poured["goodput"] > 0
    with campaign("no room", shed=poured["shed"]) as noted:
        noted["shed_ms"] = poured["shed_ms"]
    if DEEP:
        assert poured["shed_ms"]["p99"] < MAX_SHED_MS
    checked(path)
    recorded = requests_of(events(path))
    assert not recorded.keys() & set(poured["shed_ids"])
