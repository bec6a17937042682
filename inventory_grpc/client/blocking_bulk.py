"""Sends many commands in one stream, from a thread of gRPC."""

import asyncio
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence

import grpc

from inventory_grpc.client.blocking import finished
from inventory_grpc.client.blocking_connections import BlockingConnections
from inventory_grpc.client.bulk_messages import (
    SETTLED,
    CommandRequest,
    Result,
    commands_of,
    request_ids_of,
    results_of,
)
from inventory_grpc.client.calls import closed
from inventory_grpc.client.messages import listed
from inventory_grpc.client.tracing import trace_context
from inventory_grpc.client.translation import translated
from inventory_grpc_protos.v1 import commands_pb2 as pb


def executed(
    connections: BlockingConnections, batches: Iterable[Iterable[CommandRequest]]
) -> Generator[Sequence[Result], None, None]:
    """Yield the outcomes of each of *batches*, see `SyncInventoryClient.execute_stream`."""
    with connections.for_stream(), connections.borrowed() as connection:
        sending = _Sending(batches)
        call = connection.commands.ExecuteStream(iter(sending), metadata=trace_context())
        try:
            while isinstance(response := finished(call.read()), pb.ExecuteStreamResponse):
                yield results_of(response.results, sending.sent.popleft(), in_doubt=False)
            if sending.failure:
                raise sending.failure
        except grpc.aio.AioRpcError as error:
            failure = translated(error)
            failure.in_doubt = bool(sending.sent) and not isinstance(failure, SETTLED)
            raise failure from error
        except asyncio.CancelledError:
            raise closed(in_doubt=bool(sending.sent)) from None
        finally:
            call.cancel()


class _Sending:
    """The messages of *batches*, in the thread of gRPC that sends them."""

    def __init__(self, batches: Iterable[Iterable[CommandRequest]]) -> None:
        self._batches = listed("batches", batches, "lists of requests")
        self.sent: deque[Sequence[str]] = deque()
        """The request ids of each batch without an outcome."""
        self.failure: Exception | None = None
        """An error of the batches, which is raised after the earlier ones are answered."""

    def __iter__(self) -> Iterator[pb.ExecuteStreamRequest]:
        try:
            for batch in self._batches:
                commands = commands_of(batch)
                self.sent.append(request_ids_of(commands))
                yield pb.ExecuteStreamRequest(commands=commands)
        except Exception as error:  # noqa: BLE001  any of the caller's code
            self.failure = error
