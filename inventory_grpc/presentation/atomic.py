"""Reads the commands of an atomic batch, and says which one of them is refused."""

from collections.abc import Mapping, Sequence
from typing import Any

from inventory_grpc.application.ledger.atomic import AtomicBatch, Part
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.policy import CHANGES_TERMS, OF_THE_CATALOGUE
from inventory_grpc.domain.refusals import InvalidValue
from inventory_grpc.domain.values import MISSING, Instant
from inventory_grpc.presentation.bulk import in_chunks
from inventory_grpc.presentation.rows import CommandRow
from inventory_grpc.presentation.submissions import cause, submission_of
from inventory_grpc.presentation.validation import Validator
from inventory_grpc_protos.v1 import commands_pb2 as pb

Rows = Mapping[str, CommandRow]
"""The rows of all commands, by the field of `Command` with the request of each."""


async def read_atomic(
    request: pb.ExecuteBatchRequest, row_of: Rows, check: Validator, now: Instant
) -> Submission:
    """Read a batch whose commands are one command.

    Raises:
        InvalidValue, PermissionDenied: the request is invalid, or not allowed.
    """
    parts: list[Part | None] = []
    with check:
        whole = cause(check, request, now)
        async for chunk in in_chunks(request.commands):
            for command in chunk:
                parts.append(_part(command, len(parts), whole, row_of, check, now=now))
        _check_terms(check, request.commands, parts)
        check.path, check.command_index = "", None
    batch = AtomicBatch([part for part in parts if part is not None])
    return submission_of("ExecuteBatch", batch, whole, request, check)


def _part(  # noqa: PLR0913  what a command is read with, and its place
    command: pb.Command, index: int, whole: Cause, row_of: Rows, check: Validator, *, now: Instant
) -> Part | None:
    """Return the command at *index*, with the cause of the *whole* batch where it has none."""
    check.path, check.command_index = f"commands[{index}].", index
    kind = command.WhichOneof("command")
    if kind is None:
        check.violation("command", MISSING)
        return None
    check.path = _path(command, index)
    request = getattr(command, kind)
    for field in ("request_id", "dry_run"):
        if getattr(request, field):
            check.violation(field, "must be unset in an atomic batch, which has its own")
    own = cause(check, request, now)
    reason = own.reason or whole.reason
    reported = whole._replace(
        reason=reason,
        reference=own.reference or whole.reference,
        occur_time=whole.occur_time if own.occur_time is None else own.occur_time,
        part=index + 1,
    )
    return Part(row_of[kind].read(check, _with_reason(request, reason)), reported)


def _check_terms(
    check: Validator, commands: Sequence[pb.Command], parts: Sequence[Part | None]
) -> None:
    """Refuse commands that change terms beside those on stocks.

    The terms of a stock come before the whole batch, and a part of it cannot be decided on others.
    """
    kinds = [type(part.command) for part in parts if part is not None]
    if all(kind in OF_THE_CATALOGUE for kind in kinds):
        return
    for index, part in enumerate(parts):
        if part is not None and type(part.command) in CHANGES_TERMS:
            check.path = _path(commands[index], index).removesuffix(".")
            check.violation("", "must not be in an atomic batch with commands on stocks")


def _with_reason(request: Any, reason: str) -> Any:  # noqa: ANN401  of any command
    """Return *request* with *reason*, which some commands require."""
    if request.reason == reason:
        return request
    whole = type(request)(reason=reason)
    whole.MergeFrom(request)
    return whole


def _path(command: pb.Command, index: int) -> str:
    return f"commands[{index}].{command.WhichOneof('command')}."


def in_its_place(refusal: InvalidValue, commands: Sequence[pb.Command]) -> InvalidValue:
    """Return *refusal*, with the paths of its fields if it is of one command of a batch."""
    index = refusal.command_index
    if index is not None:
        path = _path(commands[index], index)
        refusal.violations = [one._replace(field=path + one.field) for one in refusal.violations]
    return refusal
