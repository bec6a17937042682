"""The side that writes, as gRPC calls it: map, ask, map."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Final, Protocol

from inventory_grpc.application.ledger.batch import Request
from inventory_grpc.application.ledger.bulk import Asked
from inventory_grpc.application.ports import Outcome, WallClock
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.values import DEFAULT_TTL, Span, Ttl
from inventory_grpc.presentation import mapping_commands as mapping
from inventory_grpc.presentation import to_proto as outcomes
from inventory_grpc.presentation.bulk import RecordsAll, Submitted, Tally, submit
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.command_stream import CommandStreams
from inventory_grpc_protos.v1 import commands_pb2 as pb

MAX_WAIT_SECONDS: Final = 30.0
"""How long a command may wait to be begun, where its caller has not said."""


class Ledger(RecordsAll, Protocol):
    """Records commands; see `inventory_grpc.application.ledger.loop`."""

    async def record(self, command: Command, request: Request) -> Outcome: ...


class Commands:
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

    async def AddStock(self, request: pb.AddStockRequest, call: Call) -> pb.AddStockResponse:
        outcome = await self._record("AddStock", mapping.add_stock, request, call)
        return outcomes.fill_one_stock(pb.AddStockResponse(), outcome)

    async def RemoveStock(
        self, request: pb.RemoveStockRequest, call: Call
    ) -> pb.RemoveStockResponse:
        outcome = await self._record("RemoveStock", mapping.remove_stock, request, call)
        return outcomes.fill_one_stock(pb.RemoveStockResponse(), outcome)

    async def AdjustStock(
        self, request: pb.AdjustStockRequest, call: Call
    ) -> pb.AdjustStockResponse:
        outcome = await self._record("AdjustStock", mapping.adjust_stock, request, call)
        return outcomes.fill_one_stock(pb.AdjustStockResponse(), outcome)

    async def ReserveStock(
        self, request: pb.ReserveStockRequest, call: Call
    ) -> pb.ReserveStockResponse:
        outcome = await self._record("ReserveStock", self._reserve_stock, request, call)
        return outcomes.fill_lines(pb.ReserveStockResponse(), outcome)

    async def CommitReservation(
        self, request: pb.CommitReservationRequest, call: Call
    ) -> pb.CommitReservationResponse:
        outcome = await self._record("CommitReservation", mapping.commit_reservation, request, call)
        return outcomes.fill_lines(pb.CommitReservationResponse(), outcome)

    async def ReleaseReservation(
        self, request: pb.ReleaseReservationRequest, call: Call
    ) -> pb.ReleaseReservationResponse:
        outcome = await self._record(
            "ReleaseReservation", mapping.release_reservation, request, call
        )
        return outcomes.fill_lines(pb.ReleaseReservationResponse(), outcome)

    async def ExtendReservation(
        self, request: pb.ExtendReservationRequest, call: Call
    ) -> pb.ExtendReservationResponse:
        outcome = await self._record("ExtendReservation", self._extend_reservation, request, call)
        return outcomes.extended(outcome)

    async def ExecuteBatch(
        self, request: pb.ExecuteBatchRequest, call: Call
    ) -> pb.ExecuteBatchResponse:
        submitted = await self._submit(request.commands, call, Tally(call))
        return await submitted.respond(pb.ExecuteBatchResponse())

    async def ExecuteStream(
        self, requests: AsyncIterator[pb.ExecuteStreamRequest], call: Call
    ) -> AsyncIterator[pb.ExecuteStreamResponse]:
        submit = partial(self._submit, call=call, tally=Tally(call))
        with self._streams.open(requests, submit) as stream:
            async with aclosing(stream.submitted()) as messages:
                async for submitted in messages:
                    yield await submitted.respond(pb.ExecuteStreamResponse())

    def close(self) -> None:
        """Have every stream answer what it has taken in, and leave."""
        self._streams.close()

    async def _submit(self, commands: Sequence[pb.Command], call: Call, tally: Tally) -> Submitted:
        terms = self._terms(call)

        def read(kind: str, request: Any) -> Asked:  # noqa: ANN401  the request of that kind
            rpc, to_command = self._kinds[kind]
            return mapping.asked(rpc, to_command, request, terms)

        return await submit(commands, read, self._ledger, tally)

    async def _record(
        self,
        rpc: str,
        to_command: mapping.ToCommand[mapping.R],
        request: mapping.R,
        call: Call,
    ) -> Outcome:
        asked = mapping.asked(rpc, to_command, request, self._terms(call))
        return await self._ledger.record(*asked)

    def _terms(self, call: Call) -> mapping.Terms:
        seconds = call.seconds_left()
        if seconds is None:
            seconds = MAX_WAIT_SECONDS
        return mapping.Terms(call.caller, self._now(), asyncio.get_running_loop().time() + seconds)
