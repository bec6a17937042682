"""What does a caller of `InventoryQueries` ask, and what is the answer?"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, assert_never

from inventory_grpc.application.queries import Availability
from inventory_grpc.application.reading import (
    Listing,
    Product,
    Reading,
    ReservationQuery,
    StockKey,
    StockQuery,
)
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import (
    CustomerId,
    Instant,
    OrderId,
    ProductId,
    StockId,
    StoreId,
)
from inventory_grpc.presentation import page_tokens
from inventory_grpc.presentation.to_proto import (
    STATES,
    fill_key,
    fill_reservation,
    fill_stock,
)
from inventory_grpc.presentation.validation import Validator, counted
from inventory_grpc_protos.v1 import queries_pb2 as pb

MAX_KEYS: Final = 1_000
"""Stocks in one batch read."""

MAX_VALUES: Final = 100
"""Values in one list of a filter."""

_STATES: Final = {number: state for state, number in STATES.items()}


class AtPosition(NamedTuple):
    """Right after a position."""

    position: int


class AtTime(NamedTuple):
    """At a time."""

    time: Instant


def as_of(check: Validator, request: pb.GetStockRequest) -> AtPosition | AtTime | None:
    """Return the moment asked for; none is now."""
    match request.WhichOneof("as_of"):
        case None:
            return None
        case "as_of_position":
            return AtPosition(check.number("as_of_position", request.as_of_position, 0))
        case "as_of_time":
            return AtTime(check.instant("as_of_time", request.as_of_time))
        case other:
            assert_never(other)


def keys(check: Validator, request: pb.BatchGetStockRequest) -> Sequence[StockId]:
    """Return the stocks asked for, in that order."""
    if not 1 <= len(request.keys) <= MAX_KEYS:
        check.violation("keys", f"{counted(len(request.keys))}; must be 1 to {MAX_KEYS:,} keys")
        return []
    return [check.stock_id(key, f"keys[{index}].") for index, key in enumerate(request.keys)]


def stock_query(check: Validator, request: pb.ListStockRequest) -> StockQuery:
    """Return which stocks to list."""
    after = page_tokens.last_key(check, request, request.page_token, ProductId, StoreId)
    max_available = None
    if request.HasField("max_available"):
        max_available = check.number("max_available", request.max_available, 0)
    return StockQuery(
        check.values(ProductId, "product_ids", request.product_ids, MAX_VALUES),
        check.stores("store_ids", request.store_ids, MAX_VALUES),
        max_available,
        (after[0], after[1]) if after else None,
    )


def reservation_query(check: Validator, request: pb.ListReservationsRequest) -> ReservationQuery:
    """Return which reservations to list."""
    before = page_tokens.last_key(check, request, request.page_token, page_tokens.position)
    if len(request.states) > MAX_VALUES:
        check.violation(
            "states", f"{counted(len(request.states))}; must be at most {MAX_VALUES} values"
        )
    for index, number in enumerate(request.states[:MAX_VALUES]):
        if number not in _STATES:
            check.violation(f"states[{index}]", "must be a state of a reservation")
    return ReservationQuery(
        check.take_if_any(CustomerId, "customer_id", request.customer_id) or "",
        check.take_if_any(OrderId, "order_id", request.order_id) or "",
        frozenset(_STATES[number] for number in request.states if number in _STATES),
        check.take_if_any(ProductId, "product_id", request.product_id) or "",
        check.take_if_any(StoreId, "store_id", request.store_id) or "",
        int(before[0]) if before else None,
        check.caller.scope,
    )


def got_stock(reading: Reading[Inventory]) -> pb.GetStockResponse:
    response = pb.GetStockResponse()
    fill_stock(response.stock, reading.value)
    response.as_of_position = reading.as_of
    return response


def got_stocks(
    asked: Sequence[StockId], reading: Reading[Mapping[StockId, Inventory]]
) -> pb.BatchGetStockResponse:
    response = pb.BatchGetStockResponse(as_of_position=reading.as_of)
    for stock_id in asked:
        stock = reading.value.get(stock_id)
        if stock is None:
            fill_key(response.missing.add(), stock_id)
        else:
            fill_stock(response.stocks.add(), stock)
    return response


def checked(reading: Reading[Sequence[Availability]]) -> pb.CheckAvailabilityResponse:
    response = pb.CheckAvailabilityResponse(
        available=not any(line.shortfall for line in reading.value), as_of_position=reading.as_of
    )
    for line in reading.value:
        response.lines.add(
            product_id=line.stock_id.product_id,
            store_id=line.stock_id.store_id,
            requested=line.requested,
            available=line.available,
            shortfall=line.shortfall,
        )
    return response


def got_product(
    request: pb.GetProductInventoryRequest, reading: Reading[Product]
) -> pb.GetProductInventoryResponse:
    product = reading.value
    response = pb.GetProductInventoryResponse(as_of_position=reading.as_of)
    total = response.total
    total.product_id = request.product_id
    total.on_hand = product.on_hand
    total.reserved = product.reserved
    total.available = product.available
    total.shortfall = product.shortfall
    for stock in product.stocks.rows:
        fill_stock(response.stocks.add(), stock)
    if product.stocks.after is not None:
        _, store_id = product.stocks.after
        response.next_page_token = page_tokens.token(request, store_id)
    return response


def listed_stock(
    request: pb.ListStockRequest, reading: Reading[Listing[Inventory, StockKey]]
) -> pb.ListStockResponse:
    response = pb.ListStockResponse(as_of_position=reading.as_of)
    for stock in reading.value.rows:
        fill_stock(response.stocks.add(), stock)
    if reading.value.after is not None:
        response.next_page_token = page_tokens.token(request, *reading.value.after)
    return response


def got_reservation(reading: Reading[Reservation]) -> pb.GetReservationResponse:
    response = pb.GetReservationResponse(as_of_position=reading.as_of)
    fill_reservation(response.reservation, reading.value)
    return response


def listed_reservations(
    request: pb.ListReservationsRequest, reading: Reading[Listing[tuple[int, Reservation], int]]
) -> pb.ListReservationsResponse:
    response = pb.ListReservationsResponse(as_of_position=reading.as_of)
    for _, reservation in reading.value.rows:
        fill_reservation(response.reservations.add(), reservation)
    if reading.value.after is not None:
        response.next_page_token = page_tokens.token(request, reading.value.after)
    return response
