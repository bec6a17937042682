"""`InventoryCommands`: a method for each row of the command table, and two for many commands."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Final, Protocol

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from inventory_grpc.application.access import Role
from inventory_grpc.application.ledger.mailbox import Answers
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.ports import WallClock
from inventory_grpc.domain.refusals import InvalidValue, Violation
from inventory_grpc.domain.values import DEFAULT_TTL, MISSING, Span, Ttl, UnitState
from inventory_grpc.presentation.atomic import in_its_place, read_atomic
from inventory_grpc.presentation.bulk import Bulk, CommandCount, Submitted, check_size, submit
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.command_stream import CommandStreams
from inventory_grpc.presentation.grpc_types import Behaviour
from inventory_grpc.presentation.nouns import command_rows
from inventory_grpc.presentation.plain import plain_reader
from inventory_grpc.presentation.rows import CommandRow
from inventory_grpc.presentation.submissions import read_command
from inventory_grpc.presentation.validation import Validator
from inventory_grpc_protos.v1 import commands_pb2 as pb

SERVICE: Final = pb.DESCRIPTOR.services_by_name["InventoryCommands"]

_DEFAULT: Final = Ttl(DEFAULT_TTL)

_SINGLE: Final = {row.name: row.role for row in command_rows(_DEFAULT)}

MANY: Final = ("ExecuteBatch", "ExecuteStream")
"""The methods with many commands of any kind in a call."""

ROLES: Final[Mapping[str, Role]] = _SINGLE | dict.fromkeys(MANY, max(_SINGLE.values()))

MAX_WAIT_SECONDS: Final = 30.0
"""The longest wait for the start of a command without a deadline."""


class Ledger(Protocol):
    """Records commands; see `inventory_grpc.application.ledger.loop`."""

    async def record(self, submission: Submission, deadline: float) -> Outcome: ...

    async def record_all(self, submissions: Sequence[Submission], deadline: float) -> Answers: ...


class Commands:
    """The handlers of `InventoryCommands`."""

    def __init__(
        self,
        ledger: Ledger,
        now: WallClock,
        default_ttl: Span = DEFAULT_TTL,
        own_states: Collection[UnitState] = (),
    ) -> None:
        self._ledger = ledger
        self._now = now
        self._streams = CommandStreams()
        rows = command_rows(Ttl(default_ttl), own_states)
        self._row_of = rows_by_kind(rows)
        self._plain_of = {kind: plain_reader(row) for kind, row in self._row_of.items()}
        self.methods: Mapping[str, Callable[[Any, Call], Any]] = {
            **{row.name: self._method(kind, row) for kind, row in self._row_of.items()},
            "ExecuteBatch": self._execute_batch,
            "ExecuteStream": self._execute_stream,
        }

    def close(self) -> None:
        """End every stream after the answers to its submitted commands."""
        self._streams.close()

    def _method(self, kind: str, row: CommandRow) -> Behaviour:
        """Return the method that executes one command for each call."""
        respond: Any = GetMessageClass(SERVICE.methods_by_name[row.name].output_type)
        ledger, now, read_plain = self._ledger, self._now, self._plain_of[kind]

        async def execute(request: Any, call: Call) -> Message:  # noqa: ANN401  of that method
            submission = read_plain(request, call.caller) or read_command(
                row, request, Validator(call.caller), now()
            )
            _note_dry_run(call, submission)
            response: Message = respond()
            row.fill(response, await ledger.record(submission, _deadline(call)))
            return response

        return execute

    async def _execute_batch(
        self, request: pb.ExecuteBatchRequest, call: Call
    ) -> pb.ExecuteBatchResponse:
        if request.atomic:
            return await self._execute_together(request, call)
        with Validator(call.caller) as check:
            for field, _ in request.ListFields():
                if field.name != "commands":
                    check.violation(field.name, "must be unset without atomic")
        submitted = await self._submit(request, call, CommandCount(call))
        return await submitted.respond(pb.ExecuteBatchResponse())

    async def _execute_together(
        self, request: pb.ExecuteBatchRequest, call: Call
    ) -> pb.ExecuteBatchResponse:
        """Execute the commands of an atomic batch as one command."""
        check_size(request.commands)
        submission = await read_atomic(request, self._row_of, Validator(call.caller), self._now())
        call.note(commands=len(request.commands), atomic=True)
        _note_dry_run(call, submission)
        try:
            outcome = await self._ledger.record(submission, _deadline(call))
        except InvalidValue as refusal:
            raise in_its_place(refusal, request.commands) from None
        response = pb.ExecuteBatchResponse()
        for part in outcome.parts:
            result = response.results.add()
            result.position, result.replayed = outcome.position, outcome.replayed
            result.version, result.reservation_id = part.version, str(part.subject or "")
        return response

    async def _execute_stream(
        self, requests: AsyncIterator[pb.ExecuteStreamRequest], call: Call
    ) -> AsyncIterator[pb.ExecuteStreamResponse]:
        submit_next = partial(self._submit, call=call, count=CommandCount(call))
        with self._streams.open(requests, submit_next) as stream:
            async with aclosing(stream.submitted()) as messages:
                async for submitted in messages:
                    yield await submitted.respond(pb.ExecuteStreamResponse())

    async def _submit(self, message: Bulk, call: Call, count: CommandCount) -> Submitted:
        caller, now, plain_of = call.caller, self._now(), self._plain_of

        def read(command: pb.Command) -> Submission:
            kind = command.WhichOneof("command")
            if kind is None:
                raise InvalidValue([Violation("command", MISSING)])
            request = getattr(command, kind)
            # two threads may read commands of one message, so that none shares a validator
            return plain_of[kind](request, caller) or read_command(
                self._row_of[kind], request, Validator(caller), now
            )

        record_all = partial(self._ledger.record_all, deadline=_deadline(call))
        return await submit(message, read, record_all, count)


def rows_by_kind(rows: Sequence[CommandRow]) -> Mapping[str, CommandRow]:
    """Return *rows* by the field of `Command` that holds the request of each."""
    request_of = {row.name: SERVICE.methods_by_name[row.name].input_type for row in rows}
    fields = {field.message_type: field.name for field in pb.Command.DESCRIPTOR.fields}
    return {fields[request_of[row.name]]: row for row in rows}


def _note_dry_run(call: Call, submission: Submission) -> None:
    if submission.is_dry:
        call.note(dry_run=True)


def _deadline(call: Call) -> float:
    """Return the time, on the event loop's clock, until which a command may be started."""
    seconds = call.seconds_left()
    return asyncio.get_running_loop().time() + (MAX_WAIT_SECONDS if seconds is None else seconds)
