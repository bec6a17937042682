"""Polls the file for events that other processes have recorded."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, Never

from inventory_grpc.application.background import repeat
from inventory_grpc.application.failpoints import pause
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ports import StorageError
from inventory_grpc.infrastructure.sqlite.events import read_head
from inventory_grpc.infrastructure.sqlite.readers import Readers
from inventory_grpc.infrastructure.sqlite.write_lock import WriteLock

POLL_SECONDS: Final = 0.02
"""The delay with which commits of other processes are seen; a poll costs about ten µs."""


class HeadPoll:
    """The `Changes` of a file; it also informs the write lock, if this process writes."""

    def __init__(
        self,
        readers: Readers,
        write_lock: WriteLock | None = None,
        seconds: float = POLL_SECONDS,
    ) -> None:
        self._readers = readers
        self._seconds = seconds
        self._write_lock = write_lock

    async def watch(self, head: Head, moved: Callable[[int], None]) -> Never:
        seen = -1

        async def poll() -> None:
            nonlocal seen
            await pause("head_poll")
            with suppress(StorageError):  # the next write meets the same error and handles it
                version = self._readers.point(lambda connection: connection.pragma("data_version"))
                # the version also changes with our own commits, which are known already
                if version != seen and (end := self._readers.point(read_head)) > head.position:
                    if self._write_lock:
                        self._write_lock.other_process_committed()
                    moved(end)
                seen = version

        await repeat("polling for events of other processes", poll, self._seconds)
