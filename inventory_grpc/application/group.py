"""How does one caller wait for many commands at once?

A future of its own for each would cost more than all else that the event loop does for
it: one is enough, which is done when the last command is answered.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from inventory_grpc.application.batch import Request
from inventory_grpc.application.mailbox import Entry
from inventory_grpc.application.ports import Outcome
from inventory_grpc.domain.commands import Command
from inventory_grpc.domain.refusals import Refusal

MAX_TOGETHER: Final = 512
"""Commands of a group that come into the mailbox together."""

Asked = tuple[Command, Request]

Answer = Outcome | Refusal | TimeoutError
"""What became of a command; `TimeoutError` if its deadline passed before it was begun."""


class Group:
    """Commands that are asked together, and answered each for itself."""

    def __init__(self, asked: Sequence[Asked]) -> None:
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
            Entry(command, request, _Part(self, first + place))
            for place, (command, request) in enumerate(self._asked[first : first + MAX_TOGETHER])
        ]

    def refuse(self, first: int, refusal: Refusal) -> None:
        """Answer all from *first* on with no."""
        for place in range(first, len(self._asked)):
            self.answer(place, refusal)

    def answer(self, place: int, answer: Answer) -> None:
        """Note the answer to one; the first one counts."""
        if self.answered.done() or self._answers[place] is not None:
            return
        self._answers[place] = answer
        self._unanswered -= 1
        if not self._unanswered:
            self.answered.set_result(cast("Sequence[Answer]", self._answers))


@dataclass(slots=True, eq=False)
class _Part:
    """What one command of a group has in place of a future."""

    group: Group
    place: int

    def done(self) -> bool:
        return self.group.answered.done()

    def set_result(self, result: Outcome, /) -> None:
        self.group.answer(self.place, result)

    def set_exception(self, exception: BaseException, /) -> None:
        self.group.answer(self.place, cast("Refusal | TimeoutError", exception))
