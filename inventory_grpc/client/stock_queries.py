"""The queries of stocks."""

from collections.abc import Iterable
from datetime import datetime

from inventory_grpc.client import messages
from inventory_grpc.client.calls import Calls
from inventory_grpc_protos.v1 import queries_pb2 as pb


class StockQueries:
    """Reads stocks.

    Every response has the position of the log that it reflects, `as_of_position`. Every query
    takes

    - `min_position`: the answer is at least as new as this, such as the `position` of a command.
    - `timeout`: seconds for all attempts together, above 0 and at most 86,400.

    Lists take `page_size` (the most rows; 0 means 100, the maximum is 1,000) and `page_token`
    (the `next_page_token` of the previous page). Only an empty `next_page_token` means the end;
    an earlier page may have few rows, or none.

    Besides its own errors, every query may raise

    - `InvalidValue` if a value is invalid, `PositionAhead` if *min_position* is beyond the end
      of the log, `Unauthenticated` or `PermissionDenied` if the caller may not read it,
    - `Overloaded`, `ReadsRefused` or `ShuttingDown` if the server cannot answer now,
    - `Unavailable`, `DeadlineExceeded` or `Cancelled` if there was no answer in time,
    - `LogDamaged` if stored data is damaged, `Internal` if the server has a bug.

    A value of the wrong type raises a `TypeError`; then nothing is sent.
    """

    _calls: Calls

    async def get_stock(  # noqa: PLR0913  the fields of the request
        self,
        *,
        product_id: str,
        store_id: str,
        as_of_position: int | None = None,
        as_of_time: datetime | None = None,
        min_position: int = 0,
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
    ) -> pb.GetStockResponse:
        """Return the stock as it is now, or as it was at a position or a time of the log.

        Raises:
            StockNotFound: the stock has no history, or had none then.
            PositionAhead: a position is beyond the end of the log; `head_position` is the end.
            ValueError: both *as_of_position* and *as_of_time* are given, or the time has no zone.
            InventoryError: one of those that every query may raise, see `StockQueries`.
        """
        messages.at_most_one(as_of_position=as_of_position, as_of_time=as_of_time)
        request = messages.made(
            pb.GetStockRequest,
            product_id=product_id,
            store_id=store_id,
            as_of_time=messages.maybe_timestamp("as_of_time", as_of_time),
            min_position=min_position,
        )
        if as_of_position is not None:
            request.as_of_position = as_of_position
        return await self._calls(lambda on: on.queries.GetStock, request, timeout)

    async def batch_get_stock(
        self,
        *,
        keys: Iterable[tuple[str, str]],
        min_position: int = 0,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> pb.BatchGetStockResponse:
        """Return 1 to 1,000 stocks at one position; `missing` names those without history.

        *keys* is a list of `Key(product_id, store_id)` or plain pairs.

        Raises:
            InventoryError: one of those that every query may raise, see `StockQueries`.
        """
        request = messages.made(
            pb.BatchGetStockRequest, keys=messages.keys(keys), min_position=min_position
        )
        return await self._calls(lambda on: on.queries.BatchGetStock, request, timeout)

    async def check_availability(  # noqa: PLR0913  as above
        self,
        *,
        lines: Iterable[tuple[str, str, int]],
        reservation_id: str = "",
        channel: str = "",
        in_stock_only: bool = False,
        min_position: int = 0,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> pb.CheckAvailabilityResponse:
        """Return for each of 1 to 500 *lines* whether it could be reserved now; reserve nothing.

        Of a line, `available` is what can be had from stock, by the *channel* if there is one, and
        `backorderable` what can be had beyond it, which waits for goods; 0 with *in_stock_only*.
        The units that *reservation_id* holds count as available, and its channel counts; then
        there is no *channel*.

        Raises:
            ReservationNotFound: *reservation_id* is given, and there is no such reservation.
            InventoryError: one of those that every query may raise, see `StockQueries`.
        """
        messages.flag("in_stock_only", in_stock_only)
        request = messages.made(
            pb.CheckAvailabilityRequest,
            lines=messages.lines(lines),
            reservation_id=reservation_id,
            channel=channel,
            in_stock_only=in_stock_only,
            min_position=min_position,
        )
        return await self._calls(lambda on: on.queries.CheckAvailability, request, timeout)

    async def get_product_inventory(
        self,
        *,
        product_id: str,
        page_size: int = 0,
        page_token: str = "",
        min_position: int = 0,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> pb.GetProductInventoryResponse:
        """Return the total of one product over all stores, and a page of its stocks by store.

        Raises:
            LevelTooHigh: the total exceeds the maximum.
            InventoryError: one of those that every query may raise, see `StockQueries`.
        """
        request = messages.made(
            pb.GetProductInventoryRequest,
            product_id=product_id,
            page_size=page_size,
            page_token=page_token,
            min_position=min_position,
        )
        return await self._calls(lambda on: on.queries.GetProductInventory, request, timeout)

    async def list_stock(  # noqa: PLR0913  as above
        self,
        *,
        product_ids: Iterable[str] = (),
        store_ids: Iterable[str] = (),
        max_available: int | None = None,
        low_stock: bool = False,
        short: bool = False,
        backordered: bool = False,
        page_size: int = 0,
        page_token: str = "",
        min_position: int = 0,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> pb.ListStockResponse:
        """Return a page of the stocks that match every filter, ordered by product and store.

        *product_ids* and *store_ids* are lists of at most 100; an empty list matches all.
        *max_available* matches stocks with at most that many available units; *low_stock*,
        *short* and *backordered* match only stocks that are low, or have a shortfall, or units
        that wait for goods.

        Raises:
            InventoryError: one of those that every query may raise, see `StockQueries`.
        """
        request = messages.made(
            pb.ListStockRequest,
            product_ids=messages.strings("product_ids", product_ids),
            store_ids=messages.strings("store_ids", store_ids),
            max_available=max_available,
            low_stock=low_stock,
            short=short,
            backordered=backordered,
            page_size=page_size,
            page_token=page_token,
            min_position=min_position,
        )
        return await self._calls(lambda on: on.queries.ListStock, request, timeout)
