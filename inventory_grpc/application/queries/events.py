"""Queries of the log itself: its pages for followers, and searches in bounded steps."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from inventory_grpc.domain.values import Instant

MAX_STEPS: Final = 10
"""Steps after which a page ends, full or not. Others get a turn between them, and a caller
who leaves is noticed there."""


class EventFilter(NamedTuple):
    """Which events a follower wants: AND between fields, OR within; empty is all."""

    event_types: frozenset[str] = frozenset()
    product_ids: frozenset[str] = frozenset()
    store_ids: frozenset[str] = frozenset()
    reservation_ids: frozenset[str] = frozenset()


class Page(NamedTuple):
    """A stretch of the log: the events that match, as they are stored."""

    events: Sequence[bytes]
    scanned: int
    """Everything up to here has been considered."""


class Found(NamedTuple):
    """Events that match, with their positions, in the order asked for."""

    rows: Sequence[tuple[int, bytes]]
    searched: int
    """From where the search began to this position, included, every event was looked at.

    0 where there was none to look at.
    """
    done: bool
    """Whether there is nothing more to look at."""


class EventLog(Protocol):
    """The log, for followers: stored bytes, passed on unopened."""

    @property
    def log_id(self) -> str: ...

    async def head(self) -> int:
        """Return where the log ends in storage now."""
        ...

    async def page(
        self, after: int, upto: int, matching: EventFilter, max_events: int, max_bytes: int
    ) -> Page:
        """Return whole commands after a position: it stops taking more at the limits.

        At least one command, if any matches. *upto* is lowered to where a command
        ends, so `scanned` is such a place.
        """
        ...

    async def search(
        self, matching: EventFilter, after: int, before: int, limit: int, *, newest_first: bool
    ) -> Found:
        """Take one step through the events strictly between two positions.

        A step looks at a bounded number of events, however few of them match, and finds
        *limit* of them at most. To go on, begin again at `searched`.
        """
        ...

    async def position_before(self, time: Instant) -> int:
        """Return the position of the last event recorded before *time*; 0 if none."""
        ...


async def find_page(  # noqa: PLR0913  the parts of the question
    log: EventLog,
    matching: EventFilter,
    after: int,
    before: int,
    limit: int,
    *,
    newest_first: bool,
) -> Found:
    """Return up to *limit* events strictly between two positions, and how far was looked.

    What `EventLog.search` does in one step, done until the page is full or enough was
    looked at.
    """
    rows: list[tuple[int, bytes]] = []
    searched = 0
    for _ in range(MAX_STEPS):
        found = await log.search(
            matching, after, before, limit - len(rows), newest_first=newest_first
        )
        rows += found.rows
        searched = found.searched or searched
        if found.done or len(rows) == limit:
            break
        after, before = (after, searched) if newest_first else (searched, before)
    return Found(rows, searched, found.done)
