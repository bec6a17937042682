"""How are the next commands of a stream taken in while the last ones are being recorded?"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from inventory_grpc.application.failures import ShuttingDown
from inventory_grpc.presentation.bulk import Taken
from inventory_grpc_protos.v1 import commands_pb2 as pb

MAX_AHEAD: Final = 2
"""Messages of a stream that are taken in and not answered; others wait with the caller."""

TakeIn = Callable[[Sequence[pb.Command]], Awaitable[Taken]]


class CommandStream:
    """The messages of one caller, taken in by a task of its own, in order."""

    def __init__(self, requests: AsyncIterator[pb.ExecuteStreamRequest], take_in: TakeIn) -> None:
        self._requests = requests
        self._take_in = take_in
        self._room = asyncio.Semaphore(MAX_AHEAD)
        self._taken: asyncio.Queue[Taken | Exception | None] = asyncio.Queue()
        self._is_stopping = False
        self._is_idle = False
        self._reader = asyncio.create_task(self._read(), name="commands of a stream")

    def stop(self) -> None:
        """Read no more; what was taken in is answered."""
        self._is_stopping = True
        if self._is_idle:
            self._reader.cancel()

    async def taken(self) -> AsyncGenerator[Taken, None]:
        """Yield what was taken in, message by message; closing gives up what is not answered.

        Raises:
            Exception: why nothing more was taken in, if the caller did not just finish.
        """
        try:
            while (taken := await self._taken.get()) is not None:
                if isinstance(taken, Exception):
                    raise taken
                try:
                    yield taken
                finally:
                    taken.give_up()
                self._room.release()
        finally:
            self._reader.cancel()
            await asyncio.wait([self._reader])
            while not self._taken.empty():
                if isinstance(taken := self._taken.get_nowait(), Taken):
                    taken.give_up()

    async def _read(self) -> None:
        """Take in what comes; in the end, say why nothing more does."""
        why: Exception | None = RuntimeError("the stream is no longer read")
        try:
            while (request := await self._next()) is not None:
                self._taken.put_nowait(await self._take_in(request.commands))
                del request  # megabytes, while the next one is waited for
            why = None
        except Exception as error:  # noqa: BLE001  raised again where it is told
            why = error
        finally:
            # whatever ended this, the caller must not wait for more
            self._taken.put_nowait(why)

    async def _next(self) -> pb.ExecuteStreamRequest | None:
        """Return the next message once there is room for it; nothing if the caller has finished.

        Raises:
            ShuttingDown: we have.
        """
        self._is_idle = True
        try:
            if self._is_stopping:
                raise ShuttingDown(1.0)
            await self._room.acquire()
            return await anext(self._requests, None)
        except asyncio.CancelledError:
            if not self._is_stopping:
                raise
            raise ShuttingDown(1.0) from None
        finally:
            self._is_idle = False


class CommandStreams:
    """The streams that are open, so that they can be told to end."""

    def __init__(self) -> None:
        self._open: set[CommandStream] = set()
        self._is_closing = False

    @contextmanager
    def open(
        self, requests: AsyncIterator[pb.ExecuteStreamRequest], take_in: TakeIn
    ) -> Iterator[CommandStream]:
        """Read *requests* while inside."""
        stream = CommandStream(requests, take_in)
        self._open.add(stream)
        if self._is_closing:
            stream.stop()
        try:
            yield stream
        finally:
            self._open.discard(stream)

    def close(self) -> None:
        """Stop them all, and those that are still to come."""
        self._is_closing = True
        for stream in self._open:
            stream.stop()
