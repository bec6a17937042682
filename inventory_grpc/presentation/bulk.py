"""Many commands in one message: submits them to the ledger and tells the outcome of each."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

from inventory_grpc.application.failures import bug
from inventory_grpc.application.ledger.mailbox import Answer
from inventory_grpc.application.ledger.question import Question
from inventory_grpc.domain.refusals import InvalidValue, Refusal, Violation
from inventory_grpc.domain.values import MISSING
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.errors import fill_error
from inventory_grpc.presentation.to_proto import fill_result
from inventory_grpc.presentation.validation import counted
from inventory_grpc_protos.v1 import commands_pb2 as pb

_log = logging.getLogger(__name__)

MAX_COMMANDS: Final = 1_000
"""Commands in one message."""

TURN_SECONDS: Final = 0.001
"""Commands are read, or results written, for this long before other calls get a turn."""

SOME: Final = 16
"""Commands between two looks at the clock."""

T = TypeVar("T")

Response = TypeVar("Response", pb.ExecuteBatchResponse, pb.ExecuteStreamResponse)

Read = Callable[[str, Any], Question]
"""Reads a command of the kind that is named; raises the refusal if it is wrong."""


class RecordsAll(Protocol):
    """Records many commands; see `inventory_grpc.application.ledger.loop`."""

    async def record_all(self, asked: Sequence[Question]) -> "asyncio.Future[Sequence[Answer]]": ...


class Tally:
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
    """The commands of one message: the ledger has those that are well formed."""

    def __init__(
        self,
        refusals: Sequence[Refusal | None],
        answered: "asyncio.Future[Sequence[Answer]]",
        tally: Tally,
    ) -> None:
        self._refusals = refusals
        self._answered: asyncio.Future[Sequence[Answer]] | None = answered
        self._tally = tally

    def give_up(self) -> None:
        """Cancel the commands that were not begun."""
        if self._answered is not None:
            self._answered.cancel()

    async def respond(self, response: Response) -> Response:
        """Wait until all are done, and write the result of each into *response*, in order."""
        assert self._answered is not None, "a message is answered once"
        answers = iter(await self._answered)
        refused = 0
        async for some in _in_turns(self._refusals):
            for refusal in some:
                answer = next(answers) if refusal is None else refusal
                if isinstance(answer, tuple):
                    fill_result(response.results.add(), answer)
                else:
                    refused += 1
                    fill_error(response.results.add().error, answer)
        self._tally.add(refused=refused)
        # this object lives until the caller has taken the response, which may take long
        self._answered, self._refusals = None, ()
        return response


async def submit(
    commands: Sequence[pb.Command], read: Read, ledger: RecordsAll, tally: Tally
) -> Submitted:
    """Submit *commands* to *ledger*; return once it has room for them.

    Raises:
        InvalidValue: there are none, or too many.
    """
    if not 1 <= len(commands) <= MAX_COMMANDS:
        problem = f"{counted(len(commands))}; must be 1 to {MAX_COMMANDS:,} commands"
        raise InvalidValue([Violation("commands", problem)])
    asked: list[Question] = []
    refusals: list[Refusal | None] = []
    async for some in _in_turns(commands):
        refusals += [_read(command, read, asked) for command in some]
    tally.add(commands=len(commands))
    return Submitted(refusals, await ledger.record_all(asked), tally)


def _read(command: pb.Command, read: Read, asked: list[Question]) -> Refusal | None:
    """Add *command*, read, to *asked*, or return the refusal."""
    kind = command.WhichOneof("command")
    if kind is None:
        return InvalidValue([Violation("command", MISSING)])
    try:
        asked.append(read(kind, getattr(command, kind)))
    except Refusal as refusal:
        return refusal.with_traceback(None)  # its frames would keep all the requests
    except Exception as error:  # noqa: BLE001  a bug in one command must not be the others' fate
        return bug(_log, error, kind)
    return None


async def _in_turns(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """Yield *items*, some at a time, and let other calls have a turn every `TURN_SECONDS`."""
    begun = time.perf_counter()
    for first in range(0, len(items), SOME):
        yield items[first : first + SOME]
        if time.perf_counter() - begun > TURN_SECONDS:
            await asyncio.sleep(0)
            begun = time.perf_counter()
