"""Deadlines: an expired call is not started, and no unary call runs forever."""

import asyncio
from typing import Any, Final

from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.grpc_types import Behaviour
from inventory_grpc.presentation.interceptors.around import Around

MAX_SECONDS: Final = 30.0
"""The time limit of a unary call without a deadline."""

_TIME_IS_UP: Final = "a call without a deadline has reached its time limit"


class KeepDeadlines(Around):
    """Refuses calls whose deadline has passed, and limits unary calls without a deadline.

    gRPC cancels a call whose deadline passes later. For unary calls without one, this acts like
    `asyncio.timeout`, but with one timer for all, which was measured to save 3 µs a call.
    """

    def __init__(self, max_seconds: float = MAX_SECONDS) -> None:
        super().__init__()
        self._max_seconds = max_seconds
        self._ends: dict[asyncio.Task[Any], float] = {}
        """The time limit of each call, earliest first, since all calls have the same."""
        self._timer: asyncio.TimerHandle | None = None

    def around(self, method: str, inner: Behaviour, *, streams: bool) -> Behaviour:  # noqa: ARG002
        async def timely(request: object, call: Call) -> object:
            seconds = call.seconds_left()
            if seconds is not None and seconds <= 0:
                raise TimeoutError
            if seconds is not None or streams:
                return await inner(request, call)
            task = self._begin()
            try:
                return await inner(request, call)
            except asyncio.CancelledError as error:
                if error.args != (_TIME_IS_UP,) or task.uncancel() > 0:
                    raise
                raise TimeoutError from None
            finally:
                self._ends.pop(task, None)

        return timely

    def _begin(self) -> asyncio.Task[Any]:
        """Register the current call, to be cancelled at its time limit."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        self._ends[task] = loop.time() + self._max_seconds
        if self._timer is None:
            self._timer = loop.call_later(self._max_seconds, self._end_overdue)
        return task

    def _end_overdue(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        for task, end in [*self._ends.items()]:
            if end > loop.time():
                self._timer = loop.call_at(end, self._end_overdue)
                return
            del self._ends[task]
            task.cancel(_TIME_IS_UP)
