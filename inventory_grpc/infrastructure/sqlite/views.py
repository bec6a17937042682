"""What do the read models say?"""

from collections.abc import Sequence
from typing import Any, Final

import apsw

from inventory_grpc.application.access import EVERYWHERE, Scope
from inventory_grpc.application.reading import (
    Listing,
    Product,
    Reading,
    ReservationQuery,
    StockQuery,
    Stocks,
)
from inventory_grpc.domain.events import Levels
from inventory_grpc.domain.inventory import Stock, stock_after
from inventory_grpc.domain.reservation import Reservation, ReservationState, ReservedLine
from inventory_grpc.domain.values import (
    CustomerId,
    Instant,
    OrderId,
    ProductId,
    ReservationId,
    StockId,
    StoreId,
)
from inventory_grpc.infrastructure.codec import decode
from inventory_grpc.infrastructure.sqlite import events as log
from inventory_grpc.infrastructure.sqlite.readers import Readers, one_state
from inventory_grpc.infrastructure.sqlite.stocks import find_stocks

MAX_LISTED_LINES: Final = 2_500
"""Where a list of reservations stops taking more; at least one is listed."""

LOOKED_BACK: Final = 20
"""Events looked at for each stock that moved lately: few stocks may have moved often."""

Row = tuple[Any, ...]

_HEAD: Final = "(SELECT max(position) FROM events)"
_STOCK: Final = (
    "SELECT product_id, store_id, on_hand, reserved, version, update_time "
    "FROM streams JOIN stocks USING (stream)"
)
_HALF: Final = 32
"""Bits at which a level is split: SQLite fails where a sum does not fit into 64 bits, and sums of
halves always fit."""

_SUMMED: Final = ("on_hand", "reserved", "max(0, on_hand - reserved)")
_HALVES: Final = ", ".join(
    f"ifnull(sum({level} >> {_HALF}), 0), ifnull(sum({level} & {2**_HALF - 1}), 0)"
    for level in _SUMMED
)
_SUMS: Final = f"SELECT {_HALVES} FROM streams JOIN stocks USING (stream)"  # noqa: S608  made of our own words
_RESERVATION: Final = (
    "SELECT reservation, reservation_id, customer_id, order_id, reference, state, "
    "create_time, expire_time FROM reservations"
)


