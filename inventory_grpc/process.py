"""The signals that end a process that serves, and the link of a worker to its supervisor."""

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
"""What a worker says first, unless it says why it cannot."""

BEAT: Final = b"\0"
"""What a worker says again and again while it serves, from its event loop."""

BEAT_SECONDS: Final = 0.5

MAX_REASON: Final = 2_000

_STDIN: Final = 0


def ending_signals() -> Sequence[signal.Signals]:
    """Return the signals that end a server; the first one does it gently."""
    # under nohup, a terminal that closes is nothing to us
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGINT, *([] if ignored else [signal.SIGHUP])]


@dataclass(frozen=True)
class Link:
    """A worker's end of a socket to its supervisor, which is its standard input.

    The worker says that it serves, or why it could not go on, and beats. The supervisor says
    nothing: what counts is that it is there. When it ends the connection, or is gone however that
    happened, the worker drains. No signal is needed, which others may send at the same
    time, and two of which would mean to leave at once.
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
        """Say that the event loop goes round."""
        self._tell(BEAT)

    def leaves(self) -> None:
        """Say that all is done: no more beats are to be expected, only the end of the process."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def on_end(self, stop: Callable[[], None]) -> None:
        """Call *stop* once the supervisor wants no more of us, or is gone."""
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(self.socket)
            stop()

        self.socket.setblocking(False)  # noqa: FBT003  a method of theirs
        loop.add_reader(self.socket, ended)

    def _tell(self, what: bytes) -> None:
        with suppress(OSError):  # it is gone, which we hear otherwise
            self.socket.sendall(what)
