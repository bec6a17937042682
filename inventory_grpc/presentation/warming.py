"""Fills the cache for `GetStock` with the stocks of the last events, before a server answers."""

from typing import Final

from inventory_grpc.application.ports import Snapshot
from inventory_grpc.application.queries.stock import RecentlyMoved
from inventory_grpc.application.store import Progress
from inventory_grpc.presentation.stock_answers import StockAnswers

PAGE: Final = 5_000
"""Events whose stocks are read at a time."""

EVENTS_PER_STOCK: Final = 20
"""Events looked at for each stock that is wanted: few stocks may have changed often."""


async def warm(answers: StockAnswers, latest: Snapshot, stocks: int, progress: Progress) -> None:
    """Read at most so many *stocks* into the cache, page by page."""
    left, before = stocks * EVENTS_PER_STOCK, None
    while left > 0 and (room := stocks - answers.count()) > 0:
        events = min(PAGE, stocks, left)
        page, as_of = await latest.read(RecentlyMoved(events, before))
        for stock in page.rows[:room]:
            answers.warm(stock, as_of)
        progress(answers.count(), stocks)
        if page.after is None:
            break
        left, before = left - events, page.after
