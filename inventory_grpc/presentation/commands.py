"""The side that writes, as gRPC calls it: map, ask, map."""

import asyncio
from functools import partial
from typing import Final, Protocol, cast

from inventory.v1 import commands_pb2 as pb
from inventory.v1.commands_pb2_grpc import InventoryCommandsServicer
from inventory_grpc.application.batch import Request
from inventory_grpc.application.ports import Outcome, WallClock
from inventory_grpc.domain.commands import Command
from inventory_grpc.domain.values import DEFAULT_EXPIRATION, Expiration
from inventory_grpc.presentation import mapping_commands as mapping
from inventory_grpc.presentation.caller import CALLER
from inventory_grpc.presentation.form import Form
from inventory_grpc.presentation.grpc_types import Context

MAX_WAIT_SECONDS: Final = 30.0
"""How long a command may wait to be begun, where its caller has not said."""


class Ledger(Protocol):
    """Records commands; see `inventory_grpc.application.ledger`."""

    async def record(self, command: Command, request: Request) -> Outcome: ...


class Commands(InventoryCommandsServicer):
    """Serves `InventoryCommands` from a ledger."""

    def __init__(
        self, ledger: Ledger, now: WallClock, default_expiration: Expiration = DEFAULT_EXPIRATION
    ) -> None:
        self._ledger = ledger
        self._now = now
        self._reserve_stock = partial(mapping.reserve_stock, default=default_expiration)
        self._extend_reservation = partial(mapping.extend_reservation, default=default_expiration)

    async def AddStock(self, request: pb.AddStockRequest, context: Context) -> pb.AddStockResponse:
        outcome = await self._record("AddStock", mapping.add_stock, request, context)
        return mapping.fill_one_stock(pb.AddStockResponse(), outcome)

    async def RemoveStock(
        self, request: pb.RemoveStockRequest, context: Context
    ) -> pb.RemoveStockResponse:
        outcome = await self._record("RemoveStock", mapping.remove_stock, request, context)
        return mapping.fill_one_stock(pb.RemoveStockResponse(), outcome)

    async def AdjustStock(
        self, request: pb.AdjustStockRequest, context: Context
    ) -> pb.AdjustStockResponse:
        outcome = await self._record("AdjustStock", mapping.adjust_stock, request, context)
        return mapping.fill_one_stock(pb.AdjustStockResponse(), outcome)

    async def ReserveStock(
        self, request: pb.ReserveStockRequest, context: Context
    ) -> pb.ReserveStockResponse:
        outcome = await self._record("ReserveStock", self._reserve_stock, request, context)
        return mapping.fill_lines(pb.ReserveStockResponse(), outcome)

    async def CommitReservation(
        self, request: pb.CommitReservationRequest, context: Context
    ) -> pb.CommitReservationResponse:
        outcome = await self._record(
            "CommitReservation", mapping.commit_reservation, request, context
        )
        return mapping.fill_lines(pb.CommitReservationResponse(), outcome)

    async def ReleaseReservation(
        self, request: pb.ReleaseReservationRequest, context: Context
    ) -> pb.ReleaseReservationResponse:
        outcome = await self._record(
            "ReleaseReservation", mapping.release_reservation, request, context
        )
        return mapping.fill_lines(pb.ReleaseReservationResponse(), outcome)

    async def ExtendReservation(
        self, request: pb.ExtendReservationRequest, context: Context
    ) -> pb.ExtendReservationResponse:
        outcome = await self._record(
            "ExtendReservation", self._extend_reservation, request, context
        )
        return mapping.extended(outcome)

    async def _record(
        self,
        rpc: str,
        to_command: mapping.ToCommand[mapping.R],
        request: mapping.R,
        context: Context,
    ) -> Outcome:
        with Form() as form:
            command = to_command(form, request)
            cause = mapping.cause(form, request, self._now())
        fingerprint = mapping.fingerprint(rpc, request) if cause.request_id else b""
        seconds = cast("float | None", context.time_remaining())
        deadline = asyncio.get_running_loop().time() + (
            MAX_WAIT_SECONDS if seconds is None else seconds
        )
        asked = Request(cause, fingerprint, deadline, CALLER.get().scope)
        return await self._ledger.record(command, asked)