class SqliteViews:
    """The `Views` over the file. Each answer is made in one read transaction."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def stock(self, stock_id: StockId) -> Reading[Stock | None]:
        return self._readers.point(lambda connection: _stock_now(connection, stock_id))

    def reservation(self, reservation_id: ReservationId) -> Reading[Reservation | None]:
        def read(connection: apsw.Connection) -> Reading[Reservation | None]:
            with one_state(connection):
                head = log.read_head(connection)
                return Reading(_find_reservation(connection, reservation_id), head)

        return self._readers.point(read)

    async def stocks(
        self, stock_ids: Sequence[StockId], reservation_id: ReservationId | None
    ) -> Reading[Stocks]:
        def read(connection: apsw.Connection) -> Reading[Stocks]:
            head = log.read_head(connection)
            stocks = {stock.stock_id: stock for _, stock in find_stocks(connection, stock_ids)}
            own = _find_reservation(connection, reservation_id) if reservation_id else None
            return Reading(Stocks(stocks, own), head)

        return await self._readers.scan(read)

    async def stock_as_of(self, stock_id: StockId, position: int) -> Reading[Stock | None]:
        def read(connection: apsw.Connection) -> Reading[Stock | None]:
            stream = log.find_stream(connection, stock_id)
            version = 0 if stream is None else log.version_at(connection, stream, position)
            if not version:
                return Reading(None, position)
            data: bytes = connection.execute(
                "SELECT event FROM events WHERE stream = ? AND version = ?", (stream, version)
            ).get
            event = decode(data)
            stock = stock_after(event)
            return Reading(stock, position)

        return await self._readers.scan(read)

    async def product(
        self, product_id: str, after_store: str, limit: int, scope: Scope
    ) -> Reading[Product]:
        theirs, stores = _in_scope(scope)

        def read(connection: apsw.Connection) -> Reading[Product]:
            halves: Row = connection.execute(
                f"{_SUMS} WHERE product_id = ? AND {theirs}", (product_id, *stores)
            ).get
            rows = connection.execute(
                f"{_STOCK} WHERE product_id = ? AND {theirs} AND store_id > ? "
                "ORDER BY store_id LIMIT ?",
                (product_id, *stores, after_store, limit + 1),
            ).fetchall()
            on_hand, reserved, available = (
                (high << _HALF) + low for high, low in zip(halves[::2], halves[1::2], strict=True)
            )
            # what is available is on hand and not reserved, but for what is short
            shortfall = available + reserved - on_hand
            product = Product(on_hand, reserved, available, shortfall, _listing(rows, limit))
            return Reading(product, log.read_head(connection))

        return await self._readers.scan(read)

    async def list_stock(self, query: StockQuery, limit: int) -> Reading[Listing[Stock]]:
        sql, bindings = _stock_query(query)

        def read(connection: apsw.Connection) -> Reading[Listing[Stock]]:
            rows = connection.execute(sql, (*bindings, limit + 1)).fetchall()
            return Reading(_listing(rows, limit), log.read_head(connection))

        return await self._readers.scan(read)

    async def list_reservations(
        self, query: ReservationQuery, limit: int
    ) -> Reading[Listing[tuple[int, Reservation]]]:
        sql, bindings = _reservation_query(query)

        def read(connection: apsw.Connection) -> Reading[Listing[tuple[int, Reservation]]]:
            listed: list[tuple[int, Reservation]] = []
            lines, more = 0, False
            rows: Sequence[Row] = connection.execute(sql, (*bindings, limit + 1)).fetchall()
            for row in rows:
                if len(listed) == limit or lines >= MAX_LISTED_LINES:
                    more = True
                    break
                reservation = _reservation(connection, row)
                lines += len(reservation.lines)
                listed.append((row[0], reservation))
            return Reading(Listing(listed, more), log.read_head(connection))

        return await self._readers.scan(read)

    async def recently_moved(self, limit: int) -> Reading[Sequence[Stock]]:
        def read(connection: apsw.Connection) -> Reading[Sequence[Stock]]:
            rows = connection.execute(
                f"{_STOCK} WHERE stream IN (SELECT stream FROM "  # noqa: S608  as above
                "(SELECT stream, position FROM events ORDER BY position DESC LIMIT ?) "
                "GROUP BY stream ORDER BY max(position) DESC LIMIT ?)",
                (limit * LOOKED_BACK, limit),
            )
            return Reading([_stock(row) for row in rows], log.read_head(connection))

        return await self._readers.scan(read)


def _stock_now(connection: apsw.Connection, stock_id: StockId) -> Reading[Stock | None]:
    """Return a stock and the head in one statement, which is one state."""
    row = connection.execute(
        f"SELECT {_HEAD}, on_hand, reserved, version, update_time "  # noqa: S608  made of our own words, values are bound
        "FROM streams JOIN stocks USING (stream) WHERE product_id = ? AND store_id = ?",
        stock_id,
    ).fetchone()
    if row is None:
        # a head read after the stock was missed might be too new for that
        head, missing = connection.execute(
            f"SELECT {_HEAD}, NOT EXISTS "  # noqa: S608  as above
            "(SELECT 1 FROM streams WHERE product_id = ? AND store_id = ?)",
            stock_id,
        ).get
        return Reading(None, head or 0) if missing else _stock_now(connection, stock_id)
    head, on_hand, reserved, version, update_time = row
    return Reading(Stock(stock_id, Levels(on_hand, reserved), version, Instant(update_time)), head)


def _stock(row: Row) -> Stock:
    product_id, store_id, on_hand, reserved, version, update_time = row
    stock_id = StockId(ProductId(product_id), StoreId(store_id))
    return Stock(stock_id, Levels(on_hand, reserved), version, Instant(update_time))


def _listing(rows: Sequence[Row], limit: int) -> Listing[Stock]:
    return Listing([_stock(row) for row in rows[:limit]], len(rows) > limit)


def _find_reservation(
    connection: apsw.Connection, reservation_id: ReservationId
) -> Reservation | None:
    row = connection.execute(f"{_RESERVATION} WHERE reservation_id = ?", (reservation_id,))
    found = row.fetchone()
    return _reservation(connection, found) if found else None


def _reservation(
    connection: apsw.Connection,
    row: Row,
) -> Reservation:
    number, reservation_id, customer_id, order_id, reference, state, create_time, expire_time = row
    # in the order of the cart: that of the events which made it
    rows = connection.execute(
        "SELECT product_id, store_id, quantity, committed, released, expired "
        "FROM events JOIN reservation_lines USING (reservation, stream) "
        "JOIN streams USING (stream) "
        "WHERE position >= ? AND position < ? AND position - ordinal = ? ORDER BY position",
        (number, number + log.MAX_COMMAND_EVENTS, number),
    )
    lines = {
        StockId(ProductId(product_id), StoreId(store_id)): ReservedLine(*units)
        for product_id, store_id, *units in rows
    }
    return Reservation(
        reservation_id=ReservationId(reservation_id),
        customer_id=CustomerId(customer_id),
        reserved_for=OrderId(order_id) if order_id else None,
        committed_for=None,
        reference=reference,
        create_time=Instant(create_time),
        expire_time=None if expire_time is None else Instant(expire_time),
        state=ReservationState(state),
        lines=lines,
        held=sum(line.held for line in lines.values()),
        position=number,
    )


def _in_scope(scope: Scope) -> tuple[str, list[str]]:
    """Return the condition on `store_id` that keeps to *scope*, and what is bound in it."""
    if scope.stores is None:
        return "1", []
    return f"store_id IN ({', '.join('?' * len(scope.stores))})", sorted(scope.stores)


def _stock_query(query: StockQuery) -> tuple[str, list[int | str]]:
    terms, bindings = ["1"], list[int | str]()
    for column, values in (("product_id", query.product_ids), ("store_id", query.store_ids)):
        if values:
            terms.append(f"{column} IN ({', '.join('?' * len(values))})")
            bindings += sorted(values)
    if query.max_available is not None:
        terms.append("max(0, on_hand - reserved) <= ?")
        bindings.append(query.max_available)
    if query.after is not None:
        terms.append("(product_id, store_id) > (?, ?)")
        bindings += query.after
    where = " AND ".join(terms)
    return f"{_STOCK} WHERE {where} ORDER BY product_id, store_id LIMIT ?", bindings


def _reservation_query(query: ReservationQuery) -> tuple[str, list[int | str]]:
    terms, bindings = ["1"], list[int | str]()
    for column, value in (("customer_id", query.customer_id), ("order_id", query.order_id)):
        if value:
            terms.append(f"{column} = ?")
            bindings.append(value)
    if query.states:
        terms.append(f"state IN ({', '.join('?' * len(query.states))})")
        bindings += sorted(state.value for state in query.states)
    stock = [
        (column, value)
        for column, value in (("product_id", query.product_id), ("store_id", query.store_id))
        if value
    ]
    if stock:
        named = " AND ".join(f"{column} = ?" for column, _ in stock)
        terms.append(
            "reservation IN (SELECT reservation FROM reservation_lines "  # noqa: S608  as above
            f"JOIN streams USING (stream) WHERE {named})"
        )
        bindings += [value for _, value in stock]
    if query.scope is not EVERYWHERE:
        theirs, stores = _in_scope(query.scope)
        terms.append(
            "NOT EXISTS (SELECT 1 FROM reservation_lines AS line JOIN streams USING (stream) "  # noqa: S608  as above
            f"WHERE line.reservation = reservations.reservation AND NOT {theirs})"
        )
        bindings += stores
    if query.before is not None:
        terms.append("reservation < ?")
        bindings.append(query.before)
    where = " AND ".join(terms)
    return f"{_RESERVATION} WHERE {where} ORDER BY reservation DESC LIMIT ?", bindings
