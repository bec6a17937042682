"""Reads one reservation, or a page of reservations with a bounded scan."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import apsw

from inventory_grpc.application.access import EVERYWHERE
from inventory_grpc.application.outcomes import State
from inventory_grpc.application.ports import Listing, Reading
from inventory_grpc.application.queries.reservation import ReservationQuery
from inventory_grpc.application.queries.stock import Stocks, StocksById
from inventory_grpc.domain.event import SubjectKey
from inventory_grpc.domain.policy import PolicyScope, sources_of
from inventory_grpc.domain.product import ProductKey
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.store import StoreKey
from inventory_grpc.domain.values import ReservationId, StockId
from inventory_grpc.infrastructure.log.ids import RESERVATION
from inventory_grpc.infrastructure.log.merged_scans import Scan, merged, share
from inventory_grpc.infrastructure.read_models.policies import find_policies
from inventory_grpc.infrastructure.read_models.products import find_products
from inventory_grpc.infrastructure.read_models.read_model import Find, in_scope
from inventory_grpc.infrastructure.read_models.reservation_sources import (
    Bindings,
    ByIndex,
    Source,
    of_stream,
)
from inventory_grpc.infrastructure.read_models.stock_reads import find_stocks
from inventory_grpc.infrastructure.read_models.stores import find_stores
from inventory_grpc.infrastructure.rows import bounds
from inventory_grpc.infrastructure.rows.reservations import LINE, reservation_of, size_of
from inventory_grpc.infrastructure.sqlite.connection import one_state
from inventory_grpc.infrastructure.sqlite.events import read_head

Row = tuple[Any, ...]

_COLUMNS: Final = (
    "reservations.reservation, "
    "(SELECT name FROM subjects WHERE subject = reservations.reservation), "
    "customer_id, order_id, reference, state, create_time, reservations.expire_time, channel"
)

_OWN_LINES: Final = (
    "reservation_lines AS own CROSS JOIN streams USING (stream) "
    "WHERE own.reservation = reservations.reservation"
)


_WAITING: Final = "SELECT reservation FROM reservation_lines WHERE backordered > 0"


def reservation_now(
    connection: apsw.Connection, reservation_id: ReservationId
) -> Reading[Reservation | None]:
    """Return a reservation, and the head at the same time."""
    with one_state(connection):
        head = read_head(connection)
        return Reading(_find(connection, reservation_id), head)


def _find(connection: apsw.Connection, reservation_id: ReservationId) -> Reservation | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM subjects JOIN reservations ON reservation = subject "  # noqa: S608  made of constants, values are bound
        f"WHERE kind = {RESERVATION} AND name = ?",
        (reservation_id,),
    ).fetchone()
    return _reservation(connection, row) if row else None


def stocks_beside(connection: apsw.Connection, query: StocksById) -> Stocks:
    """Return stocks, and the caller's reservation if the query names one."""
    stocks = {stock_id: stock for stock_id, _, stock in find_stocks(connection, query.stock_ids)}
    own = _find(connection, query.reservation_id) if query.reservation_id else None
    unbegun = [key for key in query.stock_ids if key not in stocks] if query.with_sources else []
    return Stocks(stocks, own, _sources_of_terms(connection, unbegun) if unbegun else {})


def _sources_of_terms(
    connection: apsw.Connection, stock_ids: Sequence[StockId]
) -> Mapping[SubjectKey, State]:
    """Return the states of all that sets terms of these stocks, if it has any."""
    keys = dict.fromkeys(key for stock_id in stock_ids for key in sources_of(stock_id))
    found: dict[SubjectKey, State] = {}
    finds: Sequence[tuple[type[SubjectKey], Find]] = (
        (PolicyScope, find_policies),
        (ProductKey, find_products),
        (StoreKey, find_stores),
    )
    for kind, find in finds:
        of_kind = [key for key in keys if type(key) is kind]
        found |= {key: state for key, _, state in find(connection, of_kind)}
    return found


