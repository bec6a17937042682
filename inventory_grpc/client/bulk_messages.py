"""The commands in one message, and their outcomes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.client.errors import InventoryError, Refused, ShuttingDown, Untrusted
from inventory_grpc.client.messages import listed, shown
from inventory_grpc.client.refusals import InvalidValue
from inventory_grpc.client.translation import translated_result
from inventory_grpc.uuid7 import uuid7
from inventory_grpc_protos.v1 import commands_pb2 as pb


class CommandRequest(Protocol):
    """The request of a command, such as `AddStockRequest`."""

    request_id: str
    reason: str
    reference: str

    @property
    def occur_time(self) -> Timestamp: ...


Result = pb.CommandResult | InventoryError
"""The outcome of one command: its result, or the error that a single call would have raised."""


SETTLED: Final = (InvalidValue, ShuttingDown, Untrusted)
"""If a stream ends with one of these, no command without an outcome was done."""

_KINDS: Final[Mapping[type, str]] = {
    GetMessageClass(field.message_type): field.name
    for field in pb.Command.DESCRIPTOR.fields
    if field.message_type is not None
}


def commands_of(requests: Iterable[CommandRequest]) -> Sequence[pb.Command]:
    """Return commands of *requests*; a request without a `request_id` gets one."""
    commands = bare_commands(requests)
    for command in commands:
        request = getattr(command, command.WhichOneof("command") or "")
        request.request_id = request.request_id or str(uuid7())
    return commands


def bare_commands(requests: Iterable[CommandRequest]) -> Sequence[pb.Command]:
    make: Any = pb.Command
    commands = []
    for request in listed("requests", requests, "requests"):
        kind = _KINDS.get(type(request))
        if kind is None:
            raise TypeError(f"a command is a message such as AddStockRequest, not {shown(request)}")
        commands.append(make(**{kind: request}))
    return commands


def request_ids_of(commands: Iterable[pb.Command]) -> Sequence[str]:
    return [
        getattr(command, command.WhichOneof("command") or "").request_id for command in commands
    ]


def results_of(
    results: Sequence[pb.CommandResult], request_ids: Sequence[str], *, in_doubt: bool
) -> Sequence[Result]:
    return [
        _failure(result, request_id, in_doubt=in_doubt) if result.HasField("error") else result
        for result, request_id in zip(results, request_ids, strict=True)
    ]


def _failure(result: pb.CommandResult, request_id: str, *, in_doubt: bool) -> InventoryError:
    """Return the error of a command; *in_doubt* if an earlier attempt may have done it."""
    failure = translated_result(result.error, request_id=request_id)
    failure.in_doubt = failure.doubtful or (in_doubt and not isinstance(failure, Refused))
    return failure
