"""`ExecuteStream`: reads further messages of a stream while earlier ones are recorded."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from inventory_grpc.application.failures import ShuttingDown
from inventory_grpc.presentation.bulk import Submitted
from inventory_grpc_protos.v1 import commands_pb2 as pb

MAX_AHEAD: Final = 2
"""The most messages of a stream that are submitted and not answered; others are not read."""

Submit = Callable[[pb.ExecuteStreamRequest], Awaitable[Submitted]]


class CommandStream:
    """The messages of one caller, which a separate task submits in order."""

    def __init__(self, requests: AsyncIterator[pb.ExecuteStreamRequest], submit: Submit) -> None:
        self._requests = requests
        self._submit = submit
        self._room = asyncio.Semaphore(MAX_AHEAD)
        self._submitted: asyncio.Queue[Submitted | Exception | None] = asyncio.Queue()
        self._is_stopping = False
        self._is_idle = False
        self._reader = asyncio.create_task(self._read(), name="commands of a stream")

    def stop(self) -> None:
        """Read no more messages; submitted ones are still answered."""
        self._is_stopping = True
        if self._is_idle:
            self._reader.cancel()

    async def submitted(self) -> AsyncGenerator[Submitted, None]:
        """Yield the submitted messages; closing the generator cancels unanswered ones.

        Raises:
            Exception: reading has failed.
        """
        try:
            while (submitted := await self._submitted.get()) is not None:
                if isinstance(submitted, Exception):
                    raise submitted
                try:
                    yield submitted
                finally:
                    submitted.cancel()
                self._room.release()
        finally:
            self._reader.cancel()
            await asyncio.wait([self._reader])
            while not self._submitted.empty():
                if isinstance(submitted := self._submitted.get_nowait(), Submitted):
                    submitted.cancel()

    async def _read(self) -> None:
        """Submit the messages that arrive; at the end, enqueue the error, or None."""
        why: Exception | None = RuntimeError("the stream is no longer read")
        try:
            while (request := await self._next()) is not None:
                self._submitted.put_nowait(await self._submit(request))
                del request  # frees up to a megabyte while waiting for the next one
            why = None
        except Exception as error:  # noqa: BLE001  raised again in `submitted`
            why = error
        finally:
            # in every case, the caller must not wait for more messages
            self._submitted.put_nowait(why)

    async def _next(self) -> pb.ExecuteStreamRequest | None:
        """Return the next message when there is room for it; None at the end of the stream.

        Raises:
            ShuttingDown: `stop` was called.
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
    """The open streams, so that a shutdown can end them."""

    def __init__(self) -> None:
        self._open: set[CommandStream] = set()
        self._is_closing = False

    @contextmanager
    def open(
        self, requests: AsyncIterator[pb.ExecuteStreamRequest], submit: Submit
    ) -> Iterator[CommandStream]:
        """Read *requests* in the context."""
        stream = CommandStream(requests, submit)
        self._open.add(stream)
        if self._is_closing:
            stream.stop()
        try:
            yield stream
        finally:
            self._open.discard(stream)

    def close(self) -> None:
        """Stop all open and all later streams."""
        self._is_closing = True
        for stream in self._open:
            stream.stop()
