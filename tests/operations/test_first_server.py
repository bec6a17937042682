"""The walk from an empty machine to a server for others is done as it is written."""

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.support.documents import text_of
from tests.support.server_process import ENVIRONMENT, ROOT
from tests.support.tools import find_tool
from tests.support.waiting import eventually

DOCUMENT: Final = ROOT / "scripts/deploy/first/README.md"
WRITTEN_PORTS: Final = ("50051", "9464")
PROGRAMS: Final = ("openssl", "curl", "grpcurl")
STOP_SECONDS: Final = 30.0

_STEP: Final = re.compile(
    r"^<!-- walk(?:: (?P<how>[^>]*?))? -->\n(?:```sh\n(?P<code>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)


class Step(NamedTuple):
    """One step of the walk: what is run, and what becomes of it."""

    how: str
    code: str


def _free_ports(count: int) -> list[str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [str(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _steps(ports: Mapping[str, str]) -> Iterator[Step]:
    for found in _STEP.finditer(text_of(DOCUMENT)):
        code = found["code"] or ""
        for written, free in ports.items():
            code = code.replace(f":{written}", f":{free}")
        yield Step(found["how"] or "", code)


class Walk:
    """A folder in which the steps are done, and the server of the walk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "server.log"
        self._serve = ""
        self._server: subprocess.Popen[bytes] | None = None
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**ENVIRONMENT, "PATH": path}

    async def do(self, step: Step) -> None:
        if step.how.startswith("serve"):
            self._serve = step.code or self._serve
            await self._start()
            return
        if step.how == "stop":
            await self.stop()
        done = await asyncio.to_thread(self._run, step.code)
        told = done.stdout + done.stderr
        words = step.how.partition(" with ")[2]
        assert (done.returncode != 0) == step.how.startswith("refused"), f"{step.code}\n{told}"
        assert words in told

    def _run(self, code: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["sh", "-eu", "-c", code],
            capture_output=True,
            check=False,
            cwd=self._folder,
            env=self._environment,
            text=True,
        )

    async def _start(self) -> None:
        with self._log.open("wb") as log:
            self._server = subprocess.Popen(  # noqa: ASYNC220  it runs beside the walk
                ["sh", "-c", f"exec {self._serve}"],
                cwd=self._folder,
                env=self._environment,
                stderr=log,
            )
        await eventually(lambda: "serving on" in self._log.read_text("utf-8"))

    async def stop(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            server.terminate()
            assert await asyncio.to_thread(server.wait, STOP_SECONDS) == 0


async def test_the_walk_is_done_as_it_is_written(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client", reason="prometheus-client is not installed")
    for program in PROGRAMS:
        find_tool(program)
    steps = list(_steps(dict(zip(WRITTEN_PORTS, _free_ports(2), strict=True))))
    assert len(steps) > 10
    walk = Walk(tmp_path)
    try:
        for step in steps:
            await walk.do(step)
    finally:
        await walk.stop()
