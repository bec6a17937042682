"""The side that writes, as gRPC calls it: map, ask, map."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Final, Protocol, cast

from inventory_grpc.application.batch import Request
from inventory_grpc.application.group import Asked
from inventory_grpc.application.ports import Outcome, WallClock
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.values import DEFAULT_TTL, Span, Ttl
from inventory_grpc.presentation import mapping_commands as mapping
from inventory_grpc.presentation import mapping_outcomes as outcomes
from inventory_grpc.presentation.bulk import RecordsAll, Taken, Tally, take_in
from inventory_grpc.presentation.command_stream import CommandStreams
from inventory_grpc.presentation.grpc_types import Context
from inventory_grpc_protos.v1 import commands_pb2 as pb
from inventory_grpc_protos.v1.commands_pb2_grpc import InventoryCommandsServicer

MAX_WAIT_SECONDS: Final = 30.0
"""How long a command may wait to be begun, where its caller has not said."""


class Ledger(RecordsAll, Protocol):
    """Records commands; see `inventory_grpc.application.ledger`."""

    async def record(self, command: Command, request: Request) -> Outcome: ...


class Commands(InventoryCommandsServicer):
    """Serves `InventoryCommands` from a ledger."""

    def __init__(self, ledger: Ledger, now: WallClock, default_ttl: Span = DEFAULT_TTL) -> None:
        default = Ttl(default_ttl)
        self._ledger = ledger
        self._now = now
        self._reserve_stock = partial(mapping.reserve_stock, default=default)
        self._extend_reservation = partial(mapping.extend_reservation, default=default)
        self._kinds: Mapping[str, tuple[str, mapping.ToCommand[Any]]] = {
            "add_stock": ("AddStock", mapping.add_stock),
            "remove_stock": ("RemoveStock", mapping.remove_stock),
            "adjust_stock": ("AdjustStock", mapping.adjust_stock),
            "reserve_stock": ("ReserveStock", self._reserve_stock),
            "commit_reservation": ("CommitReservation", mapping.commit_reservation),
            "release_reservation": ("ReleaseReservation", mapping.release_reservation),
            "extend_reservation": ("ExtendReservation", self._extend_reservation),
        }
        self._streams = CommandStreams()

    async def AddStock(self, request: pb.AddStockRequest, context: Context) -> pb.AddStockResponse:
        outcome = await self._record("AddStock", mapping.add_stock, request, context)
        return outcomes.fill_one_stock(pb.AddStockResponse(), outcome)

    async def RemoveStock(
        self, request: pb.RemoveStockRequest, context: Context
    ) -> pb.RemoveStockResponse:
        outcome = await self._record("RemoveStock", mapping.remove_stock, request, context)
        return outcomes.fill_one_stock(pb.RemoveStockResponse(), outcome)

    async def AdjustStock(
        self, request: pb.AdjustStockRequest, context: Context
    ) -> pb.AdjustStockResponse:
        outcome = await self._record("AdjustStock", mapping.adjust_stock, request, context)
        return outcomes.fill_one_stock(pb.AdjustStockResponse(), outcome)

    async def ReserveStock(
        self, request: pb.ReserveStockRequest, context: Context
    ) -> pb.ReserveStockResponse:
        outcome = await self._record("ReserveStock", self._reserve_stock, request, context)
        return outcomes.fill_lines(pb.ReserveStockResponse(), outcome)

    async def CommitReservation(
        self, request: pb.CommitReservationRequest, context: Context
    ) -> pb.CommitReservationResponse:
        outcome = await self._record(
            "CommitReservation", mapping.commit_reservation, request, context
        )
        return outcomes.fill_lines(pb.CommitReservationResponse(), outcome)

    async def ReleaseReservation(
        self, request: pb.ReleaseReservationRequest, context: Context
    ) -> pb.ReleaseReservationResponse:
        outcome = await self._record(
            "ReleaseReservation", mapping.release_reservation, request, context
        )
        return outcomes.fill_lines(pb.ReleaseReservationResponse(), outcome)

    async def ExtendReservation(
        self, request: pb.ExtendReservationRequest, context: Context
    ) -> pb.ExtendReservationResponse:
        outcome = await self._record(
            "ExtendReservation", self._extend_reservation, request, context
        )
        return outcomes.extended(outcome)

    async def ExecuteBatch(
        self, request: pb.ExecuteBatchRequest, context: Context
    ) -> pb.ExecuteBatchResponse:
        taken = await self._take_in(request.commands, context, Tally())
        return await taken.told_in(pb.ExecuteBatchResponse())

    async def ExecuteStream(
        self, requests: AsyncIterator[pb.ExecuteStreamRequest], context: Context
    ) -> AsyncIterator[pb.ExecuteStreamResponse]:
        take_in = partial(self._take_in, context=context, tally=Tally())
        with self._streams.open(requests, take_in) as stream:
            async with aclosing(stream.taken()) as messages:
                async for taken in messages:
                    yield await taken.told_in(pb.ExecuteStreamResponse())

    def close(self) -> None:
        """Have every stream answer what it has taken in, and leave."""
        self._streams.close()

    async def _take_in(
        self, commands: Sequence[pb.Command], context: Context, tally: Tally
    ) -> Taken:
        now, deadline = self._now(), _deadline(context)

        def read(kind: str, request: Any) -> Asked:  # noqa: ANN401  the request of that kind
            rpc, to_command = self._kinds[kind]
            return mapping.asked(rpc, to_command, request, now, deadline)

        return await take_in(commands, read, self._ledger, tally)

    async def _record(
        self,
        rpc: str,
        to_command: mapping.ToCommand[mapping.R],
        request: mapping.R,
        context: Context,
    ) -> Outcome:
        asked = mapping.asked(rpc, to_command, request, self._now(), _deadline(context))
        return await self._ledger.record(*asked)


def _deadline(context: Context) -> float:
    """Return until when a command may be begun."""
    seconds = cast("float | None", context.time_remaining())
    return asyncio.get_running_loop().time() + (MAX_WAIT_SECONDS if seconds is None else seconds)
