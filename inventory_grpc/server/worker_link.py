"""The socket between a worker and its supervisor, and the signals that end both."""

import asyncio
import signal
import socket
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import fstat
from typing import Final

from inventory_grpc.settings import BadSetting

OVERTIME_SECONDS: Final = 5.0
"""What closing may take beyond `drain_seconds`, before the process leaves anyhow."""

SERVES: Final = b"serves\n"
"""A worker's first message, unless it gives the reason why it cannot serve."""

BEAT: Final = b"\0"
"""The heartbeat that a worker's event loop sends while it serves."""

BEAT_SECONDS: Final = 0.5

MAX_REASON: Final = 2_000

_STDIN: Final = 0


def ending_signals() -> Sequence[signal.Signals]:
    """Return the signals that end a server; the first one drains it."""
    # under nohup, a terminal may close
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGINT, *([] if ignored else [signal.SIGHUP])]


@dataclass(frozen=True)
class Link:
    """A worker's end of a socket to its supervisor, which is its standard input.

    The worker reports that it serves, or why it failed, and sends heartbeats. The supervisor
    sends nothing. When it closes the socket, or has ended for any reason, the worker drains. A
    signal would not do: others may send one at the same time, and two mean to exit at once.
    """

    worker: int
    socket: socket.socket

    @classmethod
    def of_worker(cls, worker: int) -> "Link":
        if not stat.S_ISSOCK(fstat(_STDIN).st_mode):
            raise BadSetting("--worker: is what a supervisor says to who it starts")
        return cls(worker, socket.socket(fileno=_STDIN))

    def serves(self) -> None:
        self._tell(SERVES)

    def failed(self, reason: str) -> None:
        self._tell(reason[:MAX_REASON].encode(errors="backslashreplace"))

    async def beat(self) -> None:
        """Report that the event loop runs."""
        self._tell(BEAT)

    def leaves(self) -> None:
        """Report that no more heartbeats follow, only the end of the process."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def on_end(self, stop: Callable[[], None]) -> None:
        """Call *stop* once the supervisor closes the socket, or is gone."""
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(self.socket)
            stop()

        self.socket.setblocking(False)  # noqa: FBT003  a method of theirs
        loop.add_reader(self.socket, ended)

    def _tell(self, what: bytes) -> None:
        with suppress(OSError):  # it is gone, which `on_end` notices
            self.socket.sendall(what)
