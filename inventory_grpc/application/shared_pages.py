"""A cache of log pages, so that a page that many followers need is read once.

The log never changes, so a page is the same for all followers: the first request reads it, and
the others share the result.
"""

import asyncio
from functools import partial
from typing import Final, NamedTuple

from inventory_grpc.application.queries.events import EventFilter, EventLog, Page

KEPT: Final = 32
"""The number of cached pages; with at most 256 KiB each, 8 MiB."""


class _Asked(NamedTuple):
    after: int
    upto: int
    matching: EventFilter
    max_events: int
    max_bytes: int


class _Read:
    """The read of a page, running or done, and the number of callers waiting for it."""

    def __init__(self, page: "asyncio.Task[Page]") -> None:
        self.page = page
        self.waiting = 0


class SharedPages:
    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._reads: dict[_Asked, _Read] = {}

    async def page(
        self, after: int, upto: int, matching: EventFilter, max_events: int, max_bytes: int
    ) -> Page:
        """Return the result of `EventLog.page`; *upto* must be published."""
        asked = _Asked(after, upto, matching, max_events, max_bytes)
        read = self._reads.get(asked)
        if read is None:
            read = self._reads[asked] = _Read(asyncio.create_task(self._log.page(*asked)))
            read.page.add_done_callback(partial(self._drop_failed, asked, read))
            if len(self._reads) > KEPT:
                del self._reads[next(iter(self._reads))]
        read.waiting += 1
        try:
            # the cancellation of one caller must not cancel the read for the others
            return await asyncio.shield(read.page)
        finally:
            read.waiting -= 1
            if not read.waiting and not read.page.done():
                self._forget(asked, read)
                read.page.cancel()

    def _drop_failed(self, asked: _Asked, read: _Read, page: "asyncio.Task[Page]") -> None:
        """Remove a failed read, so that the next request reads again; retrieve its exception."""
        if page.cancelled() or page.exception() is not None:
            self._forget(asked, read)

    def _forget(self, asked: _Asked, read: _Read) -> None:
        if self._reads.get(asked) is read:
            del self._reads[asked]
