"""Executes a batch, and adds its steps to the traces of its callers: wait, decide, commit.

A batch is timed only where calls are traced.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Final, Protocol, TypeVar

from inventory_grpc.application.failures import bug
from inventory_grpc.application.ledger.mailbox import Entry, divided
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.tracing import Wait
from inventory_grpc.domain.refusals import Refusal

_log = logging.getLogger(__name__)

MAX_LINKS: Final = 16
"""Callers of a batch that its commit names. Each of them names all, so the cost is the square."""

A = TypeVar("A")
R = TypeVar("R")


class BatchTimes:
    """The times of one transaction, in nanoseconds since 1970; 0 before they are known."""

    def __init__(self) -> None:
        self.begun = 0
        self.decided = 0
        self.committed = 0

    def from_here(self, run: Callable[[A], R]) -> Callable[[A], R]:
        """Return *run*, which first notes that the transaction has begun."""

        def noted(transaction: A) -> R:
            self.begun = time.time_ns()
            return run(transaction)

        return noted

    def up_to_here(self, work: Callable[[A], R]) -> Callable[[A], R]:
        """Return *work*, which at its end notes that all commands are decided."""

        def noted(batch: A) -> R:
            result = work(batch)
            self.decided = time.time_ns()
            return result

        return noted

    def note_commit(self) -> None:
        self.committed = time.time_ns()


class Answers(Protocol):
    """Executes commands in one transaction; see `Writer`."""

    async def answer(
        self, submissions: Iterable[Submission], times: BatchTimes | None = None
    ) -> Sequence[Outcome | Refusal]: ...


async def execute(
    writer: Answers, entries: Sequence[Entry], *, traced: bool
) -> Sequence[Outcome | Refusal]:
    """Answer *entries* in one transaction; if *traced*, add its steps to the calls that are."""
    submissions = chain.from_iterable(entry.submissions for entry in entries)
    if not traced:
        return await writer.answer(submissions)
    times, answered = BatchTimes(), sum(len(entry.submissions) for entry in entries)
    try:
        answers = await writer.answer(submissions, times)
        answered = len(answers)
    finally:
        try:
            _add_steps(times, (entry.caller.wait for entry in divided(entries, answered)[0]))
        except Exception as error:  # noqa: BLE001  committed commands must not be tried again
            bug(_log, error, "tracing a batch")
    return answers


def _add_steps(times: BatchTimes, all_waits: Iterable[Wait | None]) -> None:
    """Add the steps once for each traced call, however many commands it has in the batch."""
    waits = [wait for wait in dict.fromkeys(all_waits) if wait is not None]
    if not waits:
        return
    callers = [wait.trace for wait in waits[:MAX_LINKS]] if len(waits) > 1 else []
    ended = times.committed or time.time_ns()
    begun, decided = times.begun or ended, times.decided or ended
    for trace, since in waits:
        trace.add_step("wait", since, begun, failed=not times.begun)
        if times.begun:
            trace.add_step("decide", begun, decided, failed=not times.decided)
        if times.decided:
            trace.add_step("commit", decided, ended, failed=not times.committed, callers=callers)
