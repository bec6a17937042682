"""Lists the promises at risk in pages, each with a bounded scan."""

from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from operator import itemgetter
from typing import Final, NamedTuple

from inventory_grpc.application.ports import Listing
from inventory_grpc.application.queries.at_risk import AtRisk, AtRiskQuery, RiskKey
from inventory_grpc.application.queries.stock import StockQuery
from inventory_grpc.domain.values import (
    CustomerId,
    OrderId,
    ProductId,
    ReservationId,
    StockId,
    StoreId,
)
from inventory_grpc.infrastructure.postgres.read_models.stock_lists import list_stocks
from inventory_grpc.infrastructure.postgres.read_models.stock_reads import FIND
from inventory_grpc.infrastructure.postgres.statement import Statement
from inventory_grpc.infrastructure.postgres.wire import Row, Wire
from inventory_grpc.infrastructure.rows import bounds

_NEWEST: Final = 2**63 - 1

_AS_RESERVED: Final = Statement(
    "SELECT reservation, CASE WHEN amended IS NULL THEN first ELSE reservation END AS shown_since, "
    "CASE WHEN amended IS NULL THEN held ELSE 0 END, "
    "CASE WHEN amended IS NULL THEN backordered ELSE 0 END "
    "FROM reservation_lines WHERE stream = $stream::int8 AND reservation < $below::int8 "
    "AND (first < $before::int8 OR amended IS NOT NULL) "
    "ORDER BY reservation DESC LIMIT $limit::int8"
)
"""A line that was not amended is as old as its reservation. The others are read as lines that hold
nothing, so that the scan of them is bounded too."""
_AMENDED: Final = Statement(
    "SELECT reservation, amended, held, backordered FROM reservation_lines "
    "WHERE stream = $stream::int8 AND amended < $below::int8 "
    "ORDER BY amended DESC LIMIT $limit::int8"
)
_RESERVATION: Final = Statement(
    "SELECT name, customer_id, order_id FROM reservations JOIN subjects ON subject = reservation "
    "WHERE reservation = $reservation::int8"
)

_READ_TOGETHER: Final = 256
"""Lines read by one statement: few are needed where the newest ones hold the shortfall."""


class _Line(NamedTuple):
    reservation: int
    since: int
    held: int
    backordered: int


def list_at_risk(wire: Wire, query: AtRiskQuery) -> Listing[AtRisk, RiskKey]:
    """Return a page of promises at risk."""
    rows: list[AtRisk] = []
    scanned = 0
    stocks, edge = _short_stocks(wire, query)
    for stock_id, stream, shortfall in stocks:
        place = _begin(query, stock_id)
        for line in _newest_first(wire, stream, place.before):
            left = shortfall - place.missed
            if left <= 0:
                break
            if len(rows) == query.limit or scanned == bounds.LINES_SCANNED:
                return Listing(rows, place)
            scanned += 1
            units = min(left, line.held - line.backordered)
            place = place._replace(before=line.since, missed=place.missed + units)
            if units:
                rows += _of_customer(wire, query.customer_id, stock_id, line, units)
    return Listing(rows, edge)


def _short_stocks(
    wire: Wire, query: AtRiskQuery
) -> tuple[Sequence[tuple[StockId, int, int]], RiskKey | None]:
    """Return stocks with a shortfall, each with its stream and shortfall, and a key after them."""
    products, stores, after = query.product_ids, query.store_ids, query.after
    found = list_stocks(
        wire,
        StockQuery(products, stores, short=True, after=after and after[:2], limit=query.limit + 1),
    )
    stock_ids = [stock.stock_id for stock in found.rows]
    if after is not None and after.before:
        begun = StockId(ProductId(after.product_id), StoreId(after.store_id))
        # a forged key must show no other stock
        if begun.product_id in (products or {begun.product_id}) and begun.store_id in (
            stores or {begun.store_id}
        ):
            stock_ids.insert(0, begun)
    short = {
        stock_id: (stream, stock.levels.shortfall)
        for stock_id, stream, stock in FIND.run(wire, stock_ids)
    }
    rows = [(stock_id, *short[stock_id]) for stock_id in stock_ids if stock_id in short]
    return rows, None if found.after is None else RiskKey(*found.after, 0, 0)


def _begin(query: AtRiskQuery, stock_id: StockId) -> RiskKey:
    """Return the key at which the lines of a stock begin."""
    if query.after is not None and query.after[:2] == stock_id:
        return query.after
    return RiskKey(*stock_id, _NEWEST, 0)


def _newest_first(wire: Wire, stream: int, before: int) -> Iterator[_Line]:
    """Yield the lines of a stock that are older than *before*, also those that hold nothing."""
    as_reserved = _source(wire, _AS_RESERVED, stream, before, itemgetter(0))
    amended = _source(wire, _AMENDED, stream, before, itemgetter(1))
    return merge(as_reserved, amended, key=lambda line: -line.since)


def _source(
    wire: Wire, select: Statement, stream: int, before: int, key: Callable[[Row], int]
) -> Iterator[_Line]:
    """Yield lines in the order of their *key* in an index, some by each statement."""
    below = before
    while True:
        rows = wire.query(select, stream=stream, before=before, below=below, limit=_READ_TOGETHER)
        yield from map(_Line._make, rows)
        if len(rows) < _READ_TOGETHER:
            return
        below = key(rows[-1])


def _of_customer(
    wire: Wire, customer_id: str, stock_id: StockId, line: _Line, units: int
) -> Iterator[AtRisk]:
    """Yield the row of *line*, if it is of the customer; an empty id is every customer."""
    [(name, customer, order)] = wire.query(_RESERVATION, reservation=line.reservation)
    if customer_id in {"", customer}:
        yield AtRisk(
            ReservationId(name),
            CustomerId(customer),
            OrderId(order) if order else None,
            stock_id,
            line.held,
            units,
        )
