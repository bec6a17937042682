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

MAX_TOGETHER: Final = 256
"""Commands of a group that enter the mailbox together."""


class Group:
    """Commands that are submitted together; each has its own answer."""

    def __init__(
        self, submissions: Sequence[Submission], deadline: float | None, parts: int = 0
    ) -> None:
        self._submissions = submissions
        self._parts = parts
        self._deadline = deadline
        self._answers: list[Answer | None] = [None] * len(submissions)
        self._unanswered = len(submissions)
        self.wait = begin_wait()
        self.answered: Answers = asyncio.get_running_loop().create_future()
        """All answers, in order. Cancelling it also cancels commands that were not started."""
        if not submissions:
            self.answered.set_result([])

    def entry(self, first: int) -> Entry:
        """Return the next commands, from *first* on."""
        some = self._submissions[first : first + MAX_TOGETHER]
        return Entry(some, self, self._deadline, first, self._parts)

    def forget(self) -> None:
        """Forget the commands, which all have entries by now."""
        self._submissions = ()

    def done(self) -> bool:
        return self.answered.done()

    def answer(self, first: int, answers: Sequence[Answer]) -> None:
        """Set the answers to the commands from *first* on."""
        if self.answered.done():
            return
        self._answers[first : first + len(answers)] = answers
        self._unanswered -= len(answers)
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

    async def submit(
        self, submissions: Sequence[Submission], deadline: float | None, parts: int = 0
    ) -> Answers:
        """Return the future of the answers, once all commands are enqueued or refused.

        An atomic batch is a group of its own, with the number of its *parts*.
        """
        group = Group(submissions, deadline, parts)
        try:
            async with self._lock:
                await self._enqueue(group, len(submissions))
        except BaseException:
            group.answered.cancel()
            raise
        return group.answered

    async def _enqueue(self, group: Group, size: int) -> None:
        for first in range(0, size, MAX_TOGETHER):
            await self._mailbox.wait_for_bulk_room()
            try:
                await self._admit()
            except Refusal as refusal:
                await self._refuse(group, range(first, size, MAX_TOGETHER), refusal)
                break
            self._mailbox.put_bulk(group.entry(first))
            self._arrived()
        group.forget()

    async def _refuse(self, group: Group, firsts: Sequence[int], refusal: Refusal) -> None:
        """Refuse the entries that begin at *firsts*; each is read, and other calls run between."""
        for first in firsts:
            self._mailbox.refuse([group.entry(first)], lambda _: refusal)
            await asyncio.sleep(0)
