"""What do many commands in one message ask, and what became of each?"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Final, Protocol, TypeVar

from inventory_grpc.application.failures import bug
from inventory_grpc.application.group import Answer, Asked
from inventory_grpc.domain.refusals import InvalidValue, Refusal, Violation
from inventory_grpc.domain.values import MISSING
from inventory_grpc.presentation.call_notes import note
from inventory_grpc.presentation.errors import fill_error
from inventory_grpc.presentation.form import counted
from inventory_grpc.presentation.mapping_outcomes import fill_result
from inventory_grpc_protos.v1 import commands_pb2 as pb

_log = logging.getLogger(__name__)

MAX_COMMANDS: Final = 1_000
"""Commands in one message."""

TURN_SECONDS: Final = 0.001
"""How long commands are read, or told of, until other calls get a turn."""

T = TypeVar("T")

Response = TypeVar("Response", pb.ExecuteBatchResponse, pb.ExecuteStreamResponse)

Read = Callable[[str, Any], Asked]
"""Reads a command of the kind that is named; raises what is wrong with it."""


class RecordsAll(Protocol):
    """Records many commands; see `inventory_grpc.application.ledger`."""

    async def record_all(self, asked: Sequence[Asked]) -> "asyncio.Future[Sequence[Answer]]": ...


class Tally:
    """What the log line of a call says of its commands, all messages together."""

    def __init__(self) -> None:
        self._commands = 0
        self._refused = 0

    def add(self, *, commands: int = 0, refused: int = 0) -> None:
        self._commands += commands
        self._refused += refused
        note(commands=self._commands, refused=self._refused)


class Taken:
    """A message whose commands the ledger has, but for those that something is wrong with."""

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
        """Have nothing done any more that was not begun."""
        if self._answered is not None:
            self._answered.cancel()

    async def told_in(self, response: Response) -> Response:
        """Wait until all are done, and tell in *response* what became of each, in order."""
        assert self._answered is not None, "told once"
        answers = iter(await self._answered)
        refused = 0
        async for refusal in _in_turns(self._refusals):
            answer = next(answers) if refusal is None else refusal
            if isinstance(answer, tuple):
                fill_result(response.results.add(), answer)
            else:
                refused += 1
                fill_error(response.results.add().error, answer)
        self._tally.add(refused=refused)
        # what is kept until the response was taken, which may take long
        self._answered, self._refusals = None, ()
        return response


async def take_in(
    commands: Sequence[pb.Command], read: Read, ledger: RecordsAll, tally: Tally
) -> Taken:
    """Have *ledger* take in what *commands* ask; return when it has.

    Raises:
        InvalidValue: they are none, or too many.
    """
    if not 1 <= len(commands) <= MAX_COMMANDS:
        problem = f"{counted(len(commands))}; must be 1 to {MAX_COMMANDS:,} commands"
        raise InvalidValue([Violation("commands", problem)])
    asked: list[Asked] = []
    refusals = [_read(command, read, asked) async for command in _in_turns(commands)]
    tally.add(commands=len(commands))
    return Taken(refusals, await ledger.record_all(asked), tally)


def _read(command: pb.Command, read: Read, asked: list[Asked]) -> Refusal | None:
    """Add what *command* asks to *asked*, or return why not."""
    kind = command.WhichOneof("command")
    if kind is None:
        return InvalidValue([Violation("command", MISSING)])
    try:
        asked.append(read(kind, getattr(command, kind)))
    except Refusal as refusal:
        return refusal.with_traceback(None)  # which would keep what all of them ask
    except Exception as error:  # noqa: BLE001  a bug in one command must not be the others' fate
        return bug(_log, error, kind)
    return None


async def _in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield *items*, and let other calls have their turn now and then."""
    begun = time.perf_counter()
    for item in items:
        yield item
        if time.perf_counter() - begun > TURN_SECONDS:
            await asyncio.sleep(0)
            begun = time.perf_counter()
