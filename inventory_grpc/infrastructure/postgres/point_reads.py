"""Reads of single states; those that arrive while others are read make the next read together."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from inventory_grpc.application.ports import Reading, StorageError
from inventory_grpc.infrastructure.postgres.read_models import POINTS
from inventory_grpc.infrastructure.postgres.readers import Readers

Waiting = tuple[Any, "asyncio.Future[Reading[Any]]"]
"""The key or query of a state, and the answer. The limits of calls bound how many wait."""

Group = Sequence[Waiting]
"""Some of one kind."""


class PointReads:
    """Reads in turns, with one statement for all of a kind that were asked for before it.

    So the snapshot of an answer is never older than its question.
    """

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._waiting: deque[Waiting] = deque()
        self._turns: asyncio.Task[None] | None = None

    async def read(self, asked: Any) -> Reading[Any]:  # noqa: ANN401  a key or query in `POINTS`
        """Return the state that *asked* names; None if it has no history.

        Raises:
            StorageError: the server cannot be read, or is being connected again.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Reading[Any]] = loop.create_future()
        self._waiting.append((asked, answer))
        if self._turns is None:
            self._turns = loop.create_task(self._take_turns())
        return await answer

    async def _take_turns(self) -> None:
        try:
            while self._waiting:
                await self._answer(self._next_group())
        finally:
            self._turns = None

    def _next_group(self) -> Group:
        """Take those of one kind that were asked for first; the others stay in their order."""
        kind = type(self._waiting[0][0])
        most = POINTS[kind].most
        group: list[Waiting] = []
        others: list[Waiting] = []
        while self._waiting and len(group) < most:
            one = self._waiting.popleft()
            (group if type(one[0]) is kind else others).append(one)
        self._waiting.extendleft(reversed(others))
        return group

    async def _answer(self, group: Group) -> None:
        """Read the states that callers still wait for, with one statement."""
        asked = list({one: None for one, answer in group if not answer.done()})
        if not asked:
            return
        point = POINTS[type(asked[0])]
        try:
            head, found = point.read(asked, await self._readers.await_rows(point.ask(asked)))
        except Exception as error:  # noqa: BLE001  each caller handles it
            for _, answer in group:
                if not answer.done():
                    answer.set_exception(_own(error))
        else:
            for one, answer in group:
                if not answer.done():
                    answer.set_result(Reading(found.get(one), head))


def _own(error: Exception) -> Exception:
    """Return an error for one caller: to raise one twice would mix up the tracebacks."""
    return replace(error) if isinstance(error, StorageError) else error
