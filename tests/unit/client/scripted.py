"""A server on loopback that answers by script and records its requests."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from tests.support.samples import METHODS

RPCS: Final = {
    f"/{method.containing_service.full_name}/{method.name}": method for method in METHODS.values()
}


@dataclass
class Failure(Exception):
    """A line of the script at which the call fails."""

    code: StatusCode
    reason: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    details: Sequence[Message] = ()
    retry_seconds: float | None = None
    pushback_ms: str | None = None
    domain: str = "inventory.v1"

    def trailers(self) -> tuple[tuple[str, str | bytes], ...]:
        carried = list(self.details)
        if self.reason:
            info = ErrorInfo(reason=self.reason, domain=self.domain, metadata=self.facts)
            carried.insert(0, info)
        if self.retry_seconds is not None:
            delay = Duration()
            delay.FromNanoseconds(int(self.retry_seconds * 1e9))
            carried.append(RetryInfo(retry_delay=delay))
        status = Status(code=self.code.value[0], message="no", details=map(packed, carried))
        trailers: list[tuple[str, str | bytes]] = []
        if carried:
            trailers.append(("grpc-status-details-bin", status.SerializeToString()))
        if self.pushback_ms is not None:
            trailers.append(("grpc-retry-pushback-ms", self.pushback_ms))
        return tuple(trailers)


@dataclass(frozen=True)
class Silence:
    """A line of the script at which nothing is said for so long, as by a dead peer."""

    seconds: float = 60.0


Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Step = Message | Failure | Silence


def packed(message: Message) -> Packed:
    detail = Packed()
    detail.Pack(message)
    return detail


@dataclass
class Asked:
    """One attempt, as it arrived."""

    method: str
    request: Any
    remaining: float
    time: float
    metadata: dict[str, str | bytes]


class ScriptedServer(grpc.GenericRpcHandler):
    """Answers each call of a method with the next of its scripts, and with nothing special after.

    The script of a call of one response ends at its first message or failure; one of many
    responses is played to its end, of many requests one for each.
    """

    def __init__(self) -> None:
        self._scripts: dict[str, deque[Sequence[Step]]] = defaultdict(deque)
        self.asked: list[Asked] = []
        self.cancelled = asyncio.Event()
        """Set by a call that is cancelled while its script plays.

        To a call that waits for its next request, gRPC says that no more come.
        """

    def plays(self, method: str, *scripts: Step | Iterable[Step]) -> None:
        for script in scripts:
            alone = isinstance(script, Message | Failure | Silence)
            self._scripts[method].append([script] if alone else list(script))  # type: ignore[arg-type,list-item]

    def requests(self) -> Sequence[Any]:
        return [one.request for one in self.asked]

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        rpc = RPCS.get(handler_call_details.method)
        if rpc is None:
            return None
        codec = (
            GetMessageClass(rpc.input_type).FromString,
            GetMessageClass(rpc.output_type).SerializeToString,
        )

        # messages are written, not yielded: a call may be cancelled while one is being sent
        async def stream(request: Message, context: Context) -> None:
            with self._noting_cancellation():
                async for message in self._played(rpc, request, context):
                    await context.write(message)

        async def conversation(requests: AsyncIterator[Message], context: Context) -> None:
            with self._noting_cancellation():
                async for request in requests:
                    async for message in self._played(rpc, request, context):
                        await context.write(message)

        async def unary(request: Message, context: Context) -> Message:
            with self._noting_cancellation():
                return await anext(self._played(rpc, request, context))

        if rpc.client_streaming:
            return grpc.stream_stream_rpc_method_handler(conversation, *codec)
        if rpc.server_streaming:
            return grpc.unary_stream_rpc_method_handler(stream, *codec)
        return grpc.unary_unary_rpc_method_handler(unary, *codec)

    async def _played(
        self, rpc: MethodDescriptor, request: Message, context: Context
    ) -> AsyncIterator[Message]:
        remaining = context.time_remaining() or 0.0
        metadata = dict(context.invocation_metadata() or ())
        self.asked.append(Asked(rpc.name, request, remaining, time.monotonic(), metadata))
        scripts = self._scripts[rpc.name]
        for step in scripts.popleft() if scripts else [GetMessageClass(rpc.output_type)()]:
            match step:
                case Failure():
                    await context.abort(step.code, "no", step.trailers())
                case Silence():
                    await asyncio.sleep(step.seconds)
                case _:
                    yield step

    @contextmanager
    def _noting_cancellation(self) -> Iterator[None]:
        try:
            yield
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


@asynccontextmanager
async def serving(
    handler: ScriptedServer,
    address: str = "127.0.0.1:0",
    credentials: grpc.ServerCredentials | None = None,
) -> AsyncIterator[str]:
    """Serve *handler*; yield the address that was bound."""
    server = grpc.aio.server(handlers=[handler])
    if credentials is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, credentials)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
