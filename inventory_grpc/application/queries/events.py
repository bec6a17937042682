"""Queries of the log itself: pages for followers, and searches in bounded steps."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from inventory_grpc.domain.alerts import Alert
from inventory_grpc.domain.event import SubjectKey
from inventory_grpc.domain.values import Instant

MAX_STEPS: Final = 10
"""A page ends after this many steps, full or not. Between steps other work can run, and a
cancellation takes effect."""


class EventFilter(NamedTuple):
    """A filter of events: AND between fields, OR within a field; an empty field matches all."""

    event_types: frozenset[str] = frozenset()
    product_ids: frozenset[str] = frozenset()
    store_ids: frozenset[str] = frozenset()
    reservation_ids: frozenset[str] = frozenset()
    subjects: frozenset[SubjectKey] = frozenset()
    alerts: frozenset[Alert] = frozenset()
    stores: frozenset[str] | None = None
    """The stores of a caller with only some; `Noun.audience` says which events it sees."""


class Page(NamedTuple):
    """The matching events of a part of the log, as stored bytes."""

    events: Sequence[bytes]
    scanned: int
    """The last position that was scanned."""


class Found(NamedTuple):
    """Matching events with their positions, in the requested order."""

    rows: Sequence[tuple[int, bytes]]
    searched: int
    """The last position that was scanned; 0 if there was none to scan."""
    done: bool
    """Whether the whole range was scanned."""


class EventLog(Protocol):
    """The log as followers read it: stored bytes, not decoded."""

    @property
    def log_id(self) -> str:
        """The id of the log; it has another one after it may have lost its last events."""
        ...

    async def end_of(self, log_id: str) -> int | None:
        """Return the last position under a former id of the log; None if it had no such id.

        Positions up to there mean the same under the current id, which is read again.
        """

    async def head(self) -> int: ...

    async def page(
        self, after: int, upto: int, matching: EventFilter, max_events: int, max_bytes: int
    ) -> Page:
        """Return the matching events of whole commands after a position, up to the limits.

        The page has at least one command, if any matches. *upto* is lowered to the end of a
        command, so `scanned` is the end of a command too.
        """

    async def search(
        self, matching: EventFilter, after: int, before: int, limit: int, *, newest_first: bool
    ) -> Found:
        """Scan one step of the events strictly between two positions.

        A step scans a bounded number of events, however few of them match, and returns at most
        *limit* of them. The next step starts at `searched`.
        """

    async def position_before(self, time: Instant) -> int:
        """Return the position of the last event recorded before *time*; 0 if none."""


async def find_page(  # noqa: PLR0913  the parts of the query
    log: EventLog,
    matching: EventFilter,
    after: int,
    before: int,
    limit: int,
    *,
    newest_first: bool,
) -> Found:
    """Return up to *limit* events strictly between two positions.

    It repeats `EventLog.search` until the page is full, the range ends, or `MAX_STEPS`.
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
