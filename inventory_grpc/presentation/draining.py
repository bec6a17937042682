"""Interceptors for stopping a server: they wait for running calls and refuse new ones.

gRPC does not wait for handlers of calls that it has aborted (grpc/grpc#37239). It waits without
end for streams that are not ended, and it cancels calls that were received but not started:
`CANCELLED` does not tell a caller that nothing has happened. So for a short time before, calls
are still accepted, and refused with a reason.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Any, Final, cast

import grpc.aio

from inventory_grpc.application.failures import ShuttingDown
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.grpc_types import Behaviour, Context
from inventory_grpc.presentation.interceptors.around import Around

QUIET_SECONDS: Final = 0.1
"""After this long without a call, nearby clients have seen the refusal. gRPC cancels calls that
are in transit at that moment."""

PATIENCE_SECONDS: Final = 0.5
"""Refusing ends after this long, even if calls keep arriving."""

RETRY_SECONDS: Final = 1.0

_OURS: Final = "/inventory.v1."

Task = asyncio.Task[Any]


class RunningCalls(Around):
    """Tracks the tasks of running calls. As the outermost interceptor, it creates the `Call`."""

    def __init__(self, ending_themselves: Collection[str] = ()) -> None:
        """Track calls; *ending_themselves* are streaming methods that end when the server stops."""
        super().__init__()
        self._ending_themselves = ending_themselves
        self._running: set[Task] = set()
        self._endless: set[Task] = set()
        self._cancelled_by_us: set[Task] = set()
        self._afterwards: list[Callable[[], None]] = []

    def around(self, method: str, inner: Behaviour, *, streams: bool) -> Behaviour:
        running = self._running
        is_endless = streams and method not in self._ending_themselves

        async def registered(request: object, context: Context) -> object:
            task = asyncio.current_task()
            assert task is not None
            running.add(task)
            try:
                return await inner(request, Call(context))
            except grpc.aio.AbortError as aborted:
                # gRPC keeps the error as long as the call. Its traceback would keep each frame,
                # with the request, in a reference cycle until garbage collection.
                del request, context
                aborted.__context__ = None
                raise aborted.with_traceback(None) from None
            finally:
                running.discard(task)

        async def registered_as_endless(request: object, context: Context) -> object:
            task = asyncio.current_task()
            assert task is not None
            self._endless.add(task)
            try:
                return await registered(request, context)
            finally:
                self._endless.discard(task)
                self._cancelled_by_us.discard(task)

        # gRPC calls the outermost interceptor with its own context
        return cast("Behaviour", registered_as_endless if is_endless else registered)

    @property
    def running(self) -> int:
        """Return the number of calls. With `__len__`, gRPC would take an idle one for missing."""
        return len(self._running)

    def end_streams(self) -> None:
        """Cancel the streams that never end by themselves; their callers receive the reason."""
        for task in self._endless - self._cancelled_by_us:
            self._cancelled_by_us.add(task)
            task.cancel()

    def was_cancelled_by_us(self, task: Task) -> bool:
        """Return whether `end_streams` cancelled *task*, whose caller still waits."""
        return task in self._cancelled_by_us

    def afterwards(self, do: Callable[[], None]) -> None:
        """Call *do* when the last call has finished."""
        self._afterwards.append(do)

    async def finished(self) -> None:
        """Wait until no call is running, then call what `afterwards` has registered."""
        while self._running:
            await asyncio.wait(set(self._running))
        for do in self._afterwards:
            do()


class RefuseWhileDraining(Around):
    """Refuses calls while the server drains, except health checks and reflection."""

    def __init__(self) -> None:
        super().__init__()
        self._is_draining = False
        self._refused = 0

    def around(self, method: str, inner: Behaviour, *, streams: bool) -> Behaviour:  # noqa: ARG002
        if not method.startswith(_OURS):
            return inner

        async def refusing(request: object, call: Call) -> object:
            if self._is_draining:
                self._refused += 1
                raise ShuttingDown(RETRY_SECONDS)
            return await inner(request, call)

        return refusing

    async def drain(self) -> None:
        """Refuse calls from now on; return when no more arrive, or after `PATIENCE_SECONDS`."""
        self._is_draining = True
        loop = asyncio.get_running_loop()
        give_up = loop.time() + PATIENCE_SECONDS
        seen = -1
        while seen != self._refused and loop.time() < give_up:
            seen = self._refused
            await asyncio.sleep(QUIET_SECONDS)