def list_reservations(
    connection: apsw.Connection, query: ReservationQuery
) -> Listing[tuple[int, Reservation], int]:
    """Return a page of reservations, each with its subject number."""
    limit = query.limit
    sources = _sources(connection, query)
    max_scanned = share(bounds.RESERVATIONS_SCANNED, len(sources))
    scans = (_scan(connection, source, query, max_scanned, limit + 1) for source in sources)
    rows, edge = merged(scans, limit + 1, downwards=True)
    listed: list[tuple[int, Reservation]] = []
    lines = size = 0
    for number, row in rows:
        if len(listed) == limit or lines >= bounds.LISTED_LINES or size >= bounds.LISTED_BYTES:
            return Listing(listed, listed[-1][0])
        reservation = _reservation(connection, row)
        lines += len(reservation.lines)
        size += size_of(row, reservation)
        listed.append((number, reservation))
    return Listing(listed, edge)


def _sources(connection: apsw.Connection, query: ReservationQuery) -> Sequence[Source]:
    """Return the sources that together have all matching reservations, in order."""
    if query.backordered and _is_rare_to_wait(connection):
        return [ByIndex(f"reservations.reservation IN ({_WAITING})", [])]
    if query.order_id:
        return [ByIndex("order_id = ?", [query.order_id])]
    if query.customer_id:
        return [ByIndex("customer_id = ?", [query.customer_id])]
    stock, bindings = _of_stock(query)
    if stock:
        streams = connection.execute(
            f"SELECT stream FROM streams WHERE {stock} LIMIT ?",  # noqa: S608  as above
            (*bindings, bounds.RESERVATION_SOURCES + 1),
        ).fetchall()
        if len(streams) <= bounds.RESERVATION_SOURCES:
            return [source for (stream,) in streams for source in of_stream(int(str(stream)))]
    return [ByIndex("1", [])]


def _is_rare_to_wait(connection: apsw.Connection) -> bool:
    """Return whether so few lines wait for goods that all of them can be read for a page."""
    number: int = connection.execute(
        f"SELECT count(*) FROM ({_WAITING} LIMIT ?)",  # noqa: S608  as above
        (bounds.RESERVATIONS_SCANNED + 1,),
    ).get
    return number <= bounds.RESERVATIONS_SCANNED


def _scan(
    connection: apsw.Connection,
    source: Source,
    query: ReservationQuery,
    max_scanned: int,
    limit: int,
) -> Scan[int, Row]:
    before = 2**63 - 1 if query.before is None else query.before
    part = source.part(connection, before, max_scanned)
    terms, bindings = _terms(query)
    rows = connection.execute(
        f"{part.walk}SELECT {_COLUMNS} FROM {part.tables} "  # noqa: S608  as above
        f"WHERE {' AND '.join((part.where, *terms))} {part.order} LIMIT ?",
        (*part.bindings, *bindings, limit),
    )
    keyed: list[tuple[Any, Row]] = [(row[0], row) for row in rows]
    return Scan(keyed, keyed[-1][0] if len(keyed) == limit else part.edge)


def _terms(query: ReservationQuery) -> tuple[list[str], Bindings]:
    """Return the conditions of the filter, and their bindings.

    The plus signs keep SQLite from using another index than that of the source.
    """
    terms, bindings = list[str](), Bindings()
    for column, value in (("customer_id", query.customer_id), ("order_id", query.order_id)):
        if value:
            terms.append(f"+{column} = ?")
            bindings.append(value)
    if query.states:
        terms.append(f"+state IN ({', '.join('?' * len(query.states))})")
        bindings += sorted(state.value for state in query.states)
    stock, ids = _of_stock(query)
    if query.backordered:
        stock = " AND ".join((*filter(None, [stock]), "own.backordered > 0"))
    if stock:
        terms.append(f"EXISTS (SELECT 1 FROM {_OWN_LINES} AND {stock})")  # noqa: S608  as above
        bindings += ids
    if query.scope is not EVERYWHERE:
        visible, stores = in_scope(query.scope)
        terms.append(f"NOT EXISTS (SELECT 1 FROM {_OWN_LINES} AND NOT {visible})")  # noqa: S608  as above
        bindings += stores
    return terms, bindings


def _of_stock(query: ReservationQuery) -> tuple[str, list[str]]:
    """Return the SQL condition on one line, and its bindings."""
    named = (("product_id", query.product_id), ("store_id", query.store_id))
    where = " AND ".join(f"{column} = ?" for column, value in named if value)
    return where, [value for _, value in named if value]


def _reservation(connection: apsw.Connection, row: Row) -> Reservation:
    rows = connection.execute(
        f"SELECT {LINE} FROM reservation_lines JOIN streams USING (stream) WHERE reservation = ?",  # noqa: S608  as above
        row[:1],
    )
    return reservation_of(row, rows)
