"""The queue of commands for the writer, in the order of arrival."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from inventory_grpc.application.failures import OutcomeUnknown, Overloaded
from inventory_grpc.application.ledger.circuit_breaker import refusal_of
from inventory_grpc.application.ledger.submission import Request, Submission
from inventory_grpc.application.ports import Outcome, StorageError
from inventory_grpc.application.tracing import Wait, begin_wait
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.refusals import Refusal

MAX_WAITING: Final = 4_096
"""Commands in the mailbox; one more is refused with `Overloaded`."""

BULK_ROOM: Final = 512
"""With this many commands in the mailbox, bulk commands wait outside and leave room for others.

That is one full batch, so that the writer never waits for them. Measured with four streams that
saturate it: a single command takes 80 ms. Twice the room takes 130 ms, with no more throughput.
"""

RETRY_SECONDS: Final = 0.5
"""The retry delay for a command whose transaction failed."""

MAX_TURNS: Final = 64
"""The most turns of the event loop that a batch waits for one more command."""

Answer = Outcome | Refusal | TimeoutError
"""The answer to a command; `TimeoutError` if its deadline passed before it was started."""

Answers = asyncio.Future[Sequence[Answer]]
"""The future answers to a group of commands, in order."""


Count = Callable[[Sequence[Command], Sequence[Answer]], None]
"""Counts answered commands; with fewer answers than commands, the first commands."""


class Waiting(Protocol):
    """A caller that waits for the answers to one or more commands."""

    @property
    def wait(self) -> Wait | None:
        """The wait of a traced call; None of others."""

    def done(self) -> bool:
        """Return whether the caller no longer waits."""

    def answer(self, place: int, answer: Answer, /) -> None:
        """Set the answer to the command at *place*, unless the caller has left."""


class Entry(NamedTuple):
    """A command with its request, the waiting caller, and the index among that caller's."""

    submission: Submission
    caller: Waiting
    place: int = 0

    def answer(self, answer: Answer) -> None:
        self.caller.answer(self.place, answer)

    def failure(self, error: StorageError) -> Refusal:
        """Return the refusal of the command because its transaction failed."""
        if error.committing:
            return OutcomeUnknown(self.submission.request.cause.request_id)
        return refusal_of(error, RETRY_SECONDS)


class _Single:
    """The caller of one command."""

    __slots__ = ("done", "future")
    wait: Wait | None = None

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


class _MaybeTraced(_Single):
    """The caller of one command, where calls are traced."""

    __slots__ = ("wait",)

    def __init__(self, future: "asyncio.Future[Outcome]") -> None:
        super().__init__(future)
        self.wait = begin_wait()


class Mailbox:
    """A bounded queue of commands."""

    def __init__(self, count: Count, *, traces: bool = False) -> None:
        self._caller = _MaybeTraced if traces else _Single
        self._entries: deque[Entry] = deque()
        self.count = count
        self._has_bulk_room = asyncio.Event()
        self._last_taken = 1
        """The size of the last batch, at least 1."""

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, command: Command, request: Request) -> asyncio.Future[Outcome]:
        """Enqueue a command and return the future of its answer.

        Raises:
            Overloaded: the mailbox is full.
        """
        if len(self._entries) >= MAX_WAITING:
            raise Overloaded(0.1)
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._entries.append(Entry(Submission(command, request), self._caller(answer)))
        return answer

    async def wait_for_bulk_room(self) -> None:
        while len(self._entries) >= BULK_ROOM:
            self._has_bulk_room.clear()
            await self._has_bulk_room.wait()

    def put_bulk(self, entries: Sequence[Entry]) -> None:
        """Enqueue commands; call `wait_for_bulk_room` first."""
        self._entries.extend(entries)

    async def fill(self, limit: int) -> None:
        """Yield to the event loop, so that calls that have arrived can enqueue their commands.

        It yields one turn for each command of the last batch: as many callers are likely to have
        sent again, and a single caller does not wait. Large batches leave the event loop more
        time than small ones. Measured with 64 callers: a fifth more commands a second, and a
        sixth more carts, at the same 99th percentile of latency.
        """
        before, turns = 0, min(self._last_taken, MAX_TURNS)
        while before < len(self._entries) < limit:
            before = len(self._entries)
            for _ in range(turns):
                await asyncio.sleep(0)

    def take(self, limit: int) -> list[Entry]:
        """Remove and return the next entries, without those whose callers no longer wait."""
        now = asyncio.get_running_loop().time()
        taken: list[Entry] = []
        while self._entries and len(taken) < limit:
            entry = self._entries.popleft()
            deadline = entry.submission.request.deadline
            if entry.caller.done():
                continue
            if deadline is not None and deadline <= now:
                late = TimeoutError("the deadline passed before the command was started")
                self.give([entry], [late])
                continue
            taken.append(entry)
        self._has_bulk_room.set()
        self._last_taken = max(1, len(taken))
        return taken

    def give(self, entries: Sequence[Entry], answers: Sequence[Answer]) -> None:
        """Answer as many of *entries* as there are *answers*, and take the others back."""
        for entry, answer in zip(entries, answers, strict=False):
            entry.answer(answer)
        self.count([entry.submission.command for entry in entries], answers)
        self.put_back(entries[len(answers) :])

    def put_back(self, entries: Sequence[Entry]) -> None:
        """Put *entries* back at the front of the queue."""
        self._entries.extendleft(reversed(entries))

    def refuse_all(self, refusal: Callable[[], Refusal]) -> None:
        """Refuse all entries, each with a separate refusal, since it will be raised."""
        while self._entries:
            self.give([self._entries.popleft()], [refusal()])
        self._has_bulk_room.set()
