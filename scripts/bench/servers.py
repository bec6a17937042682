"""How are the servers that are measured started, and what do they cost?"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 30.0

_ADDRESS: Final = re.compile(r"serving on (127\.0\.0\.1:\d+)")


class ServerFailed(Exception):
    """A server did not start, or did not end as it should; the message has its last words."""


@dataclass(frozen=True)
class Server:
    """A server at work."""

    address: str
    process_id: int

    def cpu_seconds(self) -> float | None:
        """Return the processor time it has used so far, where the system tells."""
        try:
            stat = Path(f"/proc/{self.process_id}/stat").read_text("ascii")
        except FileNotFoundError:
            return None
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def echo_server(folder: Path) -> Iterator[Server]:
    """Serve the ceilings."""
    with _serving(["-m", "scripts.bench.echo"], folder / "echo.log") as server:
        yield server


@contextmanager
def inventory_server(folder: Path) -> Iterator[Server]:
    """Serve the inventory as `inventory-grpc serve` does, with a line in the log for each call."""
    command = ["-m", "inventory_grpc", "serve", "--listen", "127.0.0.1:0", "--log-format", "json"]
    command += ["--database", str(folder / "inventory.db")]
    with _serving(command, folder / "inventory.log") as server:
        yield server


@contextmanager
def _serving(arguments: Sequence[str], log: Path) -> Iterator[Server]:
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, *arguments], stdout=output, stderr=output)
    try:
        yield Server(_address(process, log), process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until the server says where it is."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if found := _ADDRESS.search(log.read_text("utf-8", "replace")):
            return found[1]
        time.sleep(0.02)
    last = log.read_text("utf-8", "replace").splitlines()[-20:]
    raise ServerFailed("\n".join(["the server did not start:", *last]))
