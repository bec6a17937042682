"""Many commands in one message: submits them to the ledger, and returns the result of each."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeAlias, TypeVar

from inventory_grpc.application.failures import bug
from inventory_grpc.application.ledger.bulk import MAX_TOGETHER
from inventory_grpc.application.ledger.mailbox import Answers
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.ledger.unread import Refused, Unread
from inventory_grpc.domain.refusals import InvalidValue, Refusal, Violation
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.errors import fill_error
from inventory_grpc.presentation.to_proto import fill_result
from inventory_grpc.presentation.validation import counted
from inventory_grpc_protos.v1 import commands_pb2 as pb

_log = logging.getLogger(__name__)

MAX_COMMANDS: Final = 1_000
"""Commands in one message."""

UNREAD_BYTES: Final = 512
"""The most bytes of a command, on average over its message, that the writer's thread reads.

A large message counts as if it had `MAX_TOGETHER` commands, since its largest ones may be next to
each other. So it bounds the bytes that a batch, or callers who are refused together, wait for. The
commands of other messages are read by the event loop, in turns.
"""

TURN_SECONDS: Final = 0.001
"""Commands are read, or results written, for this long before other calls can run."""

CHUNK: Final = 16
"""Commands between two checks of the time."""

T = TypeVar("T")

Bulk: TypeAlias = pb.ExecuteBatchRequest | pb.ExecuteStreamRequest
"""A message of many commands."""

Response = TypeVar("Response", pb.ExecuteBatchResponse, pb.ExecuteStreamResponse)

Read = Callable[[pb.Command], Submission]
"""Reads a command; raises a refusal if it is invalid."""

RecordAll = Callable[[Sequence[Submission]], Awaitable[Answers]]
"""Records many commands; see `inventory_grpc.application.ledger.loop`."""


class CommandCount:
    """Counts the commands of a call, over all its messages, for its log line."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._commands = 0
        self._refused = 0

    def add(self, *, commands: int = 0, refused: int = 0) -> None:
        self._commands += commands
        self._refused += refused
        self._call.note(commands=self._commands, refused=self._refused)


class Submitted:
    """The commands of one message, which the ledger has."""

    def __init__(self, answered: Answers, count: CommandCount) -> None:
        self._answered: Answers | None = answered
        self._count = count

    def cancel(self) -> None:
        """Cancel the commands that were not started."""
        if self._answered is not None:
            self._answered.cancel()

    async def respond(self, response: Response) -> Response:
        """Wait for all commands, and add their results to *response*, in order."""
        assert self._answered is not None, "a message is answered once"
        add, refused = response.results.add, 0
        async for chunk in in_chunks(await self._answered):
            for answer in chunk:
                if isinstance(answer, tuple):
                    fill_result(add(), answer)
                else:
                    refused += 1
                    fill_error(add().error, answer)
        self._count.add(refused=refused)
        # this object lives until the response is sent, which may take long
        self._answered = None
        return response


async def submit(
    message: Bulk, read: Read, record_all: RecordAll, count: CommandCount
) -> Submitted:
    """Submit the commands of *message* to the ledger; return when they are enqueued.

    Raises:
        InvalidValue: there are no commands, or too many.
    """
    commands = message.commands
    check_size(commands)
    reader = partial(_read, read)
    submissions: Sequence[Submission]
    if message.ByteSize() <= UNREAD_BYTES * min(len(commands), MAX_TOGETHER):
        submissions = Unread(commands, reader)
    else:
        submissions = [one async for chunk in in_chunks(commands) for one in map(reader, chunk)]
    count.add(commands=len(commands))
    return Submitted(await record_all(submissions), count)


def check_size(commands: Sequence[pb.Command]) -> None:
    """Raise `InvalidValue` if there are no commands, or too many."""
    if not 1 <= len(commands) <= MAX_COMMANDS:
        problem = f"{counted(len(commands))}; must be 1 to {MAX_COMMANDS:,} commands"
        raise InvalidValue([Violation("commands", problem)])


def _read(read: Read, command: pb.Command) -> Submission:
    """Read *command*; if that is refused, return a stand-in with the refusal."""
    refusal: Refusal
    try:
        return read(command)
    except Refusal as error:
        refusal = error.with_traceback(None)  # its frames would keep all requests
    except Exception as error:  # noqa: BLE001  a bug in one command must not fail the others
        refusal = bug(_log, error, command.WhichOneof("command") or "")
    return Submission.of(Refused(refusal))


async def in_chunks(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """Yield *items* in chunks, and yield to the event loop every `TURN_SECONDS`."""
    begun = time.perf_counter()
    for first in range(0, len(items), CHUNK):
        yield items[first : first + CHUNK]
        if time.perf_counter() - begun > TURN_SECONDS:
            await asyncio.sleep(0)
            begun = time.perf_counter()
