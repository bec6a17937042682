"""Polls the log for events that other instances have recorded."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Never

from inventory_grpc.application.background import repeat
from inventory_grpc.application.failpoints import pause
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ports import StorageError
from inventory_grpc.infrastructure.postgres.events import HEAD
from inventory_grpc.infrastructure.postgres.notices import Notices
from inventory_grpc.infrastructure.postgres.readers import Readers

POLL_SECONDS: Final = 0.02
"""The delay with which `events --follow` sees commits; servers have a setting for it."""

_HEAD: Final = HEAD.bind()


class HeadPoll:
    """The `Changes` of a log; *notices* have it poll at once."""

    def __init__(
        self, readers: Readers, seconds: float = POLL_SECONDS, notices: Notices | None = None
    ) -> None:
        self._readers = readers
        self._seconds = seconds
        self._notices = notices

    async def watch(self, head: Head, moved: Callable[[int], None]) -> Never:
        what = "polling for events of other instances"

        async def poll() -> None:
            await pause("head_poll")
            with suppress(StorageError):  # the next write meets the same error and handles it
                [(end,)] = await self._readers.await_rows(_HEAD)
                if end > head.position:
                    moved(end)

        if self._notices is None:
            await repeat(what, poll, self._seconds)
        news = asyncio.Event()

        def heard(position: int) -> None:
            if position > head.position:
                news.set()

        async def poll_when_heard() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await news.wait()
            news.clear()
            await poll()

        async with asyncio.TaskGroup() as group:
            group.create_task(self._notices.listen(heard))
            await repeat(what, poll_when_heard, 0)
        raise AssertionError
