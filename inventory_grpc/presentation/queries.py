"""The side that reads, as gRPC calls it: map, ask, map."""

from inventory_grpc.application.queries import Queries as Asked
from inventory_grpc.domain.values import ProductId, ReservationId, StoreId
from inventory_grpc.presentation import mapping_queries as mapping
from inventory_grpc.presentation import page_tokens
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.validation import Validator
from inventory_grpc_protos.v1 import queries_pb2 as pb


class Queries:
    """Serves `InventoryQueries` from the read models."""

    def __init__(self, queries: Asked) -> None:
        self._queries = queries

    async def GetStock(self, request: pb.GetStockRequest, call: Call) -> pb.GetStockResponse:
        with Validator(call.caller) as check:
            stock_id = check.stock_id(request)
            moment = mapping.as_of(check, request)
            at_least = check.number("min_position", request.min_position, 0)
        match moment:
            case None:
                reading = self._queries.stock(stock_id, at_least)
            case mapping.AtPosition(position):
                reading = await self._queries.stock_at_position(stock_id, position, at_least)
            case mapping.AtTime(time):
                reading = await self._queries.stock_at_time(stock_id, time, at_least)
        return mapping.got_stock(reading)

    async def BatchGetStock(
        self, request: pb.BatchGetStockRequest, call: Call
    ) -> pb.BatchGetStockResponse:
        with Validator(call.caller) as check:
            stock_ids = mapping.keys(check, request)
            at_least = check.number("min_position", request.min_position, 0)
        reading = await self._queries.stocks(list(dict.fromkeys(stock_ids)), at_least)
        return mapping.got_stocks(stock_ids, reading)

    async def CheckAvailability(
        self, request: pb.CheckAvailabilityRequest, call: Call
    ) -> pb.CheckAvailabilityResponse:
        with Validator(call.caller) as check:
            cart = check.cart(request.lines, at_least=1)
            own = check.take_if_any(ReservationId, "reservation_id", request.reservation_id)
            at_least = check.number("min_position", request.min_position, 0)
        scope = call.caller.scope
        return mapping.checked(await self._queries.availability(cart, own, at_least, scope))

    async def GetProductInventory(
        self, request: pb.GetProductInventoryRequest, call: Call
    ) -> pb.GetProductInventoryResponse:
        with Validator(call.caller) as check:
            product_id = check.take(ProductId, "product_id", request.product_id)
            after = page_tokens.last_key(check, request, request.page_token, StoreId)
            size = page_tokens.size(check, request.page_size)
            at_least = check.number("min_position", request.min_position, 0)
        store_id = after[0] if after else ""
        scope = call.caller.scope
        reading = await self._queries.product(product_id, store_id, size, at_least, scope)
        return mapping.got_product(request, reading)

    async def ListStock(self, request: pb.ListStockRequest, call: Call) -> pb.ListStockResponse:
        with Validator(call.caller) as check:
            query = mapping.stock_query(check, request)
            size = page_tokens.size(check, request.page_size)
            at_least = check.number("min_position", request.min_position, 0)
        reading = await self._queries.list_stock(query, size, at_least)
        return mapping.listed_stock(request, reading)

    async def GetReservation(
        self, request: pb.GetReservationRequest, call: Call
    ) -> pb.GetReservationResponse:
        with Validator(call.caller) as check:
            reservation_id = check.take(ReservationId, "reservation_id", request.reservation_id)
            at_least = check.number("min_position", request.min_position, 0)
        scope = call.caller.scope
        return mapping.got_reservation(self._queries.reservation(reservation_id, at_least, scope))

    async def ListReservations(
        self, request: pb.ListReservationsRequest, call: Call
    ) -> pb.ListReservationsResponse:
        with Validator(call.caller) as check:
            query = mapping.reservation_query(check, request)
            size = page_tokens.size(check, request.page_size)
            at_least = check.number("min_position", request.min_position, 0)
        reading = await self._queries.list_reservations(query, size, at_least)
        return mapping.listed_reservations(request, reading)
