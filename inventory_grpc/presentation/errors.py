"""Translates refusals to gRPC statuses with details.

Trailers above 8 KiB do not arrive, and the caller sees another error instead. So all details
together stay under 4 KiB, and the message is short.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Never

from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from inventory_grpc.application.failures import (
    Internal,
    LogDamaged,
    OtherLog,
    OutcomeUnknown,
    Overloaded,
    PermissionDenied,
    PositionAhead,
    ReadsRefused,
    RequestIdReused,
    ShuttingDown,
    StorageFull,
    Unauthenticated,
    Unavailable,
    WritesRefused,
)
from inventory_grpc.domain.catalogue import NotInCatalogue, Retired
from inventory_grpc.domain.refusals import (
    CommandTooLarge,
    ExceedsReservation,
    InsufficientStock,
    InvalidValue,
    LevelTooHigh,
    Refusal,
    ReservationClosed,
    ReservationExists,
    ReservationNotFound,
    ShortLine,
    ShortLines,
    StockNotFound,
    SubjectNotFound,
    VersionConflict,
)
from inventory_grpc.domain.reversal import AlreadyReversed, NotReversible
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.nouns import MESSAGES
from inventory_grpc.presentation.to_proto import fill_span
from inventory_grpc.presentation.validation import MAX_VIOLATIONS
from inventory_grpc_protos.v1 import errors_pb2 as pb
from inventory_grpc_protos.v1.commands_pb2 import CommandError

DOMAIN: Final = "inventory.v1"

STATUS: Final[Mapping[type[Refusal], tuple[StatusCode, pb.ErrorReason.ValueType]]] = {
    InvalidValue: (StatusCode.INVALID_ARGUMENT, pb.ERROR_REASON_INVALID_VALUE),
    StockNotFound: (StatusCode.NOT_FOUND, pb.ERROR_REASON_STOCK_NOT_FOUND),
    SubjectNotFound: (StatusCode.NOT_FOUND, pb.ERROR_REASON_SUBJECT_NOT_FOUND),
    ReservationNotFound: (StatusCode.NOT_FOUND, pb.ERROR_REASON_RESERVATION_NOT_FOUND),
    ReservationExists: (StatusCode.ALREADY_EXISTS, pb.ERROR_REASON_RESERVATION_EXISTS),
    RequestIdReused: (StatusCode.ALREADY_EXISTS, pb.ERROR_REASON_REQUEST_ID_REUSED),
    InsufficientStock: (StatusCode.FAILED_PRECONDITION, pb.ERROR_REASON_INSUFFICIENT_STOCK),
    ExceedsReservation: (StatusCode.FAILED_PRECONDITION, pb.ERROR_REASON_EXCEEDS_RESERVATION),
    ReservationClosed: (StatusCode.FAILED_PRECONDITION, pb.ERROR_REASON_RESERVATION_CLOSED),
    NotReversible: (StatusCode.FAILED_PRECONDITION, pb.ERROR_REASON_NOT_REVERSIBLE),
    AlreadyReversed: (StatusCode.FAILED_PRECONDITION, pb.ERROR_REASON_ALREADY_REVERSED),
    Retired: (StatusCode.FAILED_PRECONDITION, pb.ERROR_REASON_RETIRED),
    NotInCatalogue: (StatusCode.FAILED_PRECONDITION, pb.ERROR_REASON_NOT_IN_CATALOGUE),
    LevelTooHigh: (StatusCode.FAILED_PRECONDITION, pb.ERROR_REASON_LEVEL_TOO_HIGH),
    CommandTooLarge: (StatusCode.FAILED_PRECONDITION, pb.ERROR_REASON_COMMAND_TOO_LARGE),
    OtherLog: (StatusCode.FAILED_PRECONDITION, pb.ERROR_REASON_OTHER_LOG),
    VersionConflict: (StatusCode.ABORTED, pb.ERROR_REASON_VERSION_CONFLICT),
    PositionAhead: (StatusCode.OUT_OF_RANGE, pb.ERROR_REASON_POSITION_AHEAD),
    Overloaded: (StatusCode.RESOURCE_EXHAUSTED, pb.ERROR_REASON_OVERLOADED),
    OutcomeUnknown: (StatusCode.UNAVAILABLE, pb.ERROR_REASON_OUTCOME_UNKNOWN),
    ReadsRefused: (StatusCode.UNAVAILABLE, pb.ERROR_REASON_READS_REFUSED),
    WritesRefused: (StatusCode.UNAVAILABLE, pb.ERROR_REASON_WRITES_REFUSED),
    StorageFull: (StatusCode.UNAVAILABLE, pb.ERROR_REASON_STORAGE_FULL),
    ShuttingDown: (StatusCode.UNAVAILABLE, pb.ERROR_REASON_SHUTTING_DOWN),
    LogDamaged: (StatusCode.DATA_LOSS, pb.ERROR_REASON_LOG_DAMAGED),
    Unauthenticated: (StatusCode.UNAUTHENTICATED, pb.ERROR_REASON_UNAUTHENTICATED),
    PermissionDenied: (StatusCode.PERMISSION_DENIED, pb.ERROR_REASON_PERMISSION_DENIED),
    Internal: (StatusCode.INTERNAL, pb.ERROR_REASON_INTERNAL),
}
"""Every refusal and its status. Any other error is a bug, and becomes `Internal`."""

_PREFIX: Final = "ERROR_REASON_"
_MAX_MESSAGE: Final = 512
_MAX_ROWS_BYTES: Final = 3 * 1024
"""The space for violations, short lines or a state; the other details fit into the last KiB."""

_MAX_ROWS_BYTES_AMONG_MANY: Final = 1024
"""The same for one command of a batch of 1,000, whose results must fit into 4 MiB."""

TOO_LATE: Final = "the deadline of this call has passed, and its outcome is not known"
"""The message of a call whose deadline has passed."""

NOT_BEGUN: Final = "the deadline passed before this command was begun; it was not done"
"""The message of a command of a batch whose deadline has passed."""

_CODES: Final = {code.value[0]: code for code in StatusCode}


async def refuse(call: Call, refusal: Refusal, code: StatusCode | None = None) -> Never:
    """End the call with the status of *refusal*, or with another *code*.

    Raises:
        grpc.aio.AbortError: always; it must reach gRPC.
    """
    status = status_of(refusal)
    if code is not None:
        status.code = code.value[0]
    trailers: list[tuple[str, str | bytes]] = [
        ("grpc-status-details-bin", status.SerializeToString())
    ]
    if isinstance(refusal, Unavailable):
        trailers.append(("grpc-retry-pushback-ms", str(round(refusal.retry_seconds * 1000))))
    call.note(reason=reason_of(refusal))
    await call.context.abort(_CODES[status.code], status.message, tuple(trailers))
    raise AssertionError("abort raises")


def reason_of(refusal: Refusal) -> str:
    return reason_of_kind(type(refusal))


def reason_of_kind(kind: type[Refusal]) -> str:
    _, reason = STATUS[kind]
    return pb.ErrorReason.Name(reason).removeprefix(_PREFIX)


def status_of(refusal: Refusal) -> Status:
    status = Status()
    _fill(status, refusal, _MAX_ROWS_BYTES)
    return status


def fill_error(error: CommandError, answer: Refusal | TimeoutError) -> None:
    """Write the error of one command of a batch, as the command alone would have failed."""
    if isinstance(answer, TimeoutError):
        error.code = StatusCode.DEADLINE_EXCEEDED.value[0]
        error.message = NOT_BEGUN
    else:
        _fill(error, answer, _MAX_ROWS_BYTES_AMONG_MANY)


def _fill(status: Status | CommandError, refusal: Refusal, max_rows_bytes: int) -> None:
    code, _ = STATUS[type(refusal)]
    status.code = code.value[0]
    message, metadata = str(refusal), dict(refusal.facts())
    if refusal.command_index is not None:
        metadata["command_index"] = str(refusal.command_index)
        if not isinstance(refusal, InvalidValue):  # its paths have the index
            message = f"commands[{refusal.command_index}]: {message}"
    status.message = _short(message)
    info = ErrorInfo(reason=reason_of(refusal), domain=DOMAIN, metadata=metadata)
    for detail in (info, *_details(refusal, max_rows_bytes)):
        status.details.add().Pack(detail)


def _details(refusal: Refusal, max_rows_bytes: int) -> Iterable[Message]:
    match refusal:
        case InvalidValue(violations):
            yield _bad_request(violations, max_rows_bytes)
        case ShortLines(lines):
            yield _short_lines(lines, max_rows_bytes)
        case VersionConflict(current=current):
            message = MESSAGES[type(current)](current)
            if message.ByteSize() <= max_rows_bytes:  # a part would be taken for the whole
                yield message
        case Unavailable(retry_seconds):
            retry = RetryInfo()
            fill_span(retry.retry_delay, round(retry_seconds * 1e6))
            yield retry
        case _:
            return


def _bad_request(violations: Iterable[tuple[str, str]], max_bytes: int) -> BadRequest:
    """List as many violations as fit."""
    bad = BadRequest()
    for field, problem in violations:
        bad.field_violations.add(field=field, description=problem)
        if len(bad.field_violations) > MAX_VIOLATIONS or bad.ByteSize() > max_bytes:
            del bad.field_violations[-1]
            break
    return bad


def _short_lines(lines: Iterable[ShortLine], max_bytes: int) -> pb.ShortLines:
    """List as many short lines as fit."""
    message = pb.ShortLines()
    for line in lines:
        message.lines.add(
            product_id=line.stock_id.product_id,
            store_id=line.stock_id.store_id,
            asked=line.asked,
            available=line.available,
            shortfall=line.shortfall,
        )
        if message.ByteSize() > max_bytes:
            del message.lines[-1]
            break
    return message


def _short(message: str) -> str:
    """Return *message* in printable ASCII, cut to the length limit."""
    # a backslash stays single: it may already be an escape, as in \xe9
    text = message.encode("unicode_escape").decode("ascii").replace(r"\\", "\\")
    return text if len(text) <= _MAX_MESSAGE else f"{text[: _MAX_MESSAGE - 3]}..."
