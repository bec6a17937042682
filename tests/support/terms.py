"""A command that changes the terms of one stock at once, as no caller can."""

from collections.abc import Sequence

from inventory_grpc.domain.book import Book
from inventory_grpc.domain.event import Change
from inventory_grpc.domain.levels import Terms
from inventory_grpc.domain.stock import StockTermsChanged
from inventory_grpc.domain.values import StockId, immutable
from tests.support.world import KETTLES


@immutable
class SetTerms:
    stock_id: StockId
    terms: Terms

    @property
    def touches(self) -> Sequence[StockId]:
        return (self.stock_id,)

    @property
    def about(self) -> None:
        """Return None: every stock exists."""

    def decide(self, book: Book) -> Sequence[Change]:
        if book.get(self.stock_id).levels.terms == self.terms:
            return []
        return [(self.stock_id, StockTermsChanged.to(self.terms))]


def terms(
    of: StockId = KETTLES,
    *,
    safety: int = 0,
    limit: int = 0,
    low_at: int | None = None,
    hysteresis: int = 0,
    product_retired: bool = False,
    store_retired: bool = False,
) -> SetTerms:
    return SetTerms(of, Terms(safety, limit, low_at, hysteresis, product_retired, store_retired))
