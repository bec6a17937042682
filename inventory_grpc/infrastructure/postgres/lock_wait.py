"""The wait for the lock of the log, which other instances hold for a batch each."""

import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Never

from inventory_grpc.application.background import repeat
from inventory_grpc.infrastructure.postgres.wire import Failed

_log = logging.getLogger(__name__)

REPORT_SECONDS: Final = 2.0
"""Longer waits are logged: a healthy instance releases the lock within milliseconds."""

LOCK_NOT_AVAILABLE: Final = "55P03"

CHECK_SECONDS: Final = 0.25
"""The interval at which the wait is checked."""


class LockWait:
    """A `Maintenance`: the writer's thread enters it to wait, and the event loop checks that."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._handlers: list[Callable[[bool], None]] = []
        self.blocks_commands = False
        """Whether commands have waited for too long and that was logged."""

    def __enter__(self) -> None:
        """Begin to wait; after a timeout of the lock, the wait goes on."""
        if self._since is None:
            self._since = time.monotonic()

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        if not isinstance(error, Failed) or error.state != LOCK_NOT_AVAILABLE:
            self._since = None

    def waited(self) -> int:
        """Return for how many microseconds commands have waited; 0 unless that was logged."""
        return round(self._seconds() * 1e6) if self.blocks_commands else 0

    def _seconds(self) -> float:
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def on_change(self, handler: Callable[[bool], None]) -> None:
        """Call *handler* when commands are blocked for too long, and when they continue."""
        self._handlers.append(handler)

    async def run(self) -> Never:
        async def check() -> None:
            self.check()

        await repeat("the check of the wait for the lock", check, CHECK_SECONDS)

    def check(self) -> None:
        """Log and notify the handlers when a long wait begins or ends."""
        if (self._seconds() >= REPORT_SECONDS) == self.blocks_commands:
            return
        self.blocks_commands = not self.blocks_commands
        if self.blocks_commands:
            _log.error(
                "commands have waited for the lock of the log for %.1f s: an instance or another "
                "session of PostgreSQL holds it, see pg_locks",
                self._seconds(),
            )
        else:
            _log.warning("the lock of the log was released: commands continue")
        for handler in self._handlers:
            handler(self.blocks_commands)
