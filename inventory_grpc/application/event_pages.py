"""Pages of the log, each found in a bounded number of steps."""

from typing import Final

from inventory_grpc.application.reading import EventFilter, EventLog, Found

MAX_STEPS: Final = 10
"""Steps after which a page ends, full or not. Others get a turn between them, and a caller
who leaves is noticed there."""


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
