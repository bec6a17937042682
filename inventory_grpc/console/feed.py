"""One subscription to the log, from which any number of open pages read.

Nothing is queued for a page. It has a position, and reads on from the newest events, which are
kept here; a page that is further behind reads pages of the log.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import Any, Final, NamedTuple

from inventory_grpc.client import (
    InventoryClient,
    InventoryError,
    OtherLog,
    PermissionDenied,
    PositionAhead,
    Unauthenticated,
)
from inventory_grpc.console.wire import dumps, event_of, refusal, streamed, streamed_events

_log = logging.getLogger(__name__)

MAX_RECENT: Final = 1_000
"""The newest events, kept for pages that are nearly up to date."""

MAX_MESSAGE: Final = 250
"""The most events of a message to a page."""

MAX_BEHIND: Final = 100_000
"""A page that misses more events than this gets the newest ones, and is told what it missed."""

HEARTBEAT_SECONDS: Final = 2.0
AWAY_SECONDS: Final = 5.0
"""A server that was silent for so long counts as away."""

RETRY_SECONDS: Final = 2.0
AGAIN_SECONDS: Final = 0.1
"""The delays after a failure that the client does not mend, and after one that is another log."""


class Newest(NamedTuple):
    """An event of the log, encoded once for all pages."""

    position: int
    encoded: str


class Feed:
    """The events of the log, as one caller may see them. It reads them while a page is open."""

    def __init__(self, client: InventoryClient) -> None:
        self._client = client
        self._recent: deque[Newest] = deque()
        self._complete_after = 0
        """Every event after this position is among the recent ones."""
        self._position = 0
        self._log_id = ""
        self._heard_at = time.monotonic()
        self._trouble = ""
        self._refused: InventoryError | None = None
        self._news = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self._pages = 0

    async def follow(self, after: int | None, log_id: str) -> AsyncGenerator[bytes, None]:
        """Yield messages for a page that has all events up to *after*; None is from now on.

        They end when the page has to begin anew, or its caller to sign in again.
        """
        self._pages += 1
        self._reading = self._reading or asyncio.create_task(self._read())
        try:
            async with aclosing(self._messages(after, log_id)) as messages:
                async for message in messages:
                    yield message
        finally:
            self._pages -= 1
            if not self._pages:
                self.stop()

    def stop(self) -> None:
        if self._reading:
            self._reading.cancel()
        self._reading = None
        self._log_id = ""

    async def _messages(self, cursor: int | None, log_id: str) -> AsyncGenerator[bytes, None]:
        was_ahead = False
        while self._refused is None:
            news = self._news
            if self._log_id:
                cursor = self._position if cursor is None else cursor
                # Another server of the same log may be a moment behind.
                is_lost, was_ahead = was_ahead, cursor > self._position
                if log_id not in {"", self._log_id} or (is_lost and was_ahead):
                    yield streamed("reset", self._state())
                    return
                log_id = self._log_id
                if self._position - cursor > MAX_BEHIND:
                    missed, cursor = cursor, self._position - MAX_RECENT
                    yield streamed("missed", {"after": missed, "up_to": cursor}, cursor)
                if cursor < self._position:
                    events, cursor = await self._events_after(cursor)
                    yield streamed_events(self._state(), events, cursor)
                    continue
            yield streamed("beat", self._state(), cursor)
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await news.wait()
        yield streamed("refused", refusal(self._refused))

    def _state(self) -> dict[str, Any]:
        return {
            "log_id": self._log_id,
            "head": self._position,
            "away": time.monotonic() - self._heard_at > AWAY_SECONDS,
            "trouble": self._trouble,
        }

    async def _events_after(self, position: int) -> tuple[Sequence[str], int]:
        """Return encoded events after *position*, and the position up to which these are all."""
        if position < self._complete_after:
            return await self._page_after(position)
        found: deque[Newest] = deque()
        for event in reversed(self._recent):
            if event.position <= position:
                break
            found.appendleft(event)
        up_to = self._position
        if len(found) > MAX_MESSAGE:
            found = deque(list(found)[:MAX_MESSAGE])
            up_to = found[-1].position
        return [event.encoded for event in found], up_to

    async def _page_after(self, position: int) -> tuple[Sequence[str], int]:
        try:
            page = await self._client.list_events(after_position=position, page_size=MAX_MESSAGE)
        except InventoryError as error:
            self._trouble = error.message
            await asyncio.sleep(RETRY_SECONDS)
            return [], position
        events = [dumps(event_of(event)) for event in page.events]
        return events, max(position, page.searched_position)

    async def _read(self) -> None:
        """Follow the log. The client resumes by itself; what it cannot mend is tried again."""
        self._refused, self._heard_at = None, time.monotonic()
        while True:
            try:
                await self._follow_log()
            except (OtherLog, PositionAhead):
                self._log_id = ""  # that of the first answer from now on
                await asyncio.sleep(AGAIN_SECONDS)
            except (Unauthenticated, PermissionDenied) as error:
                self._refused = error
                self._tell()
                return
            except InventoryError as error:
                _log.warning("the events cannot be read: %s", error)
                self._trouble = error.message
                self._tell()
                await asyncio.sleep(RETRY_SECONDS)

    async def _follow_log(self) -> None:
        known = self._log_id
        following = self._client.subscribe(
            after_position=self._position if known else None,
            from_now=not known,
            log_id=known,
            heartbeat=timedelta(seconds=HEARTBEAT_SECONDS),
        )
        async with aclosing(following) as batches:
            async for batch in batches:
                if not self._log_id:
                    self._recent.clear()
                    self._complete_after = batch.position
                for event in batch.events:
                    self._recent.append(Newest(event.position, dumps(event_of(event))))
                while len(self._recent) > MAX_RECENT:
                    self._complete_after = self._recent.popleft().position
                is_news = batch.position != self._position or not self._log_id or self._trouble
                self._log_id, self._position = batch.log_id, batch.position
                self._heard_at, self._trouble = time.monotonic(), ""
                if is_news:
                    self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
