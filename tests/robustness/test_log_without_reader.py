"""A full log pipe blocks neither calls, nor health, nor the exit of a process."""

import asyncio
import fcntl
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import Final

import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest

from inventory_grpc_protos.v1.queries_pb2 import ListStockRequest
from tests.support.caller import SECONDS, calling
from tests.support.opened import opened
from tests.support.server_process import _SERVING, COMMAND, ENVIRONMENT, START_SECONDS
from tests.support.world import add

PIPE: Final = 4_096
CALLS: Final = 300
"""Their lines are many times what the pipe holds."""


def _serving_on(reader: int) -> str:
    """Read the log until it says where the server serves; return that."""
    read = b""
    while not (found := _SERVING.search(read.decode())):
        more = os.read(reader, PIPE)
        assert more, read
        read += more
    return found[1]


@pytest.fixture
def reader(path: Path) -> Iterator[tuple[int, Popen[bytes]]]:
    """Start workers; yield the end of the pipe that its log goes to, and their supervisor."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE)
    where = ("--database", str(path), "--listen", "127.0.0.1:0", "--workers", "2")
    with Popen([*COMMAND, "serve", *where], stderr=writer, env=ENVIRONMENT) as server:
        os.close(writer)
        yield reader, server
        server.kill()
        os.close(reader)


async def _fill(path: Path) -> None:
    async with opened(path) as one:
        await one.answers(*(one.ask(add(1)) for _ in range(100)))


def test_ctrl_c_ends_a_command_whose_events_nobody_reads(path: Path) -> None:
    asyncio.run(_fill(path))
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE)
    command = [*COMMAND, "events", "--follow", "--database", str(path)]
    with Popen(command, stdout=writer, env=ENVIRONMENT) as process:
        os.close(writer)
        assert select.select([reader], [], [], SECONDS)[0], "it has begun to write"
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == -signal.SIGINT
    os.close(reader)


async def test_a_log_without_a_reader_blocks_nothing(reader: tuple[int, Popen[bytes]]) -> None:
    log, server = reader
    async with asyncio.timeout(START_SECONDS):
        address = await asyncio.to_thread(_serving_on, log)
    async with calling(address) as caller:
        for _ in range(CALLS):
            await caller.queries.ListStock(ListStockRequest(), timeout=SECONDS)
        await caller.health.Check(HealthCheckRequest(), timeout=SECONDS)
    server.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(server.wait, SECONDS) == 0
