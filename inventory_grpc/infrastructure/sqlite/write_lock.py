"""The write lock of the file: taken for each transaction, and watched while others hold it."""

import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Never

import apsw

from inventory_grpc.application.background import repeat

_log = logging.getLogger(__name__)

TOLD_SECONDS: Final = 2.0
"""Who waits for longer says so: a process that works gives the lock back in milliseconds."""

LOOK_SECONDS: Final = 0.25
"""Between two looks at whether that is so."""

_LOCKS: Final = Path("/proc/locks")
_WRITE_LOCK_BYTE: Final = 120
"""Of the file beside the WAL, which SQLite locks for the one who writes (`WAL_WRITE_LOCK`)."""


class WriteLock:
    """The lock as this process sees it.

    It is taken on the writer's thread; how long that takes is asked on the event loop.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._since: float | None = None
        self._passed_on = 0.0
        self._handlers: list[Callable[[bool], None]] = []
        self.holds_up = False
        """Whether commands wait, as far as it was told."""

    def begin(self, connection: apsw.Connection) -> None:
        """Begin a transaction that writes, when nobody else does.

        That it was given up does not end the wait: whoever held it still does, for all we know.
        """
        if self._since is None:
            self._since = time.monotonic()
        try:
            connection.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            raise
        except BaseException:
            self._since = None
            raise
        self._since = None

    def passed_on(self) -> None:
        """Note that another process has recorded something, and so given the lock back.

        Where several write without a pause, one may wait for long, but for none of them alone.
        """
        self._passed_on = time.monotonic()

    def waited(self) -> int:
        """Return for how many microseconds commands wait; 0 unless that was told."""
        return round(self._seconds() * 1e6) if self.holds_up else 0

    def _seconds(self) -> float:
        """Return for how long one process has been waited for, at most."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - max(since, self._passed_on)

    def on_change(self, handler: Callable[[bool], None]) -> None:
        """Call *handler* when commands begin to wait, and when they go on."""
        self._handlers.append(handler)

    async def run(self) -> Never:
        """Look at the lock, for ever."""

        async def look() -> None:
            self.look()

        await repeat("the look at the write lock", look, LOOK_SECONDS)

    def look(self) -> None:
        """Tell if it has been waited for too long, or not any more."""
        seconds = self._seconds()
        if (seconds >= TOLD_SECONDS) == self.holds_up:
            return
        self.holds_up = not self.holds_up
        if self.holds_up:
            holder = holder_of(self._database)
            _log.error(
                "commands wait for another process%s that has held the write lock of %s since %s",
                f" ({holder})" if holder else "",
                self._database,
                (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="seconds"),
            )
        else:
            _log.warning("the write lock of %s was given back: commands go on", self._database)
        for handler in self._handlers:
            handler(self.holds_up)


def holder_of(database: Path) -> int:
    """Return the id of the process that holds the write lock; 0 where the system does not tell."""
    try:
        beside = Path(f"{database}-shm").stat()
        locks = _LOCKS.read_text("ascii")
    except OSError:
        return 0
    device = f"{os.major(beside.st_dev):02x}:{os.minor(beside.st_dev):02x}:{beside.st_ino}"
    for line in locks.splitlines():
        # such as `3: POSIX  ADVISORY  WRITE 4711 fe:00:131 120 120`
        match line.split():
            case [_, "POSIX", _, "WRITE", process, where, first, last] if where == device:
                if int(first) <= _WRITE_LOCK_BYTE <= (int(last) if last.isdigit() else int(first)):
                    return max(int(process), 0)
    return 0
