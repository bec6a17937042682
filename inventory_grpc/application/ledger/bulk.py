"""Groups of commands of one caller, with one future for each group.

A future for each command would cost more than all other work of the event loop for it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, cast

from inventory_grpc.application.ledger.mailbox import Answer, Answers, Entry, Mailbox
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.tracing import begin_wait
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.values import new

MAX_TOGETHER: Final = 256
"""Commands of a group that enter the mailbox together."""


class Group:
    """Commands that are submitted together; each has its own answer."""

    def __init__(self, submissions: Sequence[Submission]) -> None:
        self._submissions = submissions
        self._answers: list[Answer | None] = [None] * len(submissions)
        self._unanswered = len(submissions)
        self.wait = begin_wait()
        self.answered: Answers = asyncio.get_running_loop().create_future()
        """All answers, in order. Cancelling it also cancels commands that were not started."""
        if not submissions:
            self.answered.set_result([])

    def entries(self, first: int) -> Sequence[Entry]:
        """Return the entries of the next commands, from *first* on."""
        some = self._submissions[first : first + MAX_TOGETHER]
        return [new(Entry, (one, self, place)) for place, one in enumerate(some, first)]

    def refuse(self, first: int, refusal: Refusal) -> None:
        """Refuse all commands from *first* on."""
        for place in range(first, len(self._submissions)):
            self.answer(place, refusal)

    def done(self) -> bool:
        return self.answered.done()

    def answer(self, place: int, answer: Answer) -> None:
        """Set the answer to the command at *place*."""
        if self.answered.done():
            return
        self._answers[place] = answer
        self._unanswered -= 1
        if not self._unanswered:
            self.answered.set_result(cast("Sequence[Answer]", self._answers))


class Groups:
    """Enqueues groups in the mailbox one after the other; they wait for space in it."""

    def __init__(
        self, mailbox: Mailbox, admit: Callable[[], Awaitable[None]], arrived: Callable[[], None]
    ) -> None:
        self._mailbox = mailbox
        self._admit = admit
        self._arrived = arrived
        self._lock = asyncio.Lock()

    async def submit(self, submissions: Sequence[Submission]) -> Answers:
        """Return the future of the answers, once all commands are enqueued or refused."""
        group = Group(submissions)
        try:
            async with self._lock:
                await self._enqueue(group, submissions)
        except BaseException:
            group.answered.cancel()
            raise
        return group.answered

    async def _enqueue(self, group: Group, submissions: Sequence[Submission]) -> None:
        for first in range(0, len(submissions), MAX_TOGETHER):
            await self._mailbox.wait_for_bulk_room()
            try:
                await self._admit()
            except Refusal as refusal:
                group.refuse(first, refusal)
                rest = submissions[first:]
                self._mailbox.count([one.command for one in rest], [refusal] * len(rest))
                return
            self._mailbox.put_bulk(group.entries(first))
            self._arrived()
