"""Followers of the log: each gets every event once, in order, after the position it names.

The log is the queue. The server buffers nothing for a follower, so a slow one costs no memory
and misses nothing, and one that reconnects names the position it reached. History and live
events are read in the same way, so there is no gap between them.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Final, NamedTuple

from inventory_grpc.application.failpoints import pause
from inventory_grpc.application.failures import OtherLog, PositionAhead, ShuttingDown
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.queries.events import EventFilter, EventLog
from inventory_grpc.application.shared_pages import SharedPages
from inventory_grpc.domain.values import Instant

WINDOW: Final = 5_000
"""Positions scanned in one read, even if the filter matches none of them."""

MAX_BYTES: Final = 256 * 1024
"""A message of this size takes no more commands."""

REPORT_EVERY: Final = 1_000
REPORT_AFTER_SECONDS: Final = 1.0
"""Progress without matches is reported after this many positions, or this long."""

REST_SECONDS: Final = 0.0002
"""The pause between two reads for a live follower, multiplied by the number of followers.

A message costs the server about as much as a command, regardless of its content. The pause
bounds the share of followers, and the events of that time are sent together. Measured with
1,000 followers and 200 commands a second: 4,000 messages instead of 50,000, events arrive after
0.5 s instead of 5 s, commands are answered after 0.2 s instead of 5 s.
"""

SHORTEST_REST: Final = 0.001
LONGEST_REST: Final = 0.5


class Progress(NamedTuple):
    """One message to a follower; every event up to `position` has been scanned."""

    events: Sequence[bytes]
    position: int
    head: int
    caught_up: bool


class Start(NamedTuple):
    """The start of a subscription: after a position, after a time, or at the current end."""

    after_position: int = 0
    after_time: Instant | None = None
    from_now: bool = False


class Followers:
    """Serves followers of one log."""

    def __init__(self, log: EventLog, head: Head) -> None:
        self._log = log
        self._pages = SharedPages(log)
        self._head = head
        self._reached: dict[object, int] = {}
        """The position of each follower, up to which everything was sent."""

    def lags(self) -> Sequence[int]:
        """Return how many events each follower is behind; another thread may ask."""
        return [max(0, self._head.position - reached) for reached in [*self._reached.values()]]

    async def resolve(self, start: Start, log_id: str) -> tuple[int, int]:
        """Return the position to start after, and the current end of the log.

        Raises:
            OtherLog: the follower's position belongs to another log.
            PositionAhead: it is past the end of this one.
        """
        if start.after_time is not None:
            after = await self._log.position_before(Instant(start.after_time + 1))
            end = await self._log.head()
        else:
            end = await self._log.head()
            after = end if start.from_now else start.after_position
        await self._check_log(log_id, after)
        if after > end:
            raise PositionAhead(after, end)
        return after, end

    async def _check_log(self, log_id: str, position: int) -> None:
        """Check that a position of the log with this id means the same in this log.

        Raises:
            OtherLog: it does not.
        """
        if log_id and log_id != self._log.log_id:
            end = await self._log.end_of(log_id)
            if log_id != self._log.log_id and (end is None or position > end):
                raise OtherLog(log_id, self._log.log_id, end)

    async def follow(
        self,
        after: int,
        matching: EventFilter,
        *,
        max_events: int,
        heartbeat_seconds: float,
        stop_at: int | None,
    ) -> AsyncGenerator[Progress, None]:
        """Yield whole commands after a position, then each new one; end only at *stop_at*.

        The first message is sent at once. After *heartbeat_seconds* without events, a message
        without events is sent.

        Raises:
            ShuttingDown: the server is shutting down; the last message has the position to resume.
        """
        follower = object()
        self._reached[follower] = after
        try:
            following = self._follow(after, matching, max_events, heartbeat_seconds, stop_at)
            async with aclosing(following) as messages:
                async for progress in messages:
                    yield progress
                    self._reached[follower] = progress.position
        finally:
            del self._reached[follower]

    async def _follow(
        self,
        after: int,
        matching: EventFilter,
        max_events: int,
        heartbeat_seconds: float,
        stop_at: int | None,
    ) -> AsyncGenerator[Progress, None]:
        head, position, reported, live = self._head, after, -1, False
        last_reported = last_read = 0.0
        loop = asyncio.get_running_loop()
        while True:
            await self._rest(loop.time() - last_read)
            moved = head.moved  # read before the value, see Head
            end = head.position if stop_at is None else min(head.position, stop_at)
            if head.closing:
                if position != reported:
                    yield Progress([], position, head.position, caught_up=False)
                raise ShuttingDown(1.0)
            events: Sequence[bytes] = []
            is_read_for = position < end and reported >= 0
            if is_read_for:
                page = await self._pages.page(
                    position, min(end, position + WINDOW), matching, max_events, MAX_BYTES
                )
                events, position = page.events, page.scanned
            reached = position >= (end if stop_at is None else stop_at)
            silent = loop.time() - last_reported
            if (
                events
                or reported < 0
                or (reached and not live)
                or position - reported >= REPORT_EVERY
                or silent >= (heartbeat_seconds if position == reported else REPORT_AFTER_SECONDS)
            ):
                yield Progress(events, position, max(head.position, position), reached and not live)
                reported, last_reported, silent = position, loop.time(), 0.0
            if reached and not live:
                await pause("catchup_to_live")
            live = reached
            # measured after the send, which takes the longest; history is read without a pause
            last_read = loop.time() if is_read_for and reached else last_read
            if reached and stop_at is not None:
                return
            if position >= end and reported >= 0:
                wait = heartbeat_seconds if position == reported else REPORT_AFTER_SECONDS
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, wait - silent)):
                        await moved.wait()

    async def _rest(self, rested: float) -> None:
        """Pause before the next read, to leave time for other work."""
        rest = min(len(self._reached) * REST_SECONDS, LONGEST_REST) - rested
        if rest >= SHORTEST_REST:
            await asyncio.sleep(rest)
