"""A caller that uses only the generated stubs, as in any other language."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

import grpc
import grpc.aio
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from inventory_grpc_protos.v1 import catalogue_pb2, policies_pb2, stock_pb2
from inventory_grpc_protos.v1.admin_pb2_grpc import InventoryAdminStub
from inventory_grpc_protos.v1.commands_pb2 import (
    AddStockRequest,
    Command,
    CommandResult,
    ExecuteBatchRequest,
    ExecuteStreamRequest,
    ReserveStockRequest,
)
from inventory_grpc_protos.v1.commands_pb2_grpc import InventoryCommandsStub
from inventory_grpc_protos.v1.errors_pb2 import ShortLines
from inventory_grpc_protos.v1.events_pb2 import Event, SubscribeRequest
from inventory_grpc_protos.v1.events_pb2_grpc import InventoryEventsStub
from inventory_grpc_protos.v1.queries_pb2_grpc import InventoryQueriesStub

_Answer = TypeVar("_Answer")

SECONDS: Final = 20.0
"""The time that a test waits for an answer."""

DETAILS: Final[tuple[type[Message], ...]] = (
    ErrorInfo,
    BadRequest,
    RetryInfo,
    ShortLines,
    stock_pb2.Stock,
    catalogue_pb2.Product,
    catalogue_pb2.Store,
    policies_pb2.ScopedPolicy,
)


CODES: Final = {code.value[0]: code for code in StatusCode}

KINDS: Final = {
    field.message_type.name: field.name
    for field in Command.DESCRIPTOR.fields
    if field.message_type is not None
}
"""The field of a bulk command, by the type of its request."""


@dataclass(frozen=True)
class Caller:
    """The stubs of one channel."""

    channel: grpc.aio.Channel
    commands: InventoryCommandsStub
    queries: InventoryQueriesStub
    events: InventoryEventsStub
    admin: InventoryAdminStub
    health: Any

    async def log(self) -> list[Event]:
        """Return all events there are, as a follower receives them."""
        found: list[Event] = []
        request = SubscribeRequest(stop_at_head=True, max_batch=512)
        async for message in self.events.Subscribe(request, timeout=SECONDS):
            found += message.events
        return found

    async def was_heard(self) -> None:
        """Return when the server has taken in what this connection has sent so far.

        It takes calls in one after the other; two answers, so that a call may have a turn more.
        """
        for _ in range(2):
            await self.health.Check(HealthCheckRequest(), timeout=SECONDS)


RECONNECT_AT_ONCE: Final = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 100),
)
"""For callers whose connections break all the time."""

SMALL_WINDOW: Final = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_536))
"""A small window for callers that do not read: the server notices soon, not after megabytes."""


@asynccontextmanager
async def calling(address: str, options: Sequence[tuple[str, int]] = ()) -> AsyncIterator[Caller]:
    """Connect to *address*, over a connection of its own."""
    own = [("grpc.use_local_subchannel_pool", 1), *options]
    async with grpc.aio.insecure_channel(address, options=own) as channel:
        yield Caller(
            channel,
            InventoryCommandsStub(channel),
            InventoryQueriesStub(channel),
            InventoryEventsStub(channel),
            InventoryAdminStub(channel),
            HealthStub(channel),
        )


class Refused(NamedTuple):
    """The end of a call that failed."""

    code: StatusCode
    reason: str
    facts: dict[str, str]
    message: str
    details: dict[type[Message], Any]
    trailers: dict[str, str | bytes]


async def refused(call: Awaitable[object]) -> Refused:
    """Wait for *call* to fail; return how."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return refusal(failed.value)


async def with_its_status(call: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """Make a call of which the client writes one message; again, where gRPC loses its status.

    If the server ends the call before the message is written, gRPC reports `INTERNAL` instead.
    """
    for _ in range(20):
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if error.details() != "Internal error from Core":
                raise
    raise AssertionError("gRPC lost the status of every call")


def refusal(error: grpc.aio.AioRpcError) -> Refused:
    """Return what *error* carries."""
    trailers = dict(error.trailing_metadata() or ())
    status = Status.FromString(bytes(trailers.get("grpc-status-details-bin", b"")))
    return _refused(error.code(), error.details() or "", status.details, trailers)


def refusal_among(result: CommandResult) -> Refused:
    """Return what the *result* of a command among others carries, which is not done."""
    assert [field.name for field, _ in result.ListFields()] == ["error"], result
    return _refused(CODES[result.error.code], result.error.message, result.error.details, {})


def _refused(
    code: StatusCode,
    message: str,
    carried: Iterable[Any],
    trailers: dict[str, str | bytes],
) -> Refused:
    details: dict[type[Message], Any] = {}
    for packed in carried:
        for kind in DETAILS:
            if packed.Is(kind.DESCRIPTOR):
                details[kind] = kind()
                packed.Unpack(details[kind])
    info = details.pop(ErrorInfo, ErrorInfo())
    return Refused(code, info.reason, dict(info.metadata), message, details, trailers)


def commands(*requests: Message) -> list[Command]:
    """Return *requests* as they are sent among others."""
    make: Any = Command
    return [make(**{KINDS[request.DESCRIPTOR.name]: request}) for request in requests]


def batch(*requests: Message) -> ExecuteBatchRequest:
    return ExecuteBatchRequest(commands=commands(*requests))


def message(*requests: Message) -> ExecuteStreamRequest:
    return ExecuteStreamRequest(commands=commands(*requests))


def line(quantity: int, product: str = "kettle", store: str = "lisbon") -> stock_pb2.Line:
    return stock_pb2.Line(product_id=product, store_id=store, quantity=quantity)


def adding(
    quantity: int,
    product: str = "kettle",
    store: str = "lisbon",
    **more: Any,  # noqa: ANN401  any of its other fields
) -> AddStockRequest:
    return AddStockRequest(product_id=product, store_id=store, quantity=quantity, **more)


def reserving(
    *lines: stock_pb2.Line,
    name: str = "",
    **more: Any,  # noqa: ANN401  as above
) -> ReserveStockRequest:
    return ReserveStockRequest(lines=lines, reservation_id=name, customer_id="ana", **more)
