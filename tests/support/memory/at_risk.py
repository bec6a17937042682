"""The promises at risk, computed from all reservations."""

from collections.abc import Iterator
from itertools import islice
from operator import itemgetter

from inventory_grpc.application.ports import Listing
from inventory_grpc.application.queries.at_risk import AtRisk, AtRiskQuery, RiskKey
from inventory_grpc.domain.stock import Inventory
from tests.support.memory.tables import Tables


def list_at_risk(tables: Tables, query: AtRiskQuery) -> Listing[AtRisk, RiskKey]:
    stocks: list[Inventory] = [tables.stream(key) for key in sorted(tables.stock_ids())]
    every = [row for stock in stocks for row in _missed(tables, stock)]
    rows = (
        (row, key)
        for row, key in every
        if (not query.product_ids or key.product_id in query.product_ids)
        and (not query.store_ids or key.store_id in query.store_ids)
        and query.customer_id in {"", row.customer_id}
        and (query.after is None or _order(key) > _order(query.after))
    )
    page = list(islice(rows, query.limit + 1))
    after = page[query.limit - 1][1] if len(page) > query.limit else None
    return Listing([row for row, _ in page[: query.limit]], after)


def _order(key: RiskKey) -> tuple[str, str, int]:
    return key.product_id, key.store_id, -key.before


def _missed(tables: Tables, stock: Inventory) -> Iterator[tuple[AtRisk, RiskKey]]:
    """Yield what is promised of a stock and not there, the newest line first."""
    stock_id, missed = stock.stock_id, 0
    lines = [
        (line.since, line, reservation)
        for _, reservation in tables.newest()
        if (line := reservation.lines.get(stock_id)) and line.held > line.backordered
    ]
    for since, line, reservation in sorted(lines, key=itemgetter(0), reverse=True):
        units = min(stock.levels.shortfall - missed, line.held - line.backordered)
        if not units:
            return
        missed += units
        ids = reservation.reservation_id, reservation.customer_id, reservation.order_id
        yield AtRisk(*ids, stock_id, line.held, units), RiskKey(*stock_id, since, missed)
