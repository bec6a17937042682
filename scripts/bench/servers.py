"""The measured servers: start, stop and processor time."""

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
from scripts.bench.figures import BenchmarkFailed

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 60.0

_ADDRESS: Final = re.compile(r"serving on (127\.0\.0\.1:\d+)")
_ECHO: Final = ("-m", "scripts.bench.echo")
_INVENTORY: Final = ("-m", "inventory_grpc", "serve")


class ServerFailed(BenchmarkFailed):
    """A server did not start or stop properly; the message has the end of its log."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    address: str
    process_ids: Sequence[int]
    started: float
    """The start of its first process, on the clock of `time.perf_counter`."""
    more_addresses: Sequence[str] = ()
    """Those of other servers of the same log, which get as many calls."""

    @property
    def addresses(self) -> Sequence[str]:
        return self.address, *self.more_addresses

    def cpu_seconds(self) -> float | None:
        """Return the processor time used so far, if the system reports it."""
        return machine.cpu_seconds(*self.process_ids)

    def resident_mb(self) -> float | None:
        return machine.resident_mb(*self.process_ids)


@contextmanager
def echo_server(log: Path) -> Iterator[Server]:
    """Run the echo server."""
    with _started([*_ECHO, "0"], log) as server:
        yield server


@contextmanager
def two_echo_servers(log: Path) -> Iterator[Server]:
    """Run two echo servers on one port, which share its connections."""
    with echo_server(log) as one:
        _, _, port = one.address.rpartition(":")
        with _started([*_ECHO, port], log.with_suffix(".second.log")) as other:
            yield replace(one, process_ids=(*one.process_ids, *other.process_ids))


@contextmanager
def inventory_server(database: Path, *options: str) -> Iterator[Server]:
    """Run the service on a file, see `serving`."""
    with serving(str(database), database.with_suffix(".log"), *options) as server:
        yield server


@contextmanager
def serving(database: str, log: Path, *options: str) -> Iterator[Server]:
    """Run the service as `inventory-grpc serve` does, with a log line for each call."""
    command = [*_INVENTORY, "--listen", "127.0.0.1:0", "--log-format", "json"]
    command += ["--event-loop", "asyncio"]  # as the echo server, whatever is installed
    command += ["--database", database, *options]
    with _started(command, log, status=0) as server:
        yield server


@contextmanager
def _started(
    arguments: Sequence[str], log: Path, status: int = -signal.SIGTERM
) -> Iterator[Server]:
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
    if process.returncode != status:
        raise ServerFailed(f"the server ended with {process.returncode}:\n{_end_of(log)}")


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait for the log line with the address."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if found := _ADDRESS.search(log.read_text("utf-8", "replace")):
            return found[1]
        time.sleep(0.01)
    raise ServerFailed(f"the server did not start:\n{_end_of(log)}")


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-20:])
