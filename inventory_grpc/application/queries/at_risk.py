"""The query of the promises that cannot be kept with the goods there are."""

from dataclasses import dataclass
from typing import NamedTuple

from inventory_grpc.application.ports import PAGE_LIMIT, Listing, Query
from inventory_grpc.domain.values import CustomerId, OrderId, ReservationId, StockId


class AtRisk(NamedTuple):
    """A line of a reservation of which units are promised from stock and not sellable."""

    reservation_id: ReservationId
    customer_id: CustomerId
    order_id: OrderId | None
    stock_id: StockId
    held: int
    at_risk: int


class RiskKey(NamedTuple):
    """The place in a list of promises at risk: in a stock, after its newer lines."""

    product_id: str
    store_id: str
    before: int
    """Only lines that are older than this position follow."""
    missed: int
    """The units of the newer lines, which are at risk."""


@dataclass(frozen=True, slots=True)
class AtRiskQuery(Query[Listing[AtRisk, RiskKey]]):
    """A list of promises at risk after a key, by product, store, and the newest line first.

    They are the units not backordered of the newest lines of a stock, until their sum is its
    shortfall. An empty filter matches all.
    """

    product_ids: frozenset[str] = frozenset()
    store_ids: frozenset[str] = frozenset()
    customer_id: str = ""
    after: RiskKey | None = None
    limit: int = PAGE_LIMIT
