"""The log and its read models in the file, as queries read them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import apsw

from inventory_grpc.application.ports import Listing, Query, Reading, T
from inventory_grpc.application.queries.reservation import ReservationQuery
from inventory_grpc.application.queries.stock import (
    Product,
    ProductById,
    RecentlyMoved,
    StockQuery,
    Stocks,
    StocksById,
)
from inventory_grpc.domain.event import Key, Levels
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import Instant, ReservationId, StockId
from inventory_grpc.infrastructure.codec import decode
from inventory_grpc.infrastructure.log.ids import stored
from inventory_grpc.infrastructure.sqlite import events as log
from inventory_grpc.infrastructure.sqlite.readers import Readers, one_state
from inventory_grpc.infrastructure.sqlite.reservation_list import (
    find_reservation,
    in_scope,
    list_reservations,
)
from inventory_grpc.infrastructure.sqlite.stock_list import STOCK_ROWS, list_stock, stock_of
from inventory_grpc.infrastructure.sqlite.stocks import find_stocks

LOOKED_BACK: Final = 20
"""Events looked at for each stock that moved lately: few stocks may have moved often."""

Row = tuple[Any, ...]

_HEAD: Final = "(SELECT max(position) FROM events)"
_IS_NAMED: Final = "kind = ? AND name = ?"
_HALF: Final = 32
"""Bits at which a level is split: SQLite fails where a sum does not fit into 64 bits, and sums of
halves always fit."""

_SUMMED: Final = ("on_hand", "reserved", "max(0, on_hand - reserved)")
_HALVES: Final = ", ".join(
    f"ifnull(sum({level} >> {_HALF}), 0), ifnull(sum({level} & {2**_HALF - 1}), 0)"
    for level in _SUMMED
)
_SUMS: Final = f"SELECT {_HALVES} FROM streams JOIN stocks USING (stream)"  # noqa: S608  made of our own words


_STOCK_NOW: Final = (
    f"SELECT {_HEAD}, on_hand, reserved, version, update_time "  # noqa: S608  as above
    f"FROM streams JOIN stocks USING (stream) WHERE {_IS_NAMED}"
)


class SqliteViews:
    """The `Views` over the file."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self.latest = LatestState(readers)

    def at(self, position: int) -> "PastState":
        return PastState(self._readers, position)


class LatestState:
    """The `Snapshot` of the newest state: each answer is made in one read transaction.

    A state is a look-up or two, done on the event loop without suspension; a query runs on a
    thread.
    """

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def get(self, key: Key) -> Reading[Any]:
        return self._readers.point(_STATES[type(key)], key)

    async def read(self, query: Query[T]) -> Reading[T]:
        answer = _ANSWERS[type(query)]

        def read(connection: apsw.Connection) -> Reading[T]:
            return Reading(answer(connection, query), log.read_head(connection))

        return await self._readers.scan(read)


class PastState:
    """The state right after a position, as the events up to there say."""

    def __init__(self, readers: Readers, position: int) -> None:
        self._readers = readers
        self._position = position

    async def get(self, key: StockId) -> Reading[Inventory | None]:
        def read(connection: apsw.Connection) -> Reading[Inventory | None]:
            return Reading(_stock_at(connection, key, self._position), self._position)

        return await self._readers.scan(read)


def _stock_now(connection: apsw.Connection, stock_id: StockId) -> Reading[Inventory | None]:
    """Return a stock and the head in one statement, which is one state."""
    key = stored(stock_id)
    row = connection.execute(_STOCK_NOW, key).fetchone()
    if row is None:
        # a head read after the stock was missed might be too new for that
        head, missing = connection.execute(
            f"SELECT {_HEAD}, NOT EXISTS "  # noqa: S608  as above
            f"(SELECT 1 FROM streams WHERE {_IS_NAMED})",
            key,
        ).get
        return Reading(None, head or 0) if missing else _stock_now(connection, stock_id)
    head, on_hand, reserved, version, update_time = row
    return Reading(
        Inventory(stock_id, Levels(on_hand, reserved), version, Instant(update_time)), head
    )


def _reservation_now(
    connection: apsw.Connection, reservation_id: ReservationId
) -> Reading[Reservation | None]:
    with one_state(connection):
        head = log.read_head(connection)
        return Reading(find_reservation(connection, reservation_id), head)


def _stock_at(connection: apsw.Connection, stock_id: StockId, position: int) -> Inventory | None:
    stream = log.find_stream(connection, stock_id)
    version = 0 if stream is None else log.version_at(connection, stream, position)
    if not version:
        return None
    data: bytes = connection.execute(
        "SELECT event FROM events WHERE stream = ? AND version = ?", (stream, version)
    ).get
    return Inventory.at(decode(data))


def _stocks(connection: apsw.Connection, query: StocksById) -> Stocks:
    stocks = {stock.stock_id: stock for _, stock in find_stocks(connection, query.stock_ids)}
    own = find_reservation(connection, query.reservation_id) if query.reservation_id else None
    return Stocks(stocks, own)


def _product(connection: apsw.Connection, query: ProductById) -> Product:
    theirs, stores = in_scope(query.scope)
    halves: Row = connection.execute(
        f"{_SUMS} WHERE product_id = ? AND {theirs}", (query.product_id, *stores)
    ).get
    rows = connection.execute(
        f"{STOCK_ROWS} WHERE product_id = ? AND {theirs} AND store_id > ? "
        "ORDER BY store_id LIMIT ?",
        (query.product_id, *stores, query.after_store, query.limit + 1),
    ).fetchall()
    on_hand, reserved, available = (
        (high << _HALF) + low for high, low in zip(halves[::2], halves[1::2], strict=True)
    )
    # available is on hand less reserved, except for the shortfall
    shortfall = available + reserved - on_hand
    stocks = [stock_of(row) for row in rows[: query.limit]]
    after = stocks[-1].stock_id if len(rows) > query.limit else None
    return Product(on_hand, reserved, available, shortfall, Listing(stocks, after))


def _recently_moved(connection: apsw.Connection, query: RecentlyMoved) -> Sequence[Inventory]:
    rows = connection.execute(
        f"{STOCK_ROWS} WHERE stream IN (SELECT stream FROM "  # noqa: S608  as above
        "(SELECT stream, position FROM events ORDER BY position DESC LIMIT ?) "
        "GROUP BY stream ORDER BY max(position) DESC LIMIT ?)",
        (query.limit * LOOKED_BACK, query.limit),
    )
    return [stock_of(row) for row in rows]


_STATES: Final[Mapping[type[Any], Callable[[apsw.Connection, Any], Reading[Any]]]] = {
    StockId: _stock_now,
    ReservationId: _reservation_now,
}
"""How the newest state of a key is read, by the class of the key."""

_ANSWERS: Final[Mapping[type[Query[Any]], Callable[[apsw.Connection, Any], Any]]] = {
    StocksById: _stocks,
    ProductById: _product,
    StockQuery: list_stock,
    RecentlyMoved: _recently_moved,
    ReservationQuery: list_reservations,
}
"""How a query is answered, by its class."""
