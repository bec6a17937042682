"""Reads commands from requests, with the cause, the key and the fingerprint of each request."""

from hashlib import sha256
from typing import Any, Final

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from inventory_grpc.application.ledger.atomic import AnyCommand
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.outcomes import RequestKey
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.values import Instant, Name, is_name, new
from inventory_grpc.presentation.rows import CommandRow
from inventory_grpc.presentation.validation import Validator
from inventory_grpc_protos.v1 import commands_pb2 as pb

EARLIEST: Final = Instant(946_684_800_000_000)
"""The year 2000, the lower bound of `occur_time`."""

DAY: Final = 24 * 3600 * 1_000_000


def _has_map(message: Descriptor, met: frozenset[str] = frozenset()) -> bool:
    """Return whether there is a map in *message*, or in a message within it."""
    inner = [field.message_type for field in message.fields if field.message_type is not None]
    met |= {message.full_name}
    return message.GetOptions().map_entry or any(
        _has_map(one, met) for one in inner if one.full_name not in met
    )


_WITH_A_MAP: Final = frozenset(
    method.name
    for method in pb.DESCRIPTOR.services_by_name["InventoryCommands"].methods
    if _has_map(method.input_type)
)
"""The methods with a map in their request, whose entries have no order."""

BEGUN: Final = {
    method.name: sha256(method.name.encode() + b"\0")
    for method in pb.DESCRIPTOR.services_by_name["InventoryCommands"].methods
}
"""The begun fingerprints of requests of each method; a copy takes 0.3 µs less."""


def read_command(
    row: CommandRow,
    request: Any,  # noqa: ANN401  of that row
    check: Validator,
    now: Instant,
) -> Submission:
    """Read and validate the request of one command.

    Raises:
        InvalidValue, PermissionDenied: the request is invalid, or not allowed.
    """
    try:
        command = row.read(check, request)
        reported = cause(check, request, now)
    finally:
        check.leave()
    return submission_of(row.name, command, reported, request, check)


def submission_of(
    rpc: str,
    command: AnyCommand,
    reported: Cause,
    request: Any,  # noqa: ANN401  of that rpc
    check: Validator,
) -> Submission:
    request_id, key, digest, is_dry = reported.request_id, None, b"", request.dry_run
    if request_id:
        key = new(RequestKey, (reported.actor, request_id))
        digest = fingerprint(rpc, _to_record(request) if is_dry else request)
    return new(Submission, (command, reported, key, digest, check.caller.scope, is_dry))


def _to_record(request: Message) -> Message:
    """Return *request* without `dry_run`, which is no part of its fingerprint."""
    to_record = type(request)()
    to_record.CopyFrom(request)
    to_record.ClearField("dry_run")
    return to_record


def cause(check: Validator, request: Any, now: Instant) -> Cause:  # noqa: ANN401  of any command
    if (request_id := request.request_id) and not is_name(request_id):
        check.value(Name, "request_id", request_id)
    occur_time = None
    if request.HasField("occur_time"):
        occur_time = check.instant("occur_time", request.occur_time)
        if not EARLIEST <= occur_time <= now + DAY:
            check.violation("occur_time", "must be from the year 2000 to one day from now")
    reason, reference = request.reason, request.reference
    if reason:
        check.text("reason", reason)
    if reference:
        check.text("reference", reference)
    return new(Cause, (request_id, check.caller.actor, reason, reference, occur_time, 0))


def fingerprint(rpc: str, request: Message) -> bytes:
    """Return the digest that distinguishes *request* from others with the same request id.

    It covers the parsed message, without unknown fields and without defaults. It is stored, so
    the computation can never change.
    """
    request.DiscardUnknownFields()
    if rpc in _WITH_A_MAP:  # for all others the option has no effect, but takes time
        content = request.SerializeToString(deterministic=True)
    else:
        content = request.SerializeToString()
    digest = BEGUN[rpc].copy()
    digest.update(content)
    return digest.digest()
