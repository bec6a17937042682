"""Reads one reservation, or a page of reservations with a bounded scan."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from inventory_grpc.application.access import EVERYWHERE
from inventory_grpc.application.outcomes import State
from inventory_grpc.application.ports import Listing
from inventory_grpc.application.queries.reservation import ReservationQuery
from inventory_grpc.application.queries.stock import Stocks, StocksById
from inventory_grpc.domain.event import SubjectKey
from inventory_grpc.domain.policy import PolicyScope, sources_of
from inventory_grpc.domain.product import ProductKey
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.store import StoreKey
from inventory_grpc.domain.values import ReservationId, StockId
from inventory_grpc.infrastructure.log.merged_scans import Scan, merged, share
from inventory_grpc.infrastructure.postgres.read_models import (
    policies,
    products,
    stock_reads,
    stores,
)
from inventory_grpc.infrastructure.postgres.read_models.read_model import (
    Find,
    Found,
    Point,
    in_scope,
)
from inventory_grpc.infrastructure.postgres.read_models.reservation_sources import (
    ByIndex,
    Source,
    Values,
    of_stream,
)
from inventory_grpc.infrastructure.postgres.statement import Statement
from inventory_grpc.infrastructure.postgres.wanted import WANTED, wanted
from inventory_grpc.infrastructure.postgres.wire import Row, Wire
from inventory_grpc.infrastructure.rows import bounds
from inventory_grpc.infrastructure.rows.reservations import LINE, reservation_of, size_of
from inventory_grpc.infrastructure.rows.stocks import stock_of

READ_TOGETHER: Final = 8
"""The most reservations that are read by one statement for as many calls: each has up to 500
lines, which are read on the event loop."""

_NEWEST: Final = 2**63 - 1

_COLUMNS: Final = (
    "reservations.reservation, "
    "(SELECT name FROM subjects WHERE subject = reservations.reservation), "
    "customer_id, order_id, reference, state, create_time, reservations.expire_time, channel"
)
_NAMED: Final = f"{WANTED} JOIN subjects USING (kind, name)"
_SELECT_SOME: Final = (
    f"SELECT {_COLUMNS}, {LINE} FROM {_NAMED} "
    "JOIN reservations ON reservation = subject "
    "JOIN reservation_lines AS line ON line.reservation = subject JOIN streams USING (stream)"
)
_OWN_COLUMNS: Final = 9
"""Those of a reservation, before those of a line."""

_SELECT_LINES: Final = Statement(
    f"SELECT {LINE} FROM reservation_lines JOIN streams USING (stream) "
    "WHERE reservation = $reservation::int8"
)
_OWN_LINES: Final = (
    "reservation_lines AS own JOIN streams USING (stream) "
    "WHERE own.reservation = reservations.reservation"
)
_WAITING: Final = "SELECT reservation FROM reservation_lines WHERE backordered > 0"


_SELECT_STOCKS: Final = (
    "SELECT DISTINCT stream, product_id, store_id, "
    "on_hand, reserved, version, update_time, particulars "
    f"FROM {_NAMED} JOIN reservation_lines ON reservation = subject "
    "JOIN streams USING (stream) JOIN stocks USING (stream)"
)


def _read_beside(_reservation_ids: Sequence[ReservationId], rows: Iterable[Row]) -> Found:
    for stream, *row in rows:
        found = stock_of(tuple(row))
        yield found.stock_id, stream, found


STOCKS_BESIDE: Final = Find(_SELECT_STOCKS, wanted, _read_beside)
"""Reads the stocks of all lines of reservations, together with them."""


def _read_with_lines(
    _reservation_ids: Sequence[ReservationId], rows: Iterable[Row]
) -> Iterator[tuple[ReservationId, Reservation]]:
    lines: dict[Row, list[Row]] = {}
    for row in rows:
        lines.setdefault(row[:_OWN_COLUMNS], []).append(row[_OWN_COLUMNS:])
    for own, line_rows in lines.items():
        reservation = reservation_of(own, line_rows)
        yield reservation.reservation_id, reservation


POINT: Final = Point(_SELECT_SOME, wanted, _read_with_lines, READ_TOGETHER)


def _find(wire: Wire, reservation_id: ReservationId) -> Reservation | None:
    _, found = POINT.read([reservation_id], wire.run([POINT.ask([reservation_id])])[0])
    return found.get(reservation_id)


def _reservation(wire: Wire, row: Row) -> Reservation:
    return reservation_of(row, wire.query(_SELECT_LINES, reservation=row[0]))


def stocks_beside(wire: Wire, query: StocksById) -> Stocks:
    """Return stocks, and the caller's reservation if the query names one."""
    found = stock_reads.FIND.run(wire, query.stock_ids)
    stocks = {stock_id: stock for stock_id, _, stock in found}
    own = _find(wire, query.reservation_id) if query.reservation_id else None
    unbegun = [key for key in query.stock_ids if key not in stocks] if query.with_sources else []
    return Stocks(stocks, own, _sources_of_terms(wire, unbegun) if unbegun else {})


