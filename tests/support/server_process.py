"""The real server in a process of its own, which can be killed."""

import asyncio
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inventory_grpc.application import failpoints
from tests.support import loops

ROOT: Final = Path(__file__).parents[2]
ENVIRONMENT: Final[Mapping[str, str]] = {
    **{name: value for name, value in os.environ.items() if not name.startswith("INVENTORY_")},
    **loops.of_servers(),
    "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'generated'}",
}
COMMAND: Final = (sys.executable, "-m", "inventory_grpc")
START_SECONDS: Final = 60.0
"""Four workers that start at once on a busy machine have taken more than 20."""

STOP_SECONDS: Final = 20.0

_SERVING: Final = re.compile(r"serving on (\S+) from")


@dataclass(frozen=True)
class ServerProcess:
    """A server that was started; its log goes into a file."""

    process: subprocess.Popen[bytes]
    log_file: Path

    @classmethod
    def begin(
        cls,
        database: str | Path,
        log_file: Path,
        *options: str,
        fail_points: str = "",
        environment: Mapping[str, str] | None = None,
        under: Sequence[str] = (),
    ) -> "ServerProcess":
        """Start it, and do not wait.

        It has fail points armed, more in its environment, and runs under another program,
        where these are named.
        """
        arguments = [*under, *COMMAND, "serve", "--database", str(database), "--log-format", "json"]
        if "--listen" not in options:
            arguments += ["--listen", "127.0.0.1:0"]
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                [*arguments, *options],
                stderr=log,
                env={**ENVIRONMENT, failpoints.VARIABLE: fail_points, **(environment or {})},
            )
        return cls(process, log_file)

    async def address(self) -> str:
        """Wait until it serves; return where."""
        async with asyncio.timeout(START_SECONDS):
            while not (said := _SERVING.search(self.log_file.read_text(encoding="utf-8"))):
                assert self.process.poll() is None, self.log_file.read_text(encoding="utf-8")
                await asyncio.sleep(0.01)
        return said[1]

    def log(self) -> list[dict[str, Any]]:
        """Return its log so far, every line of which must be JSON."""
        return [json.loads(line) for line in self.log_file.read_text("utf-8").splitlines()]

    def has_passed(self, point: failpoints.FailPoint) -> bool:
        """Tell whether it has come to a fail point that was armed."""
        return f"fail point {point} was passed" in self.log_file.read_text(encoding="utf-8")

    def resident_bytes(self) -> int:
        """Return how much memory it has; only Linux tells."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text("ascii").split()[1]
        return int(pages) * resource.getpagesize()

    def processor_ticks(self) -> int:
        """Return for how long it has worked; only Linux tells."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2]
        user, system = fields.split()[11:13]
        return int(user) + int(system)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it as nothing can be prepared for."""
        self.process.kill()
        self.process.wait()

    async def ended(self) -> int:
        """Wait until it has ended; return its exit code."""
        return await asyncio.to_thread(self.process.wait, STOP_SECONDS)


@asynccontextmanager
async def server_process(
    database: str | Path,
    log_file: Path,
    *options: str,
    fail_points: str = "",
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[ServerProcess]:
    """Run a server on *database*; on leaving, see that it is gone."""
    server = ServerProcess.begin(
        database, log_file, *options, fail_points=fail_points, environment=environment
    )
    try:
        await server.address()
        yield server
    finally:
        server.kill()


def command_line(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run `inventory-grpc` with *arguments* to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        check=False,
        env={**ENVIRONMENT, **(environment or {})},
        text=True,
        timeout=60,
    )
