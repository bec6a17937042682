"""Pages of the log that many followers want at once, each read from storage once.

The log never changes, so a page of it is the same for all who ask for it: whoever comes
first reads it, the others get what was read.
"""

import asyncio
from functools import partial
from typing import Final, NamedTuple

from inventory_grpc.application.queries.events import EventFilter, EventLog, Page

KEPT: Final = 32
"""Pages at hand, the newest: with 256 KiB in each at most, 8 MiB."""


class _Asked(NamedTuple):
    after: int
    upto: int
    matching: EventFilter
    max_events: int
    max_bytes: int


class _Read:
    """A page that is being read, or was, and how many wait for it."""

    def __init__(self, page: "asyncio.Task[Page]") -> None:
        self.page = page
        self.waiting = 0


class SharedPages:
    """The pages of a log that were asked for last."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._reads: dict[_Asked, _Read] = {}

    async def page(
        self, after: int, upto: int, matching: EventFilter, max_events: int, max_bytes: int
    ) -> Page:
        """Return what `EventLog.page` does; *upto* has been published."""
        asked = _Asked(after, upto, matching, max_events, max_bytes)
        read = self._reads.get(asked)
        if read is None:
            read = self._reads[asked] = _Read(asyncio.create_task(self._log.page(*asked)))
            read.page.add_done_callback(partial(self._heed, asked, read))
            if len(self._reads) > KEPT:
                del self._reads[next(iter(self._reads))]
        read.waiting += 1
        try:
            # one who leaves does not take it from the others
            return await asyncio.shield(read.page)
        finally:
            read.waiting -= 1
            if not read.waiting and not read.page.done():
                self._forget(asked, read)
                read.page.cancel()

    def _heed(self, asked: _Asked, read: _Read, page: "asyncio.Task[Page]") -> None:
        """Look at what went wrong: all who waited may have left. The next to ask reads anew."""
        if page.cancelled() or page.exception() is not None:
            self._forget(asked, read)

    def _forget(self, asked: _Asked, read: _Read) -> None:
        if self._reads.get(asked) is read:
            del self._reads[asked]
