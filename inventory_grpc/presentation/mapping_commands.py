"""Maps the requests of `InventoryCommands` to commands of the domain."""

import hashlib
import uuid
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar, assert_never

from inventory_grpc.application.access import Caller
from inventory_grpc.application.ledger.batch import Request
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.reservation_commands import (
    CommitReservation,
    ExtendReservation,
    ReleaseReservation,
    ReserveStock,
)
from inventory_grpc.domain.stock import AddStock, AdjustStock, ChangeBy, CountedAs, RemoveStock
from inventory_grpc.domain.values import (
    MAX_TTL,
    MIN_TTL,
    MISSING,
    CustomerId,
    Expiration,
    Instant,
    Never,
    OrderId,
    Quantity,
    RequestId,
    ReservationId,
    Ttl,
    Until,
)
from inventory_grpc.presentation.validation import Validator
from inventory_grpc_protos.v1 import commands_pb2 as pb

StockRequest = pb.AddStockRequest | pb.RemoveStockRequest | pb.AdjustStockRequest
CommandRequest = (
    StockRequest
    | pb.ReserveStockRequest
    | pb.CommitReservationRequest
    | pb.ReleaseReservationRequest
    | pb.ExtendReservationRequest
)
R = TypeVar(
    "R",
    pb.AddStockRequest,
    pb.RemoveStockRequest,
    pb.AdjustStockRequest,
    pb.ReserveStockRequest,
    pb.CommitReservationRequest,
    pb.ReleaseReservationRequest,
    pb.ExtendReservationRequest,
)

ToCommand = Callable[[Validator, R], Command]
"""Reads what is asked."""

EARLIEST: Final = Instant(946_684_800_000_000)
"""The year 2000: nothing this service is told of happened before."""

DAY: Final = 24 * 3600 * 1_000_000


def fingerprint(rpc: str, request: CommandRequest) -> bytes:
    """Return what tells *request* from others under the same request id.

    Taken from the message as it was parsed, without fields nobody here knows and before
    anything is filled in. It is stored, so its making can never change.
    """
    request.DiscardUnknownFields()
    message = request.SerializeToString(deterministic=True)
    return hashlib.sha256(rpc.encode() + b"\0" + message).digest()


def cause(check: Validator, request: CommandRequest, now: Instant) -> Cause:
    """Return who asked, and why."""
    check.take_if_any(RequestId, "request_id", request.request_id)
    occur_time = None
    if request.HasField("occur_time"):
        occur_time = check.instant("occur_time", request.occur_time)
        if not EARLIEST <= occur_time <= now + DAY:
            check.violation("occur_time", "must be from the year 2000 to a day ahead")
    return Cause(
        request.request_id,
        check.caller.actor,
        check.text("reason", request.reason),
        check.text("reference", request.reference),
        occur_time,
    )


class Terms(NamedTuple):
    """Terms that all commands of a message have in common."""

    caller: Caller
    now: Instant
    deadline: float
    """On the event loop's clock; a command not begun by then is never begun."""


def asked(rpc: str, to_command: ToCommand[R], request: R, terms: Terms) -> tuple[Command, Request]:
    """Read one command, however it came in.

    Raises:
        InvalidValue, PermissionDenied: it is wrong.
    """
    caller, now, deadline = terms
    with Validator(caller) as check:
        command = to_command(check, request)
        told = cause(check, request, now)
    compared = fingerprint(rpc, request) if told.request_id else b""
    return command, Request(told, compared, deadline, caller.scope)


def add_stock(check: Validator, request: pb.AddStockRequest) -> AddStock:
    return AddStock(
        check.stock_id(request),
        check.take(Quantity, "quantity", request.quantity),
        _expected_version(check, request),
    )


def remove_stock(check: Validator, request: pb.RemoveStockRequest) -> RemoveStock:
    return RemoveStock(
        check.stock_id(request),
        check.take(Quantity, "quantity", request.quantity),
        _expected_version(check, request),
    )


def adjust_stock(check: Validator, request: pb.AdjustStockRequest) -> AdjustStock:
    if not request.reason:
        check.violation("reason", MISSING)
    adjustment: ChangeBy | CountedAs
    match request.WhichOneof("adjustment"):
        case "on_hand":
            adjustment = CountedAs(check.number("on_hand", request.on_hand, 0))
            if not request.HasField("expected_version"):
                check.violation("expected_version", f"{MISSING}; on_hand needs it")
        case "delta" | None as which:
            adjustment = ChangeBy(request.delta)
            if which is None:
                check.violation("adjustment", f"{MISSING}; must be delta or on_hand")
            elif not 1 <= abs(request.delta) <= Quantity.MAX:
                check.violation(
                    "delta", f"must be from -{Quantity.MAX:,} to {Quantity.MAX:,}, and not 0"
                )
        case other:
            assert_never(other)
    return AdjustStock(check.stock_id(request), adjustment, _expected_version(check, request))


def reserve_stock(
    check: Validator, request: pb.ReserveStockRequest, *, default: Expiration
) -> ReserveStock:
    return ReserveStock(
        check.take(ReservationId, "reservation_id", request.reservation_id or _made_id()),
        check.take(CustomerId, "customer_id", request.customer_id),
        check.take_if_any(OrderId, "order_id", request.order_id),
        check.cart(request.lines, at_least=1),
        _expiration(check, request, default),
    )


def commit_reservation(check: Validator, request: pb.CommitReservationRequest) -> CommitReservation:
    return CommitReservation(
        check.take(ReservationId, "reservation_id", request.reservation_id),
        check.cart(request.lines),
        check.take_if_any(OrderId, "order_id", request.order_id),
    )


def release_reservation(
    check: Validator, request: pb.ReleaseReservationRequest
) -> ReleaseReservation:
    return ReleaseReservation(
        check.take(ReservationId, "reservation_id", request.reservation_id),
        check.cart(request.lines),
    )


def extend_reservation(
    check: Validator, request: pb.ExtendReservationRequest, *, default: Expiration
) -> ExtendReservation:
    return ExtendReservation(
        check.take(ReservationId, "reservation_id", request.reservation_id),
        _expiration(check, request, default),
    )


def _expected_version(check: Validator, request: StockRequest) -> int | None:
    if not request.HasField("expected_version"):
        return None
    return check.number("expected_version", request.expected_version, 0)


def _made_id() -> str:
    """Return an id for a reservation that came without one: a new one each time.

    A request that is sent again is found by its request id, and answered with the id that was
    made first. Made from the request id, it would be taken for ever, also once that is forgotten.
    """
    return str(uuid.uuid4())


def _expiration(
    check: Validator,
    request: pb.ReserveStockRequest | pb.ExtendReservationRequest,
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
                check.violation("never_expires", "must be true, or left out")
            return Never()
        case other:
            assert_never(other)
