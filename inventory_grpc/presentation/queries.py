"""The side that reads, as gRPC calls it: map, ask, map."""

from inventory_grpc.application.queries import Queries as Asked
from inventory_grpc.domain.values import ProductId, ReservationId, StoreId
from inventory_grpc.presentation import mapping_queries as mapping
from inventory_grpc.presentation import page_tokens
from inventory_grpc.presentation.caller import CALLER
from inventory_grpc.presentation.form import Form
from inventory_grpc.presentation.grpc_types import Context
from inventory_grpc_protos.v1 import queries_pb2 as pb
from inventory_grpc_protos.v1.queries_pb2_grpc import InventoryQueriesServicer


class Queries(InventoryQueriesServicer):
    """Serves `InventoryQueries` from the read models."""

    def __init__(self, queries: Asked) -> None:
        self._queries = queries

    async def GetStock(self, request: pb.GetStockRequest, _context: Context) -> pb.GetStockResponse:
        with Form() as form:
            stock_id = form.stock_id(request)
            moment = mapping.as_of(form, request)
            at_least = form.number("min_position", request.min_position, 0)
        match moment:
            case None:
                reading = self._queries.stock(stock_id, at_least)
            case mapping.AtPosition(position):
                reading = await self._queries.stock_at_position(stock_id, position, at_least)
            case mapping.AtTime(time):
                reading = await self._queries.stock_at_time(stock_id, time, at_least)
        return mapping.got_stock(reading)

    async def BatchGetStock(
        self, request: pb.BatchGetStockRequest, _context: Context
    ) -> pb.BatchGetStockResponse:
        with Form() as form:
            stock_ids = mapping.keys(form, request)
            at_least = form.number("min_position", request.min_position, 0)
        reading = await self._queries.stocks(list(dict.fromkeys(stock_ids)), at_least)
        return mapping.got_stocks(stock_ids, reading)

    async def CheckAvailability(
        self, request: pb.CheckAvailabilityRequest, _context: Context
    ) -> pb.CheckAvailabilityResponse:
        with Form() as form:
            cart = form.cart(request.lines, at_least=1)
            own = form.take_if_any(ReservationId, "reservation_id", request.reservation_id)
            at_least = form.number("min_position", request.min_position, 0)
        scope = CALLER.get().scope
        return mapping.checked(await self._queries.availability(cart, own, at_least, scope))

    async def GetProductInventory(
        self, request: pb.GetProductInventoryRequest, _context: Context
    ) -> pb.GetProductInventoryResponse:
        with Form() as form:
            product_id = form.take(ProductId, "product_id", request.product_id)
            after = page_tokens.last_key(form, request, request.page_token, StoreId)
            size = page_tokens.size(form, request.page_size)
            at_least = form.number("min_position", request.min_position, 0)
        store_id = after[0] if after else ""
        scope = CALLER.get().scope
        reading = await self._queries.product(product_id, store_id, size, at_least, scope)
        return mapping.got_product(request, reading)

    async def ListStock(
        self, request: pb.ListStockRequest, _context: Context
    ) -> pb.ListStockResponse:
        with Form() as form:
            query = mapping.stock_query(form, request)
            size = page_tokens.size(form, request.page_size)
            at_least = form.number("min_position", request.min_position, 0)
        reading = await self._queries.list_stock(query, size, at_least)
        return mapping.listed_stock(request, reading)

    async def GetReservation(
        self, request: pb.GetReservationRequest, _context: Context
    ) -> pb.GetReservationResponse:
        with Form() as form:
            reservation_id = form.take(ReservationId, "reservation_id", request.reservation_id)
            at_least = form.number("min_position", request.min_position, 0)
        scope = CALLER.get().scope
        return mapping.got_reservation(self._queries.reservation(reservation_id, at_least, scope))

    async def ListReservations(
        self, request: pb.ListReservationsRequest, _context: Context
    ) -> pb.ListReservationsResponse:
        with Form() as form:
            query = mapping.reservation_query(form, request)
            size = page_tokens.size(form, request.page_size)
            at_least = form.number("min_position", request.min_position, 0)
        reading = await self._queries.list_reservations(query, size, at_least)
        return mapping.listed_reservations(request, reading)
