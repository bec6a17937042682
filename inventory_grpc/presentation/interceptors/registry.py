"""The calls that are running, so that a server that stops can wait for all of them.

gRPC does not wait for handlers of calls that it has aborted (grpc/grpc#37239), and keeps
waiting for streams that nobody told to end.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

import grpc.aio

from inventory_grpc.presentation.grpc_types import Behaviour, Context
from inventory_grpc.presentation.interceptors.around import Around

Task = asyncio.Task[Any]


class RunningCalls(Around):
    """Knows the task of every call that is being served."""

    def __init__(self, ending_themselves: Collection[str] = ()) -> None:
        """Take the streaming methods that end by themselves when the server stops."""
        super().__init__()
        self._ending_themselves = ending_themselves
        self._running: set[Task] = set()
        self._endless: set[Task] = set()
        self._ended: set[Task] = set()
        self._afterwards: list[Callable[[], None]] = []

    def around(self, method: str, call: Behaviour, *, streams: bool) -> Behaviour:
        running = self._running
        is_endless = streams and method not in self._ending_themselves

        async def registered(request: object, context: Context) -> object:
            task = asyncio.current_task()
            assert task is not None
            running.add(task)
            try:
                return await call(request, context)
            except grpc.aio.AbortError as aborted:
                # Kept by gRPC as long as the call, which each frame on its way here keeps too,
                # with the request: a circle, until the garbage collector comes by.
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
                self._ended.discard(task)

        return registered_as_endless if is_endless else registered

    @property
    def running(self) -> int:
        """Return how many there are. With a `__len__`, gRPC would take none for no interceptor."""
        return len(self._running)

    def end_streams(self) -> None:
        """Have the streams end that would never do so; they are told that we shut down."""
        for task in self._endless - self._ended:
            self._ended.add(task)
            task.cancel()

    def is_ended(self, task: Task) -> bool:
        """Tell whether *task* was cancelled by us, and its caller still waits."""
        return task in self._ended

    def afterwards(self, do: Callable[[], None]) -> None:
        """Have *do* called when the last call has finished."""
        self._afterwards.append(do)

    async def finished(self) -> None:
        """Wait until no call is running, and what is to be done afterwards is done."""
        while self._running:
            await asyncio.wait(set(self._running))
        for do in self._afterwards:
            do()
