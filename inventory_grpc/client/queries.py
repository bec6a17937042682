"""How does a caller read what stores have and what is promised to whom?"""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, TypedDict, Unpack

from inventory_grpc.client import messages
from inventory_grpc.client.calls import Calls
from inventory_grpc_protos.v1 import queries_pb2 as pb
from inventory_grpc_protos.v1.queries_pb2_grpc import InventoryQueriesStub
from inventory_grpc_protos.v1.stock_pb2 import ReservationState

State = Literal["ACTIVE", "COMMITTED", "RELEASED", "EXPIRED"]


class Reading(TypedDict, total=False):
    """What may be said with every query."""

    min_position: int
    """The answer is at least as new as this: the `position` of a command, for example."""
    timeout: float
    """Seconds for all attempts together, if not the client's."""


class Queries:
    """The side that reads."""

    _calls: Calls
    _queries: InventoryQueriesStub

    async def get_stock(
        self,
        *,
        product_id: str,
        store_id: str,
        as_of_position: int | None = None,
        as_of_time: datetime | None = None,
        **reading: Unpack[Reading],
    ) -> pb.GetStockResponse:
        """Return the stock as it is now, or was at a position or a time."""
        messages.at_most_one(as_of_position=as_of_position, as_of_time=as_of_time)
        request = pb.GetStockRequest(
            product_id=product_id,
            store_id=store_id,
            as_of_time=messages.maybe_timestamp(as_of_time),
            min_position=reading.get("min_position", 0),
        )
        if as_of_position is not None:
            request.as_of_position = as_of_position
        return await self._calls(self._queries.GetStock, request, reading.get("timeout"))

    async def batch_get_stock(
        self, *, keys: Iterable[tuple[str, str]], **reading: Unpack[Reading]
    ) -> pb.BatchGetStockResponse:
        request = pb.BatchGetStockRequest(
            keys=messages.keys(keys), min_position=reading.get("min_position", 0)
        )
        return await self._calls(self._queries.BatchGetStock, request, reading.get("timeout"))

    async def check_availability(
        self,
        *,
        lines: Iterable[tuple[str, str, int]],
        reservation_id: str = "",
        **reading: Unpack[Reading],
    ) -> pb.CheckAvailabilityResponse:
        """Say whether *lines* could be reserved now, beside what *reservation_id* holds."""
        request = pb.CheckAvailabilityRequest(
            lines=messages.lines(lines),
            reservation_id=reservation_id,
            min_position=reading.get("min_position", 0),
        )
        return await self._calls(self._queries.CheckAvailability, request, reading.get("timeout"))

    async def get_product_inventory(
        self,
        *,
        product_id: str,
        page_size: int = 0,
        page_token: str = "",
        **reading: Unpack[Reading],
    ) -> pb.GetProductInventoryResponse:
        request = pb.GetProductInventoryRequest(
            product_id=product_id,
            page_size=page_size,
            page_token=page_token,
            min_position=reading.get("min_position", 0),
        )
        return await self._calls(self._queries.GetProductInventory, request, reading.get("timeout"))

    async def list_stock(
        self,
        *,
        product_ids: Iterable[str] = (),
        store_ids: Iterable[str] = (),
        max_available: int | None = None,
        page_size: int = 0,
        page_token: str = "",
        **reading: Unpack[Reading],
    ) -> pb.ListStockResponse:
        request = pb.ListStockRequest(
            product_ids=product_ids,
            store_ids=store_ids,
            max_available=max_available,
            page_size=page_size,
            page_token=page_token,
            min_position=reading.get("min_position", 0),
        )
        return await self._calls(self._queries.ListStock, request, reading.get("timeout"))

    async def get_reservation(
        self, *, reservation_id: str, **reading: Unpack[Reading]
    ) -> pb.GetReservationResponse:
        request = pb.GetReservationRequest(
            reservation_id=reservation_id, min_position=reading.get("min_position", 0)
        )
        return await self._calls(self._queries.GetReservation, request, reading.get("timeout"))

    async def list_reservations(  # noqa: PLR0913  the fields of the request
        self,
        *,
        customer_id: str = "",
        order_id: str = "",
        states: Iterable[State] = (),
        product_id: str = "",
        store_id: str = "",
        page_size: int = 0,
        page_token: str = "",
        **reading: Unpack[Reading],
    ) -> pb.ListReservationsResponse:
        request = pb.ListReservationsRequest(
            customer_id=customer_id,
            order_id=order_id,
            states=[ReservationState.Value(f"RESERVATION_STATE_{state}") for state in states],
            product_id=product_id,
            store_id=store_id,
            page_size=page_size,
            page_token=page_token,
            min_position=reading.get("min_position", 0),
        )
        return await self._calls(self._queries.ListReservations, request, reading.get("timeout"))