def _sources_of_terms(wire: Wire, stock_ids: Sequence[StockId]) -> Mapping[SubjectKey, State]:
    """Return the states of all that sets terms of these stocks, if it has any."""
    keys = dict.fromkeys(key for stock_id in stock_ids for key in sources_of(stock_id))
    found: dict[SubjectKey, State] = {}
    finds: Sequence[tuple[type[SubjectKey], Find]] = (
        (PolicyScope, policies.FIND),
        (ProductKey, products.FIND),
        (StoreKey, stores.FIND),
    )
    for kind, find in finds:
        of_kind = [key for key in keys if type(key) is kind]
        found |= {key: state for key, _, state in find.run(wire, of_kind)}
    return found


def list_reservations(wire: Wire, query: ReservationQuery) -> Listing[tuple[int, Reservation], int]:
    """Return a page of reservations, each with its subject number."""
    limit = query.limit
    sources = _sources(wire, query)
    max_scanned = share(bounds.RESERVATIONS_SCANNED, len(sources))
    scans = (_scan(wire, source, query, max_scanned, limit + 1) for source in sources)
    rows, edge = merged(scans, limit + 1, downwards=True)
    listed: list[tuple[int, Reservation]] = []
    lines = size = 0
    for number, row in rows:
        if len(listed) == limit or lines >= bounds.LISTED_LINES or size >= bounds.LISTED_BYTES:
            return Listing(listed, listed[-1][0])
        reservation = _reservation(wire, row)
        lines += len(reservation.lines)
        size += size_of(row, reservation)
        listed.append((number, reservation))
    return Listing(listed, edge)


def _sources(wire: Wire, query: ReservationQuery) -> Sequence[Source]:
    """Return the sources that together have all matching reservations, in order."""
    if query.backordered and _is_rare_to_wait(wire):
        return [ByIndex(f"reservations.reservation IN ({_WAITING})", {})]
    if query.order_id:
        return [ByIndex("order_id = $order::text", {"order": query.order_id})]
    if query.customer_id:
        return [ByIndex("customer_id = $customer::text", {"customer": query.customer_id})]
    stock, values = _of_stock(query)
    if stock:
        streams = wire.query(
            f"SELECT stream FROM streams WHERE {stock} LIMIT $limit::int8",
            **values,
            limit=bounds.RESERVATION_SOURCES + 1,
        )
        if len(streams) <= bounds.RESERVATION_SOURCES:
            return [source for (stream,) in streams for source in of_stream(stream)]
    return [ByIndex("TRUE", {})]


def _is_rare_to_wait(wire: Wire) -> bool:
    """Return whether so few lines wait for goods that all of them can be read for a page."""
    limit = bounds.RESERVATIONS_SCANNED + 1
    number: int = wire.value(
        f"SELECT count(*) FROM ({_WAITING} LIMIT $limit::int8) AS few", limit=limit
    )
    return number < limit


def _scan(
    wire: Wire, source: Source, query: ReservationQuery, max_scanned: int, limit: int
) -> Scan[int, Row]:
    part = source.part(wire, _NEWEST if query.before is None else query.before, max_scanned)
    terms, values = _terms(query)
    rows = wire.query(
        f"SELECT {_COLUMNS} FROM {part.tables} WHERE {' AND '.join((part.where, *terms))} "
        f"ORDER BY {part.order} DESC LIMIT $limit::int8",
        **(values | part.values),
        limit=limit,
    )
    keyed: list[tuple[Any, Row]] = [(row[0], row) for row in rows]
    return Scan(keyed, keyed[-1][0] if len(keyed) == limit else part.edge)


def _terms(query: ReservationQuery) -> tuple[list[str], Values]:
    """Return the conditions of the filter, and their values."""
    terms, values = list[str](), Values()
    if query.customer_id:
        terms.append("customer_id = $customer::text")
        values["customer"] = query.customer_id
    if query.order_id:
        terms.append("order_id = $order::text")
        values["order"] = query.order_id
    if query.states:
        terms.append("state = ANY($states::text[])")
        values["states"] = sorted(state.value for state in query.states)
    stock, ids = _of_stock(query)
    if query.backordered:
        stock = " AND ".join((*filter(None, [stock]), "own.backordered > 0"))
    if stock:
        terms.append(f"EXISTS (SELECT 1 FROM {_OWN_LINES} AND {stock})")
        values |= ids
    if query.scope is not EVERYWHERE:
        visible, stores = in_scope(query.scope)
        terms.append(f"NOT EXISTS (SELECT 1 FROM {_OWN_LINES} AND NOT {visible})")
        values |= stores
    return terms, values


def _of_stock(query: ReservationQuery) -> tuple[str, Values]:
    """Return the SQL condition on one line, and its values."""
    terms, values = list[str](), Values()
    if query.product_id:
        terms.append("product_id = $product::text")
        values["product"] = query.product_id
    if query.store_id:
        terms.append("store_id = $store::text")
        values["store"] = query.store_id
    return " AND ".join(terms), values
