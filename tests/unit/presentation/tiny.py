"""A real gRPC server with methods defined by a test, whose messages are bytes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc
import grpc.aio
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.draining import RunningCalls
from inventory_grpc.presentation.grpc_types import Behaviour, Handler
from inventory_grpc.presentation.interceptors.around import Nested, Wrapping

ADD_STOCK: Final = "/inventory.v1.InventoryCommands/AddStock"
SUBSCRIBE: Final = "/inventory.v1.InventoryEvents/Subscribe"
WATCH: Final = "/grpc.health.v1.Health/Watch"

PATIENCE_SECONDS: Final = 5.0

SMALL_WINDOW: Final = [("grpc.http2.bdp_probe", 0)]
"""64 KiB, so that a server soon notices what its caller takes; else it has megabytes."""


class Nobody:
    """Has cancelled no call."""

    def was_cancelled_by_us(self, _task: asyncio.Task[Any]) -> bool:
        return False


def unary(call: Behaviour, decode: Callable[[bytes], Any] | None = None) -> Handler:
    make: Any = grpc.unary_unary_rpc_method_handler
    handler: Handler = make(call, request_deserializer=decode)
    return handler


def streaming(call: Any) -> Handler:  # noqa: ANN401  gRPC's stubs know generators that are not async
    return grpc.unary_stream_rpc_method_handler(call)


async def echo(request: bytes, _call: Call) -> bytes:
    return request


class Caller:
    """A channel on which messages are bytes."""

    def __init__(self, channel: Any) -> None:  # noqa: ANN401  the stubs want serialisers
        self._channel = channel

    def begin(
        self,
        path: str,
        request: bytes = b"",
        seconds: float | None = None,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> "grpc.aio.UnaryUnaryCall[bytes, bytes]":
        begun: grpc.aio.UnaryUnaryCall[bytes, bytes]
        begun = self._channel.unary_unary(path)(request, timeout=seconds, metadata=metadata)
        return begun

    async def ask(self, path: str, request: bytes = b"", seconds: float | None = None) -> bytes:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.begin(path, request, seconds)

    def open(self, path: str) -> "grpc.aio.UnaryStreamCall[bytes, bytes]":
        opened: grpc.aio.UnaryStreamCall[bytes, bytes] = self._channel.unary_stream(path)(b"")
        return opened

    async def read_all(self, path: str) -> list[bytes]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return [response async for response in self.open(path)]


@asynccontextmanager
async def served(
    methods: dict[str, Handler],
    *wrappings: Wrapping,
    below: Sequence[grpc.aio.ServerInterceptor] = (),
) -> AsyncIterator[Caller]:
    """Serve *methods* behind *wrappings*, the outermost first, and *below*; yield a caller."""
    if not any(isinstance(each, RunningCalls | Nested) for each in wrappings):
        wrappings = (RunningCalls(), *wrappings)
    server, port = await started(methods, [Nested(*wrappings), *below])
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=SMALL_WINDOW) as channel:
        yield Caller(channel)
    await server.stop(PATIENCE_SECONDS)


async def started(
    methods: dict[str, Handler], interceptors: Sequence[grpc.aio.ServerInterceptor]
) -> tuple[grpc.aio.Server, int]:
    server = grpc.aio.server(interceptors=interceptors)
    for path, handler in methods.items():
        _, service, name = path.split("/")
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, {name: handler})]
        )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port


@asynccontextmanager
async def failing(code: grpc.StatusCode) -> AsyncIterator["Failure"]:
    """Expect that a call fails with *code*; learn more after it has."""
    failure = Failure()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield failure
    failure.error = caught.value
    assert failure.error.code() is code, failure.error


class Failure:
    error: grpc.aio.AioRpcError

    @property
    def info(self) -> ErrorInfo:
        info = ErrorInfo()
        # the stubs know calls, and not that their errors carry the same
        status = rpc_status.from_call(self.error)  # type: ignore[arg-type]
        [packed] = [detail for detail in status.details if detail.Is(info.DESCRIPTOR)]
        packed.Unpack(info)
        return info

    @property
    def reason(self) -> str:
        return str(self.info.reason)

    @property
    def pushback_ms(self) -> object:
        return dict(self.error.trailing_metadata() or ()).get("grpc-retry-pushback-ms")
