"""A PostgreSQL of the tests ends with the run that has started it, also when that is killed."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support import postgres
from tests.support.server_process import ENVIRONMENT, ROOT
from tests.support.waiting import eventually

RUN: Final = """
from tests.support import postgres
from tests.support.postgres_server import own_server
with own_server() as server:
    for url in (server.url, postgres.url()):
        print(url, flush=True)
    input()
"""
SECONDS: Final = 30.0


@pytest.mark.parametrize("end", [signal.SIGKILL, None], ids=str)
async def test_servers_end_with_a_run_however_that_ends(end: signal.Signals | None) -> None:
    if not postgres.programs():
        pytest.skip(postgres.MISSING)
    environment = {**ENVIRONMENT}
    environment.pop(postgres.SERVER, None)
    pipe = asyncio.subprocess.PIPE
    run = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, stderr=pipe
    )
    assert run.stdin
    assert run.stdout
    async with asyncio.timeout(SECONDS):
        lines = [(await run.stdout.readline()).decode().strip() for _ in range(2)]
    folders = [Path(line.partition("host=")[2]) for line in lines]
    servers = [_first_process(folder) for folder in folders]
    if end is None:
        run.stdin.write(b"\n")
    else:
        run.send_signal(end)
    await run.communicate()
    await eventually(lambda: not any(Path(f"/proc/{server}").exists() for server in servers))
    await eventually(lambda: not any(folder.exists() for folder in folders))


def _first_process(folder: Path) -> int:
    return int((folder / "data/postmaster.pid").read_text("ascii").split()[0])
