"""The simulated network: latency and lost connections between callers and processes."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from inventory_grpc.application.failures import ShuttingDown
from tests.robustness.simulation.chance import Chance
from tests.robustness.simulation.process import Process
from tests.support.engine import Engine

T = TypeVar("T")


class Unreachable(Exception):
    """No process is there, and the request has not arrived."""


class Lost(Exception):
    """The connection has gone: what was sent may have arrived."""


class Network:
    """Carries calls, and the messages of streams."""

    def __init__(self, chance: Chance, *, seconds: float, loses: float) -> None:
        self._chance = chance
        self._seconds = seconds
        self.loses = loses
        """The share of calls of which the connection is lost."""

    async def call(self, process: Process, handle: Callable[[Engine], Coroutine[Any, Any, T]]) -> T:
        """Have *process* handle a call.

        Raises:
            Unreachable, Lost: it is not known whether it did, the latter.
        """
        await self._chance.pause(self._seconds)
        if not process.is_up:
            raise Unreachable
        handler, life = process.spawn(handle(process.engine)), process.life
        loses = self._chance.happens(self.loses)
        lost_after = self._chance.random() * 0.02 if loses else None
        try:
            await asyncio.wait([handler], timeout=lost_after)
            await self._chance.pause(self._seconds)
        except asyncio.CancelledError:
            self._hang_up(handler)
            raise
        if not handler.done():
            self._hang_up(handler)
            raise Lost
        is_gone = process.life != life or not process.is_up
        if handler.cancelled() or loses or (is_gone and self._chance.happens(0.5)):
            raise Lost
        return handler.result()

    def _hang_up(self, handler: "asyncio.Task[Any]") -> None:
        """Have the process notice a cancelled call after a while, or never."""
        if self._chance.happens(0.7):
            loop = asyncio.get_running_loop()
            loop.call_later(self._chance.soon(0.05), handler.cancel)

    async def stream(
        self, process: Process, serve: Callable[[Engine], AsyncGenerator[T, None]]
    ) -> AsyncGenerator[T, None]:
        """Yield the messages of a stream; it ends only by an error.

        Raises:
            Unreachable, Lost, ShuttingDown: the stream's end.
        """
        await self._chance.pause(self._seconds)
        if not process.is_up:
            raise Unreachable
        pipe: asyncio.Queue[T] = asyncio.Queue(1)

        async def serving() -> None:
            async with aclosing(serve(process.engine)) as messages:
                async for message in messages:
                    await self._chance.pause(self._seconds)
                    await pipe.put(message)

        handler = process.spawn(serving())
        try:
            while True:
                message = asyncio.ensure_future(pipe.get())
                try:
                    await asyncio.wait([message, handler], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    message.cancel()
                if message.done() and not message.cancelled():
                    yield message.result()
                if handler.done() and pipe.empty():
                    break
                if self._chance.happens(self.loses):
                    raise Lost
            if handler.cancelled():
                raise Lost
            handler.result()
            raise ShuttingDown(1.0)
        finally:
            handler.cancel()
