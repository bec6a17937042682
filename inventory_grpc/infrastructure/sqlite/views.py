"""The read models in the file, as queries ask them."""

from collections.abc import Sequence
from typing import Any, Final

import apsw

from inventory_grpc.application.access import Scope
from inventory_grpc.application.reading import (
    Listing,
    Product,
    Reading,
    ReservationQuery,
    StockKey,
    StockQuery,
    Stocks,
)
from inventory_grpc.domain.event import Levels
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


class SqliteViews:
    """The `Views` over the file. Each answer is made in one read transaction."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def stock(self, stock_id: StockId) -> Reading[Inventory | None]:
        return self._readers.point(lambda connection: _stock_now(connection, stock_id))

    def reservation(self, reservation_id: ReservationId) -> Reading[Reservation | None]:
        def read(connection: apsw.Connection) -> Reading[Reservation | None]:
            with one_state(connection):
                head = log.read_head(connection)
                return Reading(find_reservation(connection, reservation_id), head)

        return self._readers.point(read)

    async def stocks(
        self, stock_ids: Sequence[StockId], reservation_id: ReservationId | None
    ) -> Reading[Stocks]:
        def read(connection: apsw.Connection) -> Reading[Stocks]:
            head = log.read_head(connection)
            stocks = {stock.stock_id: stock for _, stock in find_stocks(connection, stock_ids)}
            own = find_reservation(connection, reservation_id) if reservation_id else None
            return Reading(Stocks(stocks, own), head)

        return await self._readers.scan(read)

    async def stock_as_of(self, stock_id: StockId, position: int) -> Reading[Inventory | None]:
        def read(connection: apsw.Connection) -> Reading[Inventory | None]:
            stream = log.find_stream(connection, stock_id)
            version = 0 if stream is None else log.version_at(connection, stream, position)
            if not version:
                return Reading(None, position)
            data: bytes = connection.execute(
                "SELECT event FROM events WHERE stream = ? AND version = ?", (stream, version)
            ).get
            event = decode(data)
            stock = Inventory.at(event)
            return Reading(stock, position)

        return await self._readers.scan(read)

    async def product(
        self, product_id: str, after_store: str, limit: int, scope: Scope
    ) -> Reading[Product]:
        theirs, stores = in_scope(scope)

        def read(connection: apsw.Connection) -> Reading[Product]:
            halves: Row = connection.execute(
                f"{_SUMS} WHERE product_id = ? AND {theirs}", (product_id, *stores)
            ).get
            rows = connection.execute(
                f"{STOCK_ROWS} WHERE product_id = ? AND {theirs} AND store_id > ? "
                "ORDER BY store_id LIMIT ?",
                (product_id, *stores, after_store, limit + 1),
            ).fetchall()
            on_hand, reserved, available = (
                (high << _HALF) + low for high, low in zip(halves[::2], halves[1::2], strict=True)
            )
            # what is available is on hand and not reserved, but for what is short
            shortfall = available + reserved - on_hand
            stocks = [stock_of(row) for row in rows[:limit]]
            after = stocks[-1].stock_id if len(rows) > limit else None
            product = Product(on_hand, reserved, available, shortfall, Listing(stocks, after))
            return Reading(product, log.read_head(connection))

        return await self._readers.scan(read)

    async def list_stock(
        self, query: StockQuery, limit: int
    ) -> Reading[Listing[Inventory, StockKey]]:
        def read(connection: apsw.Connection) -> Reading[Listing[Inventory, StockKey]]:
            return Reading(list_stock(connection, query, limit), log.read_head(connection))

        return await self._readers.scan(read)

    async def list_reservations(
        self, query: ReservationQuery, limit: int
    ) -> Reading[Listing[tuple[int, Reservation], int]]:
        def read(connection: apsw.Connection) -> Reading[Listing[tuple[int, Reservation], int]]:
            return Reading(list_reservations(connection, query, limit), log.read_head(connection))

        return await self._readers.scan(read)

    async def recently_moved(self, limit: int) -> Reading[Sequence[Inventory]]:
        def read(connection: apsw.Connection) -> Reading[Sequence[Inventory]]:
            rows = connection.execute(
                f"{STOCK_ROWS} WHERE stream IN (SELECT stream FROM "  # noqa: S608  as above
                "(SELECT stream, position FROM events ORDER BY position DESC LIMIT ?) "
                "GROUP BY stream ORDER BY max(position) DESC LIMIT ?)",
                (limit * LOOKED_BACK, limit),
            )
            return Reading([stock_of(row) for row in rows], log.read_head(connection))

        return await self._readers.scan(read)


def _stock_now(connection: apsw.Connection, stock_id: StockId) -> Reading[Inventory | None]:
    """Return a stock and the head in one statement, which is one state."""
    key = stored(stock_id)
    row = connection.execute(
        f"SELECT {_HEAD}, on_hand, reserved, version, update_time "  # noqa: S608  made of our own words, values are bound
        f"FROM streams JOIN stocks USING (stream) WHERE {_IS_NAMED}",
        key,
    ).fetchone()
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
