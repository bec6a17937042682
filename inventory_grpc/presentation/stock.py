"""The queries of stocks over gRPC, and their rows."""

from collections.abc import Sequence
from typing import Final, assert_never

from inventory_grpc.application.ports import PastSnapshot
from inventory_grpc.application.queries.snapshot import Latest, Queries
from inventory_grpc.application.queries.stock import (
    ProductInventoryById,
    StockQuery,
    StocksById,
    availability,
    find_product_inventory,
    find_stock,
)
from inventory_grpc.domain.promises import Asked
from inventory_grpc.domain.refusals import InvalidValue, Violation
from inventory_grpc.domain.values import (
    Channel,
    Instant,
    ProductId,
    ReservationId,
    StockId,
    StoreId,
)
from inventory_grpc.presentation import page_tokens
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.rows import QueryRow
from inventory_grpc.presentation.to_proto import (
    fill_key,
    fill_levels,
    fill_stock,
)
from inventory_grpc.presentation.validation import Validator, counted
from inventory_grpc_protos.v1 import queries_pb2

MAX_KEYS: Final = 1_000
"""Stocks in one `BatchGetStock`."""


MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
"""The most bytes that gRPC sends in a message; clients accept no more by default."""


async def get_stock(
    queries: Queries, request: queries_pb2.GetStockRequest, call: Call
) -> queries_pb2.GetStockResponse:
    with Validator(call.caller) as check:
        stock_id = check.stock_id(request)
        moment = _as_of(check, request)
        at_least = check.number("min_position", request.min_position, 0)
    snapshot: Latest | PastSnapshot
    match moment:
        case None:
            snapshot = queries.latest(at_least)
        case Instant():
            snapshot = await queries.at_time(moment, at_least)
        case position:
            snapshot = await queries.at_position(position, at_least)
    reading = await find_stock(snapshot, stock_id)
    response = queries_pb2.GetStockResponse()
    fill_stock(response.stock, reading.value)
    response.as_of_position = reading.as_of
    return response


def _as_of(check: Validator, request: queries_pb2.GetStockRequest) -> int | Instant | None:
    """Return the requested position or time; None means now."""
    match request.WhichOneof("as_of"):
        case None:
            return None
        case "as_of_position":
            return check.number("as_of_position", request.as_of_position, 0)
        case "as_of_time":
            return check.instant("as_of_time", request.as_of_time)
        case other:
            assert_never(other)


async def batch_get_stock(
    queries: Queries, request: queries_pb2.BatchGetStockRequest, call: Call
) -> queries_pb2.BatchGetStockResponse:
    with Validator(call.caller) as check:
        stock_ids = _keys(check, request)
        at_least = check.number("min_position", request.min_position, 0)
    reading = await queries.latest(at_least).read(StocksById(list(dict.fromkeys(stock_ids))))
    response = queries_pb2.BatchGetStockResponse(as_of_position=reading.as_of)
    for stock_id in stock_ids:
        stock = reading.value.stocks.get(stock_id)
        if stock is None:
            fill_key(response.missing.add(), stock_id)
        else:
            fill_stock(response.stocks.add(), stock)
    if (size := response.ByteSize()) > MAX_ANSWER_BYTES:
        problem = f"name stocks of {size:,} bytes; {MAX_ANSWER_BYTES:,} fit into an answer"
        raise InvalidValue([Violation("keys", problem)])
    return response


def _keys(check: Validator, request: queries_pb2.BatchGetStockRequest) -> Sequence[StockId]:
    if not 1 <= len(request.keys) <= MAX_KEYS:
        check.violation("keys", f"{counted(len(request.keys))}; must be 1 to {MAX_KEYS:,} keys")
        return []
    return [check.stock_id(key, f"keys[{index}].") for index, key in enumerate(request.keys)]


async def check_availability(
    queries: Queries, request: queries_pb2.CheckAvailabilityRequest, call: Call
) -> queries_pb2.CheckAvailabilityResponse:
    with Validator(call.caller) as check:
        cart = check.cart(request.lines, at_least=1)
        own = check.optional_value(ReservationId, "reservation_id", request.reservation_id)
        channel = check.optional_value(Channel, "channel", request.channel)
        if own and channel:
            check.violation("channel", "must be unset; that of the reservation counts")
        asked = Asked(channel, request.in_stock_only)
        at_least = check.number("min_position", request.min_position, 0)
    reading = await availability(queries.latest(at_least), cart, own, call.caller.scope, asked)
    response = queries_pb2.CheckAvailabilityResponse(
        available=not any(line.shortfall for line in reading.value), as_of_position=reading.as_of
    )
    for line in reading.value:
        response.lines.add(
            product_id=line.stock_id.product_id,
            store_id=line.stock_id.store_id,
            requested=line.requested,
            available=line.available,
            shortfall=line.shortfall,
            backorderable=line.backorderable,
        )
    return response


async def get_product_inventory(
    queries: Queries, request: queries_pb2.GetProductInventoryRequest, call: Call
) -> queries_pb2.GetProductInventoryResponse:
    with Validator(call.caller) as check:
        product_id = check.value(ProductId, "product_id", request.product_id)
        after = page_tokens.last_key(check, request, request.page_token, StoreId)
        size = page_tokens.size(check, request.page_size)
        at_least = check.number("min_position", request.min_position, 0)
    store_id = after[0] if after else ""
    query = ProductInventoryById(product_id, store_id, call.caller.scope, limit=size)
    reading = await find_product_inventory(queries.latest(at_least), query)
    product = reading.value
    response = queries_pb2.GetProductInventoryResponse(as_of_position=reading.as_of)
    total = response.total
    total.product_id = request.product_id
    fill_levels(total, product.total)
    for stock in product.stocks.rows:
        fill_stock(response.stocks.add(), stock)
    if product.stocks.after is not None:
        _, store_id = product.stocks.after
        response.next_page_token = page_tokens.token(request, store_id)
    return response


async def list_stock(
    queries: Queries, request: queries_pb2.ListStockRequest, call: Call
) -> queries_pb2.ListStockResponse:
    with Validator(call.caller) as check:
        after = page_tokens.last_key(check, request, request.page_token, ProductId, StoreId)
        max_available = None
        if request.HasField("max_available"):
            max_available = check.number("max_available", request.max_available, 0)
        query = StockQuery(
            check.values(ProductId, "product_ids", request.product_ids),
            check.stores("store_ids", request.store_ids),
            max_available,
            request.low_stock,
            request.short,
            request.backordered,
            (after[0], after[1]) if after else None,
            limit=page_tokens.size(check, request.page_size),
        )
        at_least = check.number("min_position", request.min_position, 0)
    reading = await queries.latest(at_least).read(query)
    response = queries_pb2.ListStockResponse(as_of_position=reading.as_of)
    for stock in reading.value.rows:
        fill_stock(response.stocks.add(), stock)
    if reading.value.after is not None:
        response.next_page_token = page_tokens.token(request, *reading.value.after)
    return response


QUERIES: Final = (
    QueryRow("GetStock", get_stock),
    QueryRow("BatchGetStock", batch_get_stock),
    QueryRow("CheckAvailability", check_availability),
    QueryRow("GetProductInventory", get_product_inventory),
    QueryRow("ListStock", list_stock),
)
