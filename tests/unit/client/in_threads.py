"""The client that blocks, in threads, with the methods of the one of an event loop.

So the tests of one are those of the other.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from types import TracebackType
from typing import Any, Final, Self

import pytest

from inventory_grpc.client import InventoryClient, SyncInventoryClient
from inventory_grpc.client.calls import Calls
from inventory_grpc.client.connections import Connections

ON_A_LOOP: Final = pytest.mark.parametrize("client", [InventoryClient], ids=["loop"], indirect=True)
"""Marks a test of tasks: a thread cannot be cancelled, nor begun by a turn of the loop."""

MAX_THREADS: Final = 64
_END: Final = object()


class InThreads:
    def __init__(self, address: str, **options: Any) -> None:  # noqa: ANN401  those of the client
        self.blocking = SyncInventoryClient(address, **options)
        self._threads = ThreadPoolExecutor(MAX_THREADS)

    @property
    def _connections(self) -> Connections:
        return self.blocking._connections

    @property
    def _calls(self) -> Calls:
        return self.blocking._calls

    async def __aenter__(self) -> Self:
        self.blocking.__enter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self, **wrong: Any) -> None:  # noqa: ANN401  a test gives some
        await self._in_thread(self.blocking.close, **wrong)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.blocking, name)

        def call(
            *given: object, **named: object
        ) -> Coroutine[Any, Any, Any] | AsyncGenerator[Any, None]:
            if name in {"subscribe", "events", "execute_stream"}:
                return self._items(method(*given, **named))
            return self._in_thread(method, *given, **named)

        return call

    async def _in_thread(self, call: Callable[..., Any], *given: object, **named: object) -> Any:  # noqa: ANN401  as the call
        loop = asyncio.get_running_loop()
        context = copy_context()
        return await loop.run_in_executor(self._threads, lambda: context.run(call, *given, **named))

    async def _items(self, items: Generator[Any, None, None]) -> AsyncGenerator[Any, None]:
        try:
            while (item := await self._in_thread(next, items, _END)) is not _END:
                yield item
        finally:
            await self._in_thread(items.close)
