"""Groups of commands that one caller waits for at once.

A future of its own for each would cost more than all else that the event loop does for
it: one is enough, which is done when the last command is answered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, cast

from inventory_grpc.application.ledger.mailbox import Answer, Entry, Mailbox
from inventory_grpc.application.ledger.question import Question
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.values import new

MAX_TOGETHER: Final = 256
"""Commands of a group that come into the mailbox together."""


class Group:
    """Commands that are asked together, and answered each for itself."""

    def __init__(self, asked: Sequence[Question]) -> None:
        self._asked = asked
        self._answers: list[Answer | None] = [None] * len(asked)
        self._unanswered = len(asked)
        self.answered: asyncio.Future[Sequence[Answer]] = asyncio.get_running_loop().create_future()
        """All answers, in order. If it is cancelled, what was not begun never is."""
        if not asked:
            self.answered.set_result([])

    def entries(self, first: int) -> Sequence[Entry]:
        """Return the next commands from *first* on, as they come into the mailbox."""
        return [
            new(Entry, (question, self, place))
            for place, question in enumerate(self._asked[first : first + MAX_TOGETHER], first)
        ]

    def refuse(self, first: int, refusal: Refusal) -> None:
        """Answer all from *first* on with no."""
        for place in range(first, len(self._asked)):
            self.answer(place, refusal)

    def done(self) -> bool:
        return self.answered.done()

    def answer(self, place: int, answer: Answer) -> None:
        """Note the answer to one that has none yet."""
        if self.answered.done():
            return
        self._answers[place] = answer
        self._unanswered -= 1
        if not self._unanswered:
            self.answered.set_result(cast("Sequence[Answer]", self._answers))


class Groups:
    """Lets groups into the mailbox, one after the other, each in order.

    They wait for room, and are not refused for the lack of it.
    """

    def __init__(
        self, mailbox: Mailbox, admit: Callable[[], Awaitable[None]], arrived: Callable[[], None]
    ) -> None:
        self._mailbox = mailbox
        self._admit = admit
        self._arrived = arrived
        self._entrance = asyncio.Lock()

    async def take_in(self, asked: Sequence[Question]) -> "asyncio.Future[Sequence[Answer]]":
        """Return what will have the answers, once all are in the mailbox, or refused."""
        group = Group(asked)
        try:
            async with self._entrance:
                await self._let_in(group, len(asked))
        except BaseException:
            group.answered.cancel()
            raise
        return group.answered

    async def _let_in(self, group: Group, size: int) -> None:
        for first in range(0, size, MAX_TOGETHER):
            await self._mailbox.bulk_room()
            try:
                await self._admit()
            except Refusal as refusal:
                group.refuse(first, refusal)
                return
            self._mailbox.put_bulk(group.entries(first))
            self._arrived()
