"""How does a caller ask for many commands at once?"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from typing import Any, Final
from uuid import uuid4

import grpc

from inventory_grpc.client.calls import Calls
from inventory_grpc.client.errors import InventoryError, Refused
from inventory_grpc.client.translation import translated, translated_result
from inventory_grpc_protos.v1 import commands_pb2 as pb
from inventory_grpc_protos.v1.commands_pb2_grpc import InventoryCommandsStub

CommandRequest = (
    pb.AddStockRequest
    | pb.RemoveStockRequest
    | pb.AdjustStockRequest
    | pb.ReserveStockRequest
    | pb.CommitReservationRequest
    | pb.ReleaseReservationRequest
    | pb.ExtendReservationRequest
)

Result = pb.CommandResult | InventoryError
"""What became of a command: it was done, or here is what it alone would have failed with."""

Batches = Iterable[Iterable[CommandRequest]] | AsyncIterable[Iterable[CommandRequest]]

SENDING: Final = "inventory commands are being sent"

_NOBODY_KNOWS: Final = "Internal error from Core"

_KINDS: Final = {
    field.message_type.full_name: field.name
    for field in pb.Command.DESCRIPTOR.fields
    if field.message_type is not None
}


class Bulk:
    """Many commands in one message; each is done as if it had been sent alone."""

    _calls: Calls
    _commands: InventoryCommandsStub

    async def execute_batch(
        self,
        requests: Iterable[CommandRequest],
        *,
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
    ) -> Sequence[Result]:
        """Do up to 1,000 commands, in order; return what became of each.

        One that is refused is no other one's fate: look at every result. One without a
        `request_id` gets a new one, the same on every attempt.
        """
        commands = _commands(requests)
        response, in_doubt = await self._calls.answer(
            self._commands.ExecuteBatch, pb.ExecuteBatchRequest(commands=commands), timeout
        )
        return _results(response.results, _request_ids(commands), in_doubt=in_doubt)

    async def execute_stream(self, batches: Batches) -> AsyncGenerator[Sequence[Result], None]:
        """Send *batches* as fast as they are taken, and yield what became of each, in order.

        Each has up to 1,000 commands; some hundred are as fast as any. It is not sent again
        when the stream fails: then whatever was not yielded may have been done, or not.
        With request ids of your own, send that again.

        Leave it through `contextlib.aclosing`, or the call stays open until the garbage
        collector comes by.

        Raises:
            InventoryError: the stream ended before everything was answered; `Unavailable` also
                where gRPC does not know why.
        """
        call: Any = self._commands.ExecuteStream()
        sent: deque[Sequence[str]] = deque()
        sending = asyncio.create_task(_send(call, batches, sent), name=SENDING)
        try:
            async for response in call:
                yield _results(response.results, sent.popleft(), in_doubt=False)
            await sending
        except grpc.aio.AioRpcError as error:
            raise translated(await _why(call, error)) from error
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
        for batch in batches:
            yield batch


def _commands(requests: Iterable[CommandRequest]) -> Sequence[pb.Command]:
    """Return *requests* as they are sent, each with a request id."""
    make: Any = pb.Command
    commands = []
    for request in requests:
        kind = _KINDS[request.DESCRIPTOR.full_name]
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
