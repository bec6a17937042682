"""Translates the status of a failed call to an exception."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from inventory_grpc.client import details, errors, refusals
from inventory_grpc.client.errors import InventoryError
from inventory_grpc_protos.v1.commands_pb2 import CommandError
from inventory_grpc_protos.v1.errors_pb2 import ErrorReason

DOMAIN: Final = "inventory.v1"

BY_REASON: Final[Mapping[ErrorReason.ValueType, type[InventoryError]]] = {
    ErrorReason.ERROR_REASON_INVALID_VALUE: refusals.InvalidValue,
    ErrorReason.ERROR_REASON_STOCK_NOT_FOUND: refusals.StockNotFound,
    ErrorReason.ERROR_REASON_RESERVATION_NOT_FOUND: refusals.ReservationNotFound,
    ErrorReason.ERROR_REASON_RESERVATION_EXISTS: refusals.ReservationExists,
    ErrorReason.ERROR_REASON_REQUEST_ID_REUSED: refusals.RequestIdReused,
    ErrorReason.ERROR_REASON_INSUFFICIENT_STOCK: refusals.InsufficientStock,
    ErrorReason.ERROR_REASON_EXCEEDS_RESERVATION: refusals.ExceedsReservation,
    ErrorReason.ERROR_REASON_RESERVATION_CLOSED: refusals.ReservationClosed,
    ErrorReason.ERROR_REASON_NOT_REVERSIBLE: refusals.NotReversible,
    ErrorReason.ERROR_REASON_ALREADY_REVERSED: refusals.AlreadyReversed,
    ErrorReason.ERROR_REASON_LEVEL_TOO_HIGH: refusals.LevelTooHigh,
    ErrorReason.ERROR_REASON_COMMAND_TOO_LARGE: refusals.CommandTooLarge,
    ErrorReason.ERROR_REASON_OTHER_LOG: refusals.OtherLog,
    ErrorReason.ERROR_REASON_VERSION_CONFLICT: refusals.VersionConflict,
    ErrorReason.ERROR_REASON_POSITION_AHEAD: refusals.PositionAhead,
    ErrorReason.ERROR_REASON_OVERLOADED: errors.Overloaded,
    ErrorReason.ERROR_REASON_OUTCOME_UNKNOWN: errors.OutcomeUnknown,
    ErrorReason.ERROR_REASON_WRITES_REFUSED: errors.WritesRefused,
    ErrorReason.ERROR_REASON_STORAGE_FULL: errors.StorageFull,
    ErrorReason.ERROR_REASON_SHUTTING_DOWN: errors.ShuttingDown,
    ErrorReason.ERROR_REASON_LOG_DAMAGED: errors.LogDamaged,
    ErrorReason.ERROR_REASON_INTERNAL: errors.Internal,
    ErrorReason.ERROR_REASON_UNAUTHENTICATED: errors.Unauthenticated,
    ErrorReason.ERROR_REASON_PERMISSION_DENIED: errors.PermissionDenied,
    ErrorReason.ERROR_REASON_READS_REFUSED: errors.ReadsRefused,
    ErrorReason.ERROR_REASON_SUBJECT_NOT_FOUND: refusals.SubjectNotFound,
    ErrorReason.ERROR_REASON_NOT_IN_CATALOGUE: refusals.NotInCatalogue,
    ErrorReason.ERROR_REASON_RETIRED: refusals.Retired,
}
"""The class of each reason."""

_BY_NAME: Final = {
    ErrorReason.Name(reason).removeprefix("ERROR_REASON_"): kind
    for reason, kind in BY_REASON.items()
}

_WITHOUT_REASON: Final[Mapping[grpc.StatusCode, type[InventoryError]]] = {
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    grpc.StatusCode.CANCELLED: errors.Cancelled,
}
"""The errors of the connection and of proxies."""

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_DETAILS: Final = "grpc-status-details-bin"
_PUSHBACK: Final = "grpc-retry-pushback-ms"

_BAD_CERTIFICATE: Final = "CERTIFICATE_VERIFY_FAILED"
_OTHER_NAME: Final = "Hostname Verification Check failed"


def translated(error: grpc.aio.AioRpcError, *, request_id: str = "") -> InventoryError:
    """Return the exception for *error*; details that cannot be decoded are left out."""
    trailers = dict(error.trailing_metadata() or ())
    return _translated(
        error.code(),
        error.details() or "",
        _carried(trailers.get(_DETAILS)),
        trailers.get(_PUSHBACK),
        request_id,
    )


def translated_result(error: CommandError, *, request_id: str) -> InventoryError:
    code = _CODES.get(error.code, grpc.StatusCode.UNKNOWN)
    return _translated(code, error.message, [*error.details], None, request_id)


def _translated(
    code: grpc.StatusCode,
    message: str,
    carried: Sequence[Packed],
    pushback: str | bytes | None,
    request_id: str,
) -> InventoryError:
    info = details.first(ErrorInfo, carried)
    if info is None or info.domain != DOMAIN:
        # The error comes from the connection or from a proxy.
        info = ErrorInfo()
        kind = _WITHOUT_REASON.get(code, InventoryError)
        if kind is errors.Unavailable and (cause := _distrust(message)):
            kind, message = errors.Untrusted, f"{cause}: {message}"
    else:
        kind = _BY_NAME.get(info.reason, InventoryError)
    return kind(
        code,
        info.reason,
        message,
        info.metadata,
        carried=carried,
        retry_after=_retry_after(details.first(RetryInfo, carried), pushback),
        request_id=request_id,
    )


def _distrust(message: str) -> str:
    """Return why the certificate was not accepted, if so: gRPC says it only in the message."""
    if _OTHER_NAME in message:
        return "the server's certificate is for another name than the one called"
    _, found, cause = message.partition(f"{_BAD_CERTIFICATE}: ")
    if not found:
        return ""
    return f"the server's certificate is not trusted, {cause.partition(':')[0].rstrip('.')}"


def _carried(value: str | bytes | None) -> Sequence[Packed]:
    status = Status()
    with suppress(DecodeError, TypeError):
        status.ParseFromString(value or b"")
    return [*status.details]


def _retry_after(info: RetryInfo | None, pushback: str | bytes | None) -> float | None:
    waits = [] if info is None else [info.retry_delay.ToTimedelta().total_seconds()]
    if pushback is not None:
        waits.append(_pushback_seconds(pushback))
    return max(waits, default=None)


def _pushback_seconds(milliseconds: str | bytes) -> float:
    # As gRPC specifies, a negative value forbids a retry; its core turns invalid values into one.
    wait = int(milliseconds)
    return wait / 1000 if wait >= 0 else math.inf
