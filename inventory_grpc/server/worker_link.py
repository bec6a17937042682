"""The socket between a worker and its supervisor, and the signals that stop both."""

import asyncio
import signal
import socket
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import fstat
from typing import Final

from inventory_grpc.bad_setting import BadSetting

OVERTIME_SECONDS: Final = 5.0
"""The time for closing after `drain_seconds`; then the process exits regardless."""

SERVES: Final = b"serves\n"
"""A worker's first message; if it cannot serve, it sends the reason instead."""

BEAT: Final = b"\0"
"""The heartbeat that a worker's event loop sends while it serves."""

BEAT_SECONDS: Final = 0.5

MAX_REASON: Final = 2_000

_STDIN: Final = 0


def ending_signals() -> Sequence[signal.Signals]:
    """Return the signals that stop a server; the first one drains it."""
    # under nohup, SIGHUP stays ignored
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGINT, *([] if ignored else [signal.SIGHUP])]


@dataclass(frozen=True)
class Link:
    """A worker's end of the socket to its supervisor, which is its standard input.

    The worker reports that it serves, or why it failed, and sends heartbeats. The supervisor
    sends nothing. When it closes the socket or ends for any reason, the worker drains. A signal
    cannot do this: a service manager may send one too, and two mean to exit at once.
    """

    worker: int
    socket: socket.socket

    @classmethod
    def of_worker(cls, worker: int) -> "Link":
        if not stat.S_ISSOCK(fstat(_STDIN).st_mode):
            raise BadSetting("--worker: is only for workers that a supervisor starts")
        return cls(worker, socket.socket(fileno=_STDIN))

    def report_serving(self) -> None:
        self._send(SERVES)

    def report_failure(self, reason: str) -> None:
        self._send(reason[:MAX_REASON].encode(errors="backslashreplace"))

    async def beat(self) -> None:
        """Send a heartbeat, which shows that the event loop runs."""
        self._send(BEAT)

    def end_beats(self) -> None:
        """Report that no heartbeat follows, because the process exits."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def on_end(self, stop: Callable[[], None]) -> None:
        """Call *stop* when the supervisor closes the socket or has ended."""
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(self.socket)
            stop()

        self.socket.setblocking(False)  # noqa: FBT003  the standard library's signature
        loop.add_reader(self.socket, ended)

    def _send(self, message: bytes) -> None:
        with suppress(OSError):  # the supervisor has ended, which `on_end` detects
            self.socket.sendall(message)
