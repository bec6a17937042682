"""A channel whose calls block the thread, behind the interface of one of an event loop.

Its coroutines never wait for an event loop, so `finished` can run them.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from inventory_grpc.client.tracing import Metadata

_SHUT: Final = "Cannot invoke RPC"
"""Part of what gRPC says of a call on a channel that is closed."""


class BlockingChannel:
    """The methods of a channel that the stubs use."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._closed = False

    def unary_unary(self, method: str, *codec: Any, **options: Any) -> Callable[..., Any]:  # noqa: ANN401  gRPC's own
        begin = self._channel.unary_unary(method, *codec, **options)

        async def call(request: Message, *, timeout: float, metadata: Metadata) -> object:  # noqa: ASYNC109  the deadline
            try:
                return begin(request, timeout=timeout, metadata=metadata)
            except (grpc.RpcError, ValueError) as error:
                raise self.failure(error) from None

        return call

    def unary_stream(self, method: str, *codec: Any, **options: Any) -> Callable[..., Any]:  # noqa: ANN401  as above
        begin = self._channel.unary_stream(method, *codec, **options)
        return lambda request, *, metadata: BlockingStream(self, begin, request, metadata)

    def stream_stream(self, method: str, *codec: Any, **options: Any) -> Callable[..., Any]:  # noqa: ANN401  as above
        begin = self._channel.stream_stream(method, *codec, **options)
        return lambda requests, *, metadata: BlockingStream(self, begin, requests, metadata)

    def close(self) -> None:
        """Close it, which ends its calls."""
        self._closed = True
        self._channel.close()

    def failure(self, error: Exception) -> BaseException:
        """Return what an asynchronous channel would have raised."""
        if self._closed:
            return asyncio.CancelledError()
        if isinstance(error, grpc.RpcError) and isinstance(error, grpc.Call):
            return grpc.aio.AioRpcError(
                error.code(),
                grpc.aio.Metadata(*(error.initial_metadata() or ())),
                grpc.aio.Metadata(*(error.trailing_metadata() or ())),
                error.details(),
            )
        return error


class BlockingStream:
    """A call of many responses."""

    def __init__(
        self,
        channel: BlockingChannel,
        begin: Callable[..., Any],
        request: Message | Iterable[Message],
        metadata: Metadata,
    ) -> None:
        self._channel = channel
        try:
            self._call = begin(request, metadata=metadata)
        except ValueError as error:
            raise channel.failure(error) from None
        self._ended = threading.Event()
        self._silent_at = math.inf
        """The time at which the silence of the current read is too long."""
        self._watch: threading.Thread | None = None
        self._was_silent = False

    async def read(self) -> object:
        """Return the next response, or gRPC's mark of the end."""
        try:
            return next(self._call, grpc.aio.EOF)
        except grpc.RpcError as error:
            raise self._channel.failure(error) from None

    async def read_within(self, seconds: float) -> object:
        """Return what `read` does.

        gRPC cannot wait for a message with a time limit, so a thread of this stream cancels it.

        Raises:
            TimeoutError: it was silent for *seconds*.
        """
        self._silent_at = time.monotonic() + seconds
        if self._watch is None:
            self._watch = threading.Thread(
                target=self._cancel_when_silent, args=(seconds,), name="silence", daemon=True
            )
            self._watch.start()
        try:
            return await self.read()
        except grpc.aio.AioRpcError:
            if self._was_silent:
                raise TimeoutError from None
            raise
        finally:
            self._silent_at = math.inf

    def cancel(self) -> None:
        self._ended.set()
        self._call.cancel()

    def _cancel_when_silent(self, seconds: float) -> None:
        wait = seconds
        while not self._ended.wait(wait):
            wait = min(seconds, self._silent_at - time.monotonic())
            if wait <= 0:
                self._was_silent = True
                self.cancel()
