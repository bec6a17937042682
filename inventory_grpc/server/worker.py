"""A worker process, seen from its supervisor."""

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
"""With `-P` the working directory is no place of modules, as it is none to the supervisor."""

LOOK_SECONDS: Final = 0.01
"""Between two looks at whether a process that has closed everything is gone."""


_AT_DISK: Final = "D"
_STATES: Final = {"T": "is stopped", "t": "is held by a debugger", _AT_DISK: "waits for the disk"}
"""What `/proc` says of a process that does nothing."""


class End(NamedTuple):
    """How a worker ended."""

    how: str
    reason: str
    """The reason that it gave; empty where it gave none."""

    is_orderly: bool

    def __str__(self) -> str:
        return f"{self.how}: {self.reason}" if self.reason else self.how


@dataclass
class Worker:
    """A process that serves; its standard input is a socket of ours, see `Link`."""

    _process: subprocess.Popen[bytes]
    _socket: socket.socket
    _said: bytes = b""
    _missed: int = 0
    is_leaving: bool = False
    """Whether it has said that it is done, or has closed everything."""

    @classmethod
    def start(cls, number: int, settings: Settings) -> Self:
        """Start the worker of this *number*, a new process that takes nothing from this one.

        Raises:
            OSError: the system has no room for it.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: S603  this program itself
                    [*_COMMAND, str(number)],
                    stdin=theirs.fileno(),
                    env={**os.environ, **to_environment(settings)},
                    process_group=0,  # what a terminal sends is for the supervisor alone
                )
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)  # noqa: FBT003  a method of theirs
        return cls(process, ours)

    async def ended(self, serves: Callable[[], None]) -> End:
        """Wait until it has ended; call *serves* when it does."""
        loop = asyncio.get_running_loop()
        with self._socket, suppress(OSError):
            while more := await loop.sock_recv(self._socket, MAX_REASON):
                had_served = self._serves
                self._hear(more)
                if self._serves and not had_served:
                    serves()
        self.is_leaving = True
        # what it held is closed, and so it is all but gone; a thread to wait for it may not be had
        while (code := self._process.poll()) is None:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(LOOK_SECONDS)
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        never_began = code == -signal.SIGTERM and not self._serves
        reason = self._said.removeprefix(SERVES).decode(errors="replace")
        return End(how, reason, is_orderly=code == 0 or never_began)

    def _hear(self, more: bytes) -> None:
        self._missed = 0
        self._said = (self._said + more.replace(BEAT, b""))[: len(SERVES) + MAX_REASON]

    def miss(self) -> int:
        """Count one more time without a beat; return how many there were in a row.

        One that does not serve yet, or has ended, is not expected to beat.
        """
        if self._serves and self._process.returncode is None:
            self._missed += 1
        else:
            self._missed = 0
        return self._missed

    def __str__(self) -> str:
        """Return what an operator finds it by, and what it does."""
        return f"process {self._process.pid}, which {_STATES.get(self._state(), 'does not answer')}"

    def waits_for_disk(self) -> bool:
        """Tell whether its event loop stands still because the system does not return to it."""
        return self._state() == _AT_DISK

    def _state(self) -> str:
        """Return what the system says of its first thread, which runs the loop."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text("utf-8")
            return stat.rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return ""

    def drain(self) -> None:
        with suppress(OSError):  # it has just ended
            self._socket.shutdown(socket.SHUT_WR)
        if not self._serves:
            self._process.terminate()  # it may look up in a while only, and has taken nothing

    def kill(self) -> None:
        self._process.kill()

    @property
    def _serves(self) -> bool:
        return self._said.startswith(SERVES)
