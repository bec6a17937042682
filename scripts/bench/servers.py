"""The servers that are measured: their start, their end and their processor time."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from scripts.bench import machine

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 60.0

_ADDRESS: Final = re.compile(r"serving on (127\.0\.0\.1:\d+)")
_ECHO: Final = ("-m", "scripts.bench.echo")
_INVENTORY: Final = ("-m", "inventory_grpc", "serve")


class ServerFailed(Exception):
    """A server did not start, or did not end as it should; the message has its last words."""


@dataclass(frozen=True)
class Server:
    """A server at work."""

    address: str
    process_ids: Sequence[int]
    started: float
    """When its first process was begun, on the clock of `time.perf_counter`."""

    def cpu_seconds(self) -> float | None:
        """Return the processor time it has used so far, where the system tells."""
        return machine.cpu_seconds(*self.process_ids)

    def resident_mb(self) -> float | None:
        return machine.resident_mb(*self.process_ids)


@contextmanager
def echo_server(log: Path) -> Iterator[Server]:
    """Serve the ceilings."""
    with _serving([*_ECHO, "0"], log) as server:
        yield server


@contextmanager
def two_echo_servers(log: Path) -> Iterator[Server]:
    """Serve the ceilings on one port by two processes, between which connections are shared."""
    with echo_server(log) as one:
        _, _, port = one.address.rpartition(":")
        with _serving([*_ECHO, port], log.with_suffix(".second.log")) as other:
            yield replace(one, process_ids=(*one.process_ids, *other.process_ids))


@contextmanager
def inventory_server(database: Path, *options: str) -> Iterator[Server]:
    """Serve the inventory as `inventory-grpc serve` does, with a line in the log for each call."""
    command = [*_INVENTORY, "--listen", "127.0.0.1:0", "--log-format", "json"]
    command += ["--database", str(database), *options]
    with _serving(command, database.with_suffix(".log")) as server:
        yield server


@contextmanager
def _serving(arguments: Sequence[str], log: Path) -> Iterator[Server]:
    started = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, *arguments], stdout=output, stderr=output)
    try:
        yield Server(_address(process, log), (process.pid,), started)
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
        time.sleep(0.01)
    last = log.read_text("utf-8", "replace").splitlines()[-20:]
    raise ServerFailed("\n".join(["the server did not start:", *last]))
