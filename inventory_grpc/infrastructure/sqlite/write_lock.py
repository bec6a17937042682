"""The write lock of the file: taken for each transaction, and reported if it blocks for long."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Never

import apsw

from inventory_grpc.application.background import repeat
from inventory_grpc.infrastructure.sqlite.companions import companion
from inventory_grpc.infrastructure.sqlite.lock_holders import locks_on

_log = logging.getLogger(__name__)

REPORT_SECONDS: Final = 2.0
"""Longer waits are logged: a healthy process releases the lock within milliseconds."""

CHECK_SECONDS: Final = 0.25
"""The interval at which the wait is checked."""

_WRITE_LOCK_BYTE: Final = 120
"""The byte of the `-shm` file that SQLite locks for the writer (`WAL_WRITE_LOCK`)."""


class WriteLock:
    """The lock as this process sees it.

    The writer's thread takes it; the event loop checks how long that takes.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._since: float | None = None
        self._last_commit_elsewhere = 0.0
        self._handlers: list[Callable[[bool], None]] = []
        self.blocks_commands = False
        """Whether commands have waited for too long and that was logged."""

    def begin(self, connection: apsw.Connection) -> None:
        """Begin a write transaction, waiting for the lock.

        A timeout does not reset the wait time, because the other process may still hold the lock.
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

    def other_process_committed(self) -> None:
        """Note that another process has committed, and so released the lock.

        With several busy writers a wait may be long although no single process blocks it.
        """
        self._last_commit_elsewhere = time.monotonic()

    def waited(self) -> int:
        """Return for how many microseconds commands have waited; 0 unless that was logged."""
        return round(self._seconds() * 1e6) if self.blocks_commands else 0

    def _seconds(self) -> float:
        """Return the longest time that a single process can have held the lock."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - max(since, self._last_commit_elsewhere)

    def on_change(self, handler: Callable[[bool], None]) -> None:
        """Call *handler* when commands are blocked for too long, and when they continue."""
        self._handlers.append(handler)

    async def run(self) -> Never:
        async def check() -> None:
            self.check()

        await repeat("the check at the write lock", check, CHECK_SECONDS)

    def check(self) -> None:
        """Log and notify the handlers when a long wait begins or ends."""
        seconds = self._seconds()
        if (seconds >= REPORT_SECONDS) == self.blocks_commands:
            return
        self.blocks_commands = not self.blocks_commands
        if self.blocks_commands:
            holder = holder_of(self._database)
            _log.error(
                "commands wait for another process%s that has held the write lock of %s since %s",
                f" ({holder})" if holder else "",
                self._database,
                (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="seconds"),
            )
        else:
            _log.warning("the write lock of %s was released: commands continue", self._database)
        for handler in self._handlers:
            handler(self.blocks_commands)


def holder_of(database: Path) -> int:
    """Return the id of the process that holds the write lock; 0 if the system does not say."""
    for lock in locks_on(companion(database, "-shm")):
        is_of_writer = lock.first <= _WRITE_LOCK_BYTE <= lock.last
        if (lock.kind, lock.access) == ("POSIX", "WRITE") and is_of_writer:
            return lock.process
    return 0
