"""A worker process, as its supervisor starts, watches and stops it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

from inventory_grpc.server.environment import to_environment
from inventory_grpc.server.worker_link import BEAT, MAX_REASON, SERVES
from inventory_grpc.settings import Settings

_COMMAND: Final = (sys.executable, "-P", "-m", "inventory_grpc", "serve", "--worker")
"""With `-P`, modules are not imported from the working directory, as in the supervisor."""

POLL_SECONDS: Final = 0.01
"""The interval at which a process that has closed its socket is polled for its exit."""

_AT_DISK: Final = "D"
_STATES: Final = {"T": "is stopped", "t": "is held by a debugger", _AT_DISK: "waits for the disk"}
"""States of a blocked process in `/proc`."""


class End(NamedTuple):
    how: str
    reason: str
    """The reason that the worker reported, if any."""
    is_orderly: bool

    def __str__(self) -> str:
        return f"{self.how}: {self.reason}" if self.reason else self.how


@dataclass
class Worker:
    """A worker process; its standard input is a socket to this process, see `Link`."""

    _process: subprocess.Popen[bytes]
    _socket: socket.socket
    _received: bytes = b""
    _missed: int = 0
    is_leaving: bool = False
    """Whether it has ended its heartbeats or closed the socket."""

    @classmethod
    def start(cls, number: int, settings: Settings) -> Self:
        """Start worker *number* as a new process that inherits no descriptors.

        Raises:
            OSError: the system cannot start a process.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: S603  this program itself
                    [*_COMMAND, str(number)],
                    stdin=theirs.fileno(),
                    env={**os.environ, **to_environment(settings)},
                    process_group=0,  # signals of a terminal reach the supervisor only
                )
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)  # noqa: FBT003  the standard library's signature
        return cls(process, ours)

    async def ended(self, serves: Callable[[], None]) -> End:
        """Wait until it has ended; call *serves* when it begins to serve."""
        loop = asyncio.get_running_loop()
        with self._socket, suppress(OSError):
            while more := await loop.sock_recv(self._socket, MAX_REASON):
                had_served = self._serves
                self._receive(more)
                if self._serves and not had_served:
                    serves()
        self.is_leaving = True
        # it exits soon after it closes the socket; no thread is needed, which may not be available
        while (code := self._process.poll()) is None:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(POLL_SECONDS)
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        never_began = code == -signal.SIGTERM and not self._serves
        reason = self._received.removeprefix(SERVES).decode(errors="replace")
        return End(how, reason, is_orderly=code == 0 or never_began)

    def _receive(self, more: bytes) -> None:
        self._missed = 0
        self._received = (self._received + more.replace(BEAT, b""))[: len(SERVES) + MAX_REASON]

    def count_missed_beat(self) -> int:
        """Count a missed heartbeat; return the number of consecutive ones.

        A worker that does not serve yet, or has ended, sends no heartbeats.
        """
        if self._serves and self._process.returncode is None:
            self._missed += 1
        else:
            self._missed = 0
        return self._missed

    def __str__(self) -> str:
        return f"process {self._process.pid}, which {_STATES.get(self._state(), 'does not answer')}"

    def waits_for_disk(self) -> bool:
        """Return whether its event loop is blocked in a system call on the disk."""
        return self._state() == _AT_DISK

    def _state(self) -> str:
        """Return the system's state of its main thread, which runs the event loop."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text("utf-8")
            return stat.rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return ""

    def drain(self) -> None:
        with suppress(OSError):  # it has just ended
            self._socket.shutdown(socket.SHUT_WR)
        if not self._serves:
            self._process.terminate()  # it may be blocked in its start, and has accepted no call

    def kill(self) -> None:
        self._process.kill()

    @property
    def _serves(self) -> bool:
        return self._received.startswith(SERVES)
