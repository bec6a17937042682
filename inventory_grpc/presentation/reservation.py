"""Reservations over gRPC: the command readers, the queries, and their rows."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, assert_never

from inventory_grpc.application.queries.at_risk import AtRiskQuery, RiskKey
from inventory_grpc.application.queries.reservation import ReservationQuery, find_reservation
from inventory_grpc.application.queries.snapshot import Queries
from inventory_grpc.domain.amending import AmendReservation
from inventory_grpc.domain.promises import PLAINLY, Asked, Mode
from inventory_grpc.domain.reservation_commands import (
    CommitReservation,
    ExtendReservation,
    ReleaseReservation,
    ReserveStock,
)
from inventory_grpc.domain.values import (
    MAX_TTL,
    MIN_TTL,
    Channel,
    CustomerId,
    Expiration,
    Never,
    OrderId,
    ProductId,
    ReservationId,
    StoreId,
    Ttl,
    Until,
)
from inventory_grpc.presentation import page_tokens
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.rows import CommandRow, QueryRow
from inventory_grpc.presentation.to_proto import (
    STATES,
    fill_cart_outcome,
    fill_reservation,
    fill_reservation_outcome,
)
from inventory_grpc.presentation.validation import Validator
from inventory_grpc.uuid7 import uuid7
from inventory_grpc_protos.v1 import commands_pb2, queries_pb2

_STATES: Final = {number: state for state, number in STATES.items()}

_MODES: Final[Mapping[int, Mode]] = {
    commands_pb2.RESERVE_MODE_ALL_OR_NOTHING: Mode.ALL_OR_NOTHING,
    commands_pb2.RESERVE_MODE_PARTIAL_LINES: Mode.PARTIAL_LINES,
    commands_pb2.RESERVE_MODE_PARTIAL_QUANTITY: Mode.PARTIAL_QUANTITY,
}


def reserve_stock(
    check: Validator, request: commands_pb2.ReserveStockRequest, *, default: Expiration
) -> ReserveStock:
    return ReserveStock(
        check.value(ReservationId, "reservation_id", request.reservation_id or _new_id()),
        check.value(CustomerId, "customer_id", request.customer_id),
        check.optional_value(OrderId, "order_id", request.order_id),
        check.cart(request.lines, at_least=1),
        _expiration(check, request, default),
        _asked(check, request),
    )


def commit_reservation(
    check: Validator, request: commands_pb2.CommitReservationRequest
) -> CommitReservation:
    return CommitReservation(
        check.value(ReservationId, "reservation_id", request.reservation_id),
        check.cart(request.lines),
        check.optional_value(OrderId, "order_id", request.order_id),
        request.reacquire_if_available,
    )


def release_reservation(
    check: Validator, request: commands_pb2.ReleaseReservationRequest
) -> ReleaseReservation:
    return ReleaseReservation(
        check.value(ReservationId, "reservation_id", request.reservation_id),
        check.cart(request.lines),
    )


def amend_reservation(
    check: Validator, request: commands_pb2.AmendReservationRequest
) -> AmendReservation:
    return AmendReservation(
        check.value(ReservationId, "reservation_id", request.reservation_id),
        check.cart(request.lines, at_least=1),
        request.in_stock_only,
    )


def extend_reservation(
    check: Validator, request: commands_pb2.ExtendReservationRequest, *, default: Expiration
) -> ExtendReservation:
    return ExtendReservation(
        check.value(ReservationId, "reservation_id", request.reservation_id),
        _expiration(check, request, default),
    )


def _asked(check: Validator, request: commands_pb2.ReserveStockRequest) -> Asked:
    channel, in_stock_only, number = request.channel, request.in_stock_only, request.mode
    if not (channel or in_stock_only or number):
        return PLAINLY
    mode = _MODES.get(number, Mode.ALL_OR_NOTHING)
    if number not in _MODES:
        check.violation("mode", "must be a mode of reserving")
    return Asked(check.optional_value(Channel, "channel", channel), in_stock_only, mode)


def _new_id() -> str:
    """Return a new reservation id, for a request without one.

    A repeated request is recognized by its request id, and gets the original answer. An id derived
    from the request id would stay in use after the stored request is deleted.
    """
    return str(uuid7())


def _expiration(
    check: Validator,
    request: commands_pb2.ReserveStockRequest | commands_pb2.ExtendReservationRequest,
    default: Expiration,
) -> Expiration:
    match request.WhichOneof("expiration"):
        case None:
            return default
        case "ttl":
            return Ttl(check.span("ttl", request.ttl, MIN_TTL, MAX_TTL))
        case "expire_time":
            return Until(check.instant("expire_time", request.expire_time))
        case "never_expires":
            if not request.never_expires:
                check.violation("never_expires", "must be true or absent")
            return Never()
        case other:
            assert_never(other)


async def get_reservation(
    queries: Queries, request: queries_pb2.GetReservationRequest, call: Call
) -> queries_pb2.GetReservationResponse:
    with Validator(call.caller) as check:
        reservation_id = check.value(ReservationId, "reservation_id", request.reservation_id)
        at_least = check.number("min_position", request.min_position, 0)
    latest = queries.latest(at_least)
    reading = await find_reservation(latest, reservation_id, call.caller.scope)
    response = queries_pb2.GetReservationResponse(as_of_position=reading.as_of)
    fill_reservation(response.reservation, reading.value)
    return response


async def list_reservations(
    queries: Queries, request: queries_pb2.ListReservationsRequest, call: Call
) -> queries_pb2.ListReservationsResponse:
    with Validator(call.caller) as check:
        query = _query(check, request)
        at_least = check.number("min_position", request.min_position, 0)
    reading = await queries.latest(at_least).read(query)
    response = queries_pb2.ListReservationsResponse(as_of_position=reading.as_of)
    for _, reservation in reading.value.rows:
        fill_reservation(response.reservations.add(), reservation)
    if reading.value.after is not None:
        response.next_page_token = page_tokens.token(request, reading.value.after)
    return response


def _query(check: Validator, request: queries_pb2.ListReservationsRequest) -> ReservationQuery:
    before = page_tokens.last_key(check, request, request.page_token, page_tokens.position)
    return ReservationQuery(
        check.optional_value(CustomerId, "customer_id", request.customer_id) or "",
        check.optional_value(OrderId, "order_id", request.order_id) or "",
        check.choices("states", request.states, _STATES, "must be a state of a reservation"),
        check.optional_value(ProductId, "product_id", request.product_id) or "",
        check.optional_value(StoreId, "store_id", request.store_id) or "",
        request.backordered,
        int(before[0]) if before else None,
        check.caller.scope,
        limit=page_tokens.size(check, request.page_size),
    )


async def list_reservations_at_risk(
    queries: Queries, request: queries_pb2.ListReservationsAtRiskRequest, call: Call
) -> queries_pb2.ListReservationsAtRiskResponse:
    position = page_tokens.position
    with Validator(call.caller) as check:
        after = page_tokens.last_key(
            check, request, request.page_token, ProductId, StoreId, position, position
        )
        query = AtRiskQuery(
            check.values(ProductId, "product_ids", request.product_ids),
            check.stores("store_ids", request.store_ids),
            check.optional_value(CustomerId, "customer_id", request.customer_id) or "",
            RiskKey(after[0], after[1], int(after[2]), int(after[3])) if after else None,
            limit=page_tokens.size(check, request.page_size),
        )
        at_least = check.number("min_position", request.min_position, 0)
    reading = await queries.latest(at_least).read(query)
    response = queries_pb2.ListReservationsAtRiskResponse(as_of_position=reading.as_of)
    for row in reading.value.rows:
        response.lines.add(
            reservation_id=row.reservation_id,
            customer_id=row.customer_id,
            order_id=row.order_id or "",
            product_id=row.stock_id.product_id,
            store_id=row.stock_id.store_id,
            held=row.held,
            at_risk=row.at_risk,
            cause=queries_pb2.RISK_CAUSE_SHORT,
        )
    if reading.value.after is not None:
        response.next_page_token = page_tokens.token(request, *reading.value.after)
    return response


def commands(default: Expiration) -> Sequence[CommandRow]:
    """Return the rows; *default* applies to requests without an expiration."""
    reserve = partial(reserve_stock, default=default)
    extend = partial(extend_reservation, default=default)
    return (
        CommandRow("ReserveStock", reserve, fill_cart_outcome),
        CommandRow("CommitReservation", commit_reservation, fill_cart_outcome),
        CommandRow("ReleaseReservation", release_reservation, fill_cart_outcome),
        CommandRow("AmendReservation", amend_reservation, fill_cart_outcome),
        CommandRow("ExtendReservation", extend, fill_reservation_outcome),
    )


QUERIES: Final = (
    QueryRow("GetReservation", get_reservation),
    QueryRow("ListReservations", list_reservations),
    QueryRow("ListReservationsAtRisk", list_reservations_at_risk),
)
