"""How do many followers read what is new without each reading it from storage?

The log never changes, so a page of it is the same for all who ask for it: whoever comes
first reads it, the others get what was read.
"""

import asyncio
from typing import Final, NamedTuple

from inventory_grpc.application.reading import EventFilter, EventLog, Page

KEPT: Final = 32
"""Pages at hand, the newest: with 256 KiB in each at most, 8 MiB."""


class _Asked(NamedTuple):
    after: int
    upto: int
    matching: EventFilter
    max_events: int
    max_bytes: int


class SharedPages:
    """The pages of a log that were asked for last."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._reads: dict[_Asked, asyncio.Task[Page]] = {}

    async def page(
        self, after: int, upto: int, matching: EventFilter, max_events: int, max_bytes: int
    ) -> Page:
        """Return what `EventLog.page` does; *upto* has been published."""
        asked = _Asked(after, upto, matching, max_events, max_bytes)
        read = self._reads.get(asked)
        if read is None:
            read = self._reads[asked] = asyncio.create_task(self._read(asked))
            read.add_done_callback(_heed)
            if len(self._reads) > KEPT:
                del self._reads[next(iter(self._reads))]
        return await asyncio.shield(read)  # one who leaves does not take it from the others

    async def _read(self, asked: _Asked) -> Page:
        try:
            return await self._log.page(*asked)
        except BaseException:
            self._reads.pop(asked, None)  # whoever asks next tries again
            raise


def _heed(read: "asyncio.Task[Page]") -> None:
    """Look at what went wrong: all who waited for it may have left."""
    if not read.cancelled():
        read.exception()
