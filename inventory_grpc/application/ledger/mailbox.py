"""The commands that wait for the writer, in the order they came."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from inventory_grpc.application.failures import OutcomeUnknown, Overloaded
from inventory_grpc.application.ledger.circuit_breaker import refusal_of
from inventory_grpc.application.ledger.question import Question, Request
from inventory_grpc.application.ports import Outcome, StorageError
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.refusals import Refusal

MAX_WAITING: Final = 4_096
"""Commands in the mailbox; one more is refused with `Overloaded`."""

BULK_ROOM: Final = 512
"""With so many in the mailbox, commands in bulk wait outside, and leave room for others.

That is one full batch, so that the writer never waits for them. Measured with four streams that
saturate it: a single command takes 80 ms, with twice as much 130, and no more is done.
"""


RETRY_SECONDS: Final = 0.5
"""When to send a command again that storage did not take."""

MOST_TURNS: Final = 64
"""Of the event loop, that a batch waits for one more command."""


Answer = Outcome | Refusal | TimeoutError
"""The answer to a command; `TimeoutError` if its deadline passed before it was begun."""


class Waiting(Protocol):
    """A caller who waits for the answers to one command or many."""

    def done(self) -> bool:
        """Tell whether there is nobody left to be answered."""
        ...

    def answer(self, place: int, answer: Answer, /) -> None:
        """Take the answer to the command at *place*, if nobody has left."""
        ...


class Entry(NamedTuple):
    """A question, the caller who waits for its answer, and its place among that caller's."""

    question: Question
    caller: Waiting
    place: int = 0

    def answer(self, answer: Answer) -> None:
        self.caller.answer(self.place, answer)

    def fail(self, error: StorageError) -> None:
        """Refuse it, for its transaction failed: nothing that failed is acknowledged."""
        if error.committing:
            self.answer(OutcomeUnknown(self.question.request.cause.request_id))
        else:
            self.answer(refusal_of(error, RETRY_SECONDS))


class _Single:
    """The caller of one command."""

    __slots__ = ("done", "future")

    def __init__(self, future: "asyncio.Future[Outcome]") -> None:
        self.future = future
        self.done = future.done

    def answer(self, _: int, answer: Answer) -> None:
        if self.future.done():
            return
        if isinstance(answer, Exception):
            self.future.set_exception(answer)
        else:
            self.future.set_result(answer)


class Mailbox:
    """Commands in the order they came."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._has_bulk_room = asyncio.Event()
        self._last_taken = 1
        """Commands that were handed out last."""

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, command: Command, request: Request) -> asyncio.Future[Outcome]:
        """Take a command in; its answer will be the result of what is returned.

        Raises:
            Overloaded: there are too many.
        """
        if len(self._entries) >= MAX_WAITING:
            raise Overloaded(0.1)
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._entries.append(Entry(Question(command, request), _Single(answer)))
        return answer

    async def bulk_room(self) -> None:
        """Wait until there is room for commands in bulk."""
        while len(self._entries) >= BULK_ROOM:
            self._has_bulk_room.clear()
            await self._has_bulk_room.wait()

    def put_bulk(self, entries: Sequence[Entry]) -> None:
        """Take in commands for which there was room."""
        self._entries.extend(entries)

    async def fill(self, most: int) -> None:
        """Give calls that have come in the turns of the loop they need to get here.

        That is one for each command that was taken last: where many called a moment ago many
        are on their way again, and a lone caller need not wait. Few large batches leave the
        event loop more time than many small ones: measured with 64 callers, a fifth more
        commands a second, and a sixth more carts, with the same waiting at the 99th percentile.
        """
        before, turns = 0, min(self._last_taken, MOST_TURNS)
        while before < len(self._entries) < most:
            before = len(self._entries)
            for _ in range(turns):
                await asyncio.sleep(0)

    def take(self, most: int) -> list[Entry]:
        """Hand out the next entries, except what nobody is waiting for any more."""
        now = asyncio.get_running_loop().time()
        taken: list[Entry] = []
        while self._entries and len(taken) < most:
            entry = self._entries.popleft()
            deadline = entry.question.request.deadline
            if entry.caller.done():
                continue
            if deadline is not None and deadline <= now:
                entry.answer(TimeoutError("its deadline passed before it was begun"))
                continue
            taken.append(entry)
        self._has_bulk_room.set()
        self._last_taken = max(1, len(taken))
        return taken

    def put_back(self, entries: Sequence[Entry]) -> None:
        """Have *entries* be the next that are handed out."""
        self._entries.extendleft(reversed(entries))

    def refuse_all(self, refusal: Callable[[], Refusal]) -> None:
        """Answer everybody with no: each with a refusal of its own, for it will be raised."""
        while self._entries:
            self._entries.popleft().answer(refusal())
        self._has_bulk_room.set()
