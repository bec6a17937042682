"""Sends many commands in one message."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import grpc

from inventory_grpc.client import messages
from inventory_grpc.client.bulk_messages import (
    SETTLED,
    CommandRequest,
    Result,
    bare_commands,
    commands_of,
    request_ids_of,
    results_of,
)
from inventory_grpc.client.calls import Calls, closed
from inventory_grpc.client.connections import Connections
from inventory_grpc.client.messages import listed
from inventory_grpc.client.tracing import trace_context
from inventory_grpc.client.translation import translated
from inventory_grpc_protos.v1 import commands_pb2 as pb

Batches = Iterable[Iterable[CommandRequest]] | AsyncIterable[Iterable[CommandRequest]]

SENDING: Final = "inventory commands are being sent"

_CAUSE_LOST: Final = "Internal error from Core"


class Bulk:
    """Sends many commands in one message; each is processed as if it had been sent alone."""

    _calls: Calls
    _connections: Connections

    async def execute_batch(
        self,
        requests: Iterable[CommandRequest],
        *,
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
    ) -> Sequence[Result]:
        """Execute 1 to 1,000 commands in order; return their outcomes in the same order.

        *requests* is a list of messages such as `AddStockRequest`. They are independent: the
        refusal of one does not affect the others, so check every outcome. A request without a
        `request_id` gets a new one, the same on every attempt; set your own to be able to send
        the batch again after an error. *timeout* is in seconds, for all attempts together.

        Raises:
            InvalidValue: there are none, or more than 1,000; then none was done.
            TypeError: one of *requests* is not a command; then nothing is sent.
            InventoryError: another error of the whole batch, see `StockCommands`. If its
                `in_doubt` is true, any of the commands may have been done: send the same
                requests, with the same `request_id`s, again.
        """
        commands = commands_of(requests)
        response, in_doubt = await self._calls.answer(
            lambda on: on.commands.ExecuteBatch, pb.ExecuteBatchRequest(commands=commands), timeout
        )
        return results_of(response.results, request_ids_of(commands), in_doubt=in_doubt)

    async def execute_atomic(  # noqa: PLR0913  the fields of the request
        self,
        requests: Iterable[CommandRequest],
        *,
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> Sequence[pb.CommandResult]:
        """Execute commands as one: all of them are recorded, or none.

        *requests* is a list of messages such as `AddStockRequest`, without a `request_id` of
        their own; each is decided on what the ones before it made so. They have at most 500
        events together. The keywords are those of a single command, and apply to all; the
        `reason`, `reference` and `occur_time` of a message win over them.

        Raises:
            InvalidValue: there are none, or more than 1,000.
            CommandTooLarge: they have more than 500 events together.
            InventoryError: that of the command that was refused, whose `command_index` is its
                place in *requests*; or one of those that every command may raise, see
                `StockCommands`.
            TypeError: one of *requests* is not a command; then nothing is sent.
        """
        request = messages.made(
            pb.ExecuteBatchRequest,
            commands=bare_commands(requests),
            atomic=True,
            **messages.about(request_id, reason, reference, occur_time, dry_run=dry_run),
        )
        response = await self._calls(lambda on: on.commands.ExecuteBatch, request, timeout)
        return response.results

    async def execute_stream(self, batches: Batches) -> AsyncGenerator[Sequence[Result], None]:
        """Send *batches* as fast as the server accepts them, and yield their outcomes in order.

        Each batch is a list of 1 to 1,000 messages such as `AddStockRequest`; a few hundred are
        enough for full speed. The stream has no timeout, and is not retried after a failure:
        then any command whose outcome was not yielded may have been done. Set your own
        `request_id`s to send those again.

        Close it with `contextlib.aclosing`; otherwise the call stays open until garbage
        collection. A client may have 500 subscriptions and streams open at a time.

        Raises:
            InvalidValue: a batch is empty, or has more than 1,000 commands.
            Overloaded: there are too many streams, or no outcome was read for a minute.
            ShuttingDown: the server stops; all accepted commands were answered.
            TypeError: an item in *batches* is not a command.
            InventoryError: the stream ended before everything was answered; `Unavailable` also
                if gRPC gives no cause. `in_doubt` is true if a command without an outcome may
                have been done.
        """
        with self._connections.for_stream(), self._connections.borrowed() as connection:
            call: Any = connection.commands.ExecuteStream(metadata=trace_context())
            sent: deque[Sequence[str]] = deque()
            sending = asyncio.create_task(_send(call, batches, sent), name=SENDING)
            try:
                async for response in call:
                    yield results_of(response.results, sent.popleft(), in_doubt=False)
                await sending
            except grpc.aio.AioRpcError as error:
                failure = translated(await _cause(call, error))
                failure.in_doubt = bool(sent) and not isinstance(failure, SETTLED)
                raise failure from error
            except asyncio.CancelledError:
                if self._connections.closed_under_a_call():
                    raise closed(in_doubt=bool(sent)) from None
                raise
            finally:
                sending.cancel()
                call.cancel()


async def _send(
    call: Any,  # noqa: ANN401  the stubs have no name for the type
    batches: Batches,
    sent: deque[Sequence[str]],
) -> None:
    """Send all batches; an error in them is raised after the earlier ones are answered."""
    try:
        async for batch in _one_by_one(batches):
            commands = commands_of(batch)
            sent.append(request_ids_of(commands))
            await call.write(pb.ExecuteStreamRequest(commands=commands))
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        return  # the stream has ended; the reading side raises the cause
    finally:
        if not call.done():
            await call.done_writing()


async def _cause(call: Any, error: grpc.aio.AioRpcError) -> grpc.aio.AioRpcError:  # noqa: ANN401  as above
    """Return the status with which *call* ended.

    If it ended during a send, gRPC reports an error in its core, before it has read the server's
    status or even after that. Then the cause is lost.
    """
    for _ in range(5):
        if error.details() != _CAUSE_LOST:
            return error
        await asyncio.sleep(0.01)
        parts = call.code(), call.initial_metadata(), call.trailing_metadata(), call.details()
        error = grpc.aio.AioRpcError(*[await part for part in parts])
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, nothing, nothing, "the stream ended during a send"
    )


async def _one_by_one(batches: Batches) -> AsyncGenerator[Iterable[CommandRequest], None]:
    if isinstance(batches, AsyncIterable):
        async for batch in batches:
            yield batch
    else:
        for batch in listed("batches", batches, "lists of requests"):
            yield batch
