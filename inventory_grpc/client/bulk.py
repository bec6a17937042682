"""Many commands in one message."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol
from uuid import uuid4

import grpc
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.client.calls import Calls, closed
from inventory_grpc.client.connections import Connections
from inventory_grpc.client.errors import (
    InvalidValue,
    InventoryError,
    Refused,
    ShuttingDown,
    Untrusted,
)
from inventory_grpc.client.messages import listed, shown
from inventory_grpc.client.translation import translated, translated_result
from inventory_grpc_protos.v1 import commands_pb2 as pb


class CommandRequest(Protocol):
    """The request of a command, such as `AddStockRequest`."""

    request_id: str
    reason: str
    reference: str

    @property
    def occur_time(self) -> Timestamp: ...


Result = pb.CommandResult | InventoryError
"""The outcome of one command: its result, or the error that it would have raised alone."""

Batches = Iterable[Iterable[CommandRequest]] | AsyncIterable[Iterable[CommandRequest]]

SENDING: Final = "inventory commands are being sent"

_SETTLED: Final = (InvalidValue, ShuttingDown, Untrusted)
"""After these ends of a stream, no command without an outcome was done."""

_NOBODY_KNOWS: Final = "Internal error from Core"

_KINDS: Final[Mapping[type, str]] = {
    GetMessageClass(field.message_type): field.name
    for field in pb.Command.DESCRIPTOR.fields
    if field.message_type is not None
}


class Bulk:
    """Many commands in one message; each is done as if it had been sent alone."""

    _calls: Calls
    _connections: Connections

    async def execute_batch(
        self,
        requests: Iterable[CommandRequest],
        *,
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
    ) -> Sequence[Result]:
        """Do 1 to 1,000 commands in order; return the outcome of each, in the same order.

        *requests* is a list of messages such as `AddStockRequest`. They are independent: one
        that is refused keeps no other one from being done, so look at every outcome. One
        without a `request_id` gets a new one, the same on every attempt; give your own to be
        able to send the batch again after an error. *timeout* is seconds for all attempts
        together.

        Raises:
            InvalidValue: there are none, or more than 1,000; then none was done.
            TypeError: one of *requests* is no command; then nothing is sent.
            InventoryError: another error of the whole batch, see `StockCommands`. If its
                `in_doubt` is true, any of them may have been done: the same requests, with
                the same `request_id`s, can be sent again.
        """
        commands = _commands(requests)
        response, in_doubt = await self._calls.answer(
            lambda on: on.commands.ExecuteBatch, pb.ExecuteBatchRequest(commands=commands), timeout
        )
        return _results(response.results, _request_ids(commands), in_doubt=in_doubt)

    async def execute_stream(self, batches: Batches) -> AsyncGenerator[Sequence[Result], None]:
        """Send *batches* as fast as they are taken, and yield the outcomes of each, in order.

        Each batch is a list of 1 to 1,000 messages such as `AddStockRequest`; some hundred are
        as fast as any. The stream has no timeout, and is not sent again when it fails: then
        any command whose outcome was not yielded may have been done. With `request_id`s of
        your own, send those again.

        Leave it through `contextlib.aclosing`; otherwise the call stays open until the garbage
        collector finds it. A client has room for 500 subscriptions and streams at a time.

        Raises:
            InvalidValue: a batch is empty, or has more than 1,000 commands.
            Overloaded: there are too many streams, or no outcome was taken for a minute.
            ShuttingDown: the server stops; all that was taken in is answered.
            TypeError: something in *batches* is no command.
            InventoryError: the stream ended before everything was answered; `Unavailable` also
                where gRPC does not know why. `in_doubt` is true if a command without an
                outcome may have been done.
        """
        with self._connections.for_stream(), self._connections.borrowed() as connection:
            call: Any = connection.commands.ExecuteStream()
            sent: deque[Sequence[str]] = deque()
            sending = asyncio.create_task(_send(call, batches, sent), name=SENDING)
            try:
                async for response in call:
                    yield _results(response.results, sent.popleft(), in_doubt=False)
                await sending
            except grpc.aio.AioRpcError as error:
                failure = translated(await _why(call, error))
                failure.in_doubt = bool(sent) and not isinstance(failure, _SETTLED)
                raise failure from error
            except asyncio.CancelledError:
                if self._connections.closed_under_a_call():
                    raise closed(in_doubt=bool(sent)) from None
                raise
            finally:
                sending.cancel()
                call.cancel()


async def _send(
    call: Any,  # noqa: ANN401  the stubs do not name it
    batches: Batches,
    sent: deque[Sequence[str]],
) -> None:
    """Send all there is; the caller hears of what goes wrong with it once the rest is answered."""
    try:
        async for batch in _one_by_one(batches):
            commands = _commands(batch)
            sent.append(_request_ids(commands))
            await call.write(pb.ExecuteStreamRequest(commands=commands))
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        return  # the stream has ended; whoever reads learns why
    finally:
        if not call.done():
            await call.done_writing()


async def _why(call: Any, error: grpc.aio.AioRpcError) -> grpc.aio.AioRpcError:  # noqa: ANN401  as above
    """Return how *call* ended.

    Where it ended while something was being sent, gRPC says that there was an error in its
    core, before it has looked at what the server said, or even after. Then nobody knows why.
    """
    for _ in range(5):
        if error.details() != _NOBODY_KNOWS:
            return error
        await asyncio.sleep(0.01)
        told = call.code(), call.initial_metadata(), call.trailing_metadata(), call.details()
        error = grpc.aio.AioRpcError(*[await one for one in told])
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, nothing, nothing, "the stream ended while it was sent to"
    )


async def _one_by_one(batches: Batches) -> AsyncGenerator[Iterable[CommandRequest], None]:
    if isinstance(batches, AsyncIterable):
        async for batch in batches:
            yield batch
    else:
        for batch in listed("batches", batches, "lists of requests"):
            yield batch


def _commands(requests: Iterable[CommandRequest]) -> Sequence[pb.Command]:
    """Return *requests* as they are sent, each with a request id."""
    make: Any = pb.Command
    commands = []
    for request in listed("requests", requests, "requests"):
        kind = _KINDS.get(type(request))
        if kind is None:
            raise TypeError(f"a command is a message such as AddStockRequest, not {shown(request)}")
        command = make(**{kind: request})
        if not request.request_id:
            getattr(command, kind).request_id = str(uuid4())
        commands.append(command)
    return commands


def _request_ids(commands: Iterable[pb.Command]) -> Sequence[str]:
    return [
        getattr(command, command.WhichOneof("command") or "").request_id for command in commands
    ]


def _results(
    results: Sequence[pb.CommandResult], request_ids: Sequence[str], *, in_doubt: bool
) -> Sequence[Result]:
    return [
        _failure(result, request_id, in_doubt=in_doubt) if result.HasField("error") else result
        for result, request_id in zip(results, request_ids, strict=True)
    ]


def _failure(result: pb.CommandResult, request_id: str, *, in_doubt: bool) -> InventoryError:
    """Return why one was not done; *in_doubt* if an earlier attempt may have done it."""
    failure = translated_result(result.error, request_id=request_id)
    failure.in_doubt = failure.doubtful or (in_doubt and not isinstance(failure, Refused))
    return failure
