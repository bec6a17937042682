"""Lists the promises at risk in pages, each with a bounded scan."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import apsw

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
from inventory_grpc.infrastructure.read_models.lines_of_stock import LINE, WALKED
from inventory_grpc.infrastructure.read_models.stock_lists import list_stocks
from inventory_grpc.infrastructure.read_models.stock_reads import find_stocks
from inventory_grpc.infrastructure.rows import bounds
from inventory_grpc.infrastructure.sqlite.stock_history import WALK, walk_from

_NEWEST: Final = 2**63 - 1

_STEPS: Final = (
    f"{WALK}SELECT event.position, ifnull(line.reservation, 0), ifnull(line.held, 0), "  # noqa: S608  made of constants, values are bound
    f"ifnull(line.held - line.backordered, 0) FROM {WALKED} LEFT JOIN {LINE} "
    "AND line.since = event.position WHERE event.position < ?3"
)
_RESERVATION: Final = (
    "SELECT name, customer_id, order_id FROM reservations JOIN subjects ON subject = reservation "
    "WHERE reservation = ?"
)


class _Step(NamedTuple):
    """An event of a stock, and the line whose last units it added; zeros if it did not."""

    position: int
    reservation: int
    held: int
    there: int
    """The held units that do not wait for goods."""


def list_at_risk(connection: apsw.Connection, query: AtRiskQuery) -> Listing[AtRisk, RiskKey]:
    """Return a page of promises at risk."""
    rows: list[AtRisk] = []
    scanned = 0
    stocks, edge = _short_stocks(connection, query)
    for stock_id, stream, shortfall in stocks:
        place = _begin(query, stock_id)
        for step in _newest_first(connection, stream, place.before):
            left = shortfall - place.missed
            if left <= 0:
                break
            if len(rows) == query.limit or scanned == bounds.LINES_SCANNED:
                return Listing(rows, place)
            scanned += 1
            units = min(left, step.there)
            place = place._replace(before=step.position, missed=place.missed + units)
            if units:
                rows += _of_customer(connection, query.customer_id, stock_id, step, units)
    return Listing(rows, edge)


def _short_stocks(
    connection: apsw.Connection, query: AtRiskQuery
) -> tuple[Sequence[tuple[StockId, int, int]], RiskKey | None]:
    """Return stocks with a shortfall, each with its stream and shortfall, and a key after them."""
    products, stores, after = query.product_ids, query.store_ids, query.after
    found = list_stocks(
        connection,
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
        for stock_id, stream, stock in find_stocks(connection, stock_ids)
    }
    rows = [(stock_id, *short[stock_id]) for stock_id in stock_ids if stock_id in short]
    return rows, None if found.after is None else RiskKey(*found.after, 0, 0)


def _begin(query: AtRiskQuery, stock_id: StockId) -> RiskKey:
    """Return the key at which the lines of a stock begin."""
    if query.after is not None and query.after[:2] == stock_id:
        return query.after
    return RiskKey(*stock_id, _NEWEST, 0)


def _newest_first(connection: apsw.Connection, stream: int, before: int) -> Iterator[_Step]:
    """Yield the events of a stock at positions before *before*."""
    begin = walk_from(connection, stream, before - 1)
    return map(_Step._make, connection.execute(_STEPS, (begin, 0, before)))


def _of_customer(
    connection: apsw.Connection, customer_id: str, stock_id: StockId, step: _Step, units: int
) -> Iterator[AtRisk]:
    """Yield the row of the line, if it is of the customer; an empty id is every customer."""
    name, customer, order = _row(connection.execute(_RESERVATION, (step.reservation,)))
    if customer_id in {"", customer}:
        yield AtRisk(
            ReservationId(name),
            CustomerId(customer),
            OrderId(order) if order else None,
            stock_id,
            step.held,
            units,
        )


def _row(cursor: apsw.Cursor) -> tuple[Any, ...]:
    row: Any = cursor.fetchone()
    return tuple(row)
