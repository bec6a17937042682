"""Polls the file for what other processes have recorded."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, Never

from inventory_grpc.application.background import repeat
from inventory_grpc.application.failpoints import pause
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ports import StorageError
from inventory_grpc.infrastructure.sqlite.events import read_head
from inventory_grpc.infrastructure.sqlite.readers import Readers

POLL_SECONDS: Final = 0.02
"""How late news of other processes may be; a look costs about ten microseconds."""


async def poll_head(readers: Readers, head: Head, moved: Callable[[int], None]) -> Never:
    """Call *moved* with where the log ends whenever that is beyond *head*, for ever."""
    seen = -1

    async def look() -> None:
        nonlocal seen
        await pause("head_poll")
        with suppress(StorageError):  # whoever writes will find out, too
            version = readers.point(lambda connection: connection.pragma("data_version"))
            # it also moves with commits of our own, which need no telling
            if version != seen and (end := readers.point(read_head)) > head.position:
                moved(end)
            seen = version

    await repeat("the look at what other processes record", look, POLL_SECONDS)
