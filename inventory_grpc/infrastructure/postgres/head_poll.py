"""Polls the log for events that other instances have recorded."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, Never

from inventory_grpc.application.background import repeat
from inventory_grpc.application.failpoints import pause
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ports import StorageError
from inventory_grpc.infrastructure.postgres.events import HEAD
from inventory_grpc.infrastructure.postgres.readers import Readers

POLL_SECONDS: Final = 0.02
"""The delay with which commits of other instances are seen."""

_HEAD: Final = HEAD.bind()


class HeadPoll:
    """The `Changes` of a log."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def watch(self, head: Head, moved: Callable[[int], None]) -> Never:
        async def poll() -> None:
            await pause("head_poll")
            with suppress(StorageError):  # the next write meets the same error and handles it
                [(end,)] = await self._readers.await_rows(_HEAD)
                if end > head.position:
                    moved(end)

        await repeat("polling for events of other instances", poll, POLL_SECONDS)
