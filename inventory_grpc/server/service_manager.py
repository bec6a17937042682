"""Tells systemd that the server serves, drains and is alive, as `sd_notify(3)` says."""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Self

from inventory_grpc.application.background import repeat

_log = logging.getLogger(__name__)

READY: Final = b"READY=1"
STOPPING: Final = b"STOPPING=1"
ALIVE: Final = b"WATCHDOG=1"

BEATS_PER_WATCHDOG: Final = 3
"""So many reports fall into the time after which systemd kills a process that is silent."""

RETRY_SECONDS: Final = 0.1
MAX_TRIES: Final = 600
"""A state is reported for a minute to a manager whose queue is full, as while systemd reloads."""

FULL: Final = {errno.EAGAIN, errno.ENOBUFS}


@dataclass
class ServiceManager:
    """The service manager that started this process; without an address, nothing is sent."""

    address: str = ""
    watchdog_seconds: float = 0.0
    """After this long without a report that it is alive, the process is killed; 0: never."""
    _retry: asyncio.TimerHandle | None = field(default=None, init=False, compare=False)

    @classmethod
    def taken_from(cls, environ: MutableMapping[str, str]) -> Self:
        """Read the variables of systemd and remove them, so that no worker reports, too."""
        address = environ.pop("NOTIFY_SOCKET", "")
        micros = environ.pop("WATCHDOG_USEC", "")
        process = environ.pop("WATCHDOG_PID", "") or str(os.getpid())
        is_watched = process == str(os.getpid()) and micros.isdecimal()
        return cls(address, int(micros) / 1e6 if is_watched else 0.0)

    def report_serving(self) -> None:
        self._report(READY)

    def report_draining(self) -> None:
        self._report(STOPPING)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Report until the exit that the event loop runs."""
        every = self.watchdog_seconds / BEATS_PER_WATCHDOG
        beating = asyncio.create_task(repeat("the watchdog", self._beat, every)) if every else None
        try:
            yield
        finally:
            if beating:
                beating.cancel()

    async def _beat(self) -> None:
        self._send(ALIVE)  # if it is lost, the next one comes in time

    def _report(self, state: bytes, tries: int = MAX_TRIES) -> None:
        """Report a *state*, which replaces one that has not been reported yet.

        systemd waits for READY=1, so it is sent again while the queue is full.
        """
        if self._retry:
            self._retry.cancel()
            self._retry = None
        if not self._send(state, may_wait=tries > 1):
            later = asyncio.get_running_loop().call_later
            self._retry = later(RETRY_SECONDS, self._report, state, tries - 1)

    def _send(self, message: bytes, *, may_wait: bool = False) -> bool:
        """Send *message*; return False if the queue is full and it *may_wait*."""
        if not self.address:
            return True
        # a name that begins with @ is that of an abstract socket
        name = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                # a service manager that hangs must not stop the event loop
                sender.setblocking(False)  # noqa: FBT003  the standard library's signature
                sender.sendto(message, name)
        except OSError as error:
            if may_wait and error.errno in FULL:
                return False
            _log.warning(
                "the service manager at %s was not notified of %s: %s",
                self.address,
                message.decode(),
                error,
            )
        return True


NOT_MANAGED: Final = ServiceManager()
