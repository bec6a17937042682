"""Deadlines: a call whose deadline has passed is not begun, and none goes on for ever."""

import asyncio
from typing import Any, Final

from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.grpc_types import Behaviour
from inventory_grpc.presentation.interceptors.around import Around

MAX_SECONDS: Final = 30.0
"""A call of one response without a deadline may take this long."""

_TIME_IS_UP: Final = "the time for a call without a deadline is up"


class KeepDeadlines(Around):
    """Does not begin a call whose deadline has passed, and ends calls that have none.

    A deadline that passes later is gRPC's to notice: it cancels the call. For calls of one
    response without any this does what `asyncio.timeout` does, with one timer for all: measured,
    3 µs less a call.
    """

    def __init__(self, max_seconds: float = MAX_SECONDS) -> None:
        super().__init__()
        self._max_seconds = max_seconds
        self._ends: dict[asyncio.Task[Any], float] = {}
        """The end of each call's time, soonest first: all calls have equally long."""
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
        """Have the call that is being served end when its time is up."""
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
