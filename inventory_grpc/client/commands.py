"""How does a caller change what stores have, and promise units to customers?"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypedDict, Unpack
from uuid import uuid4

from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.client import messages
from inventory_grpc.client.calls import Calls
from inventory_grpc_protos.v1 import commands_pb2 as pb
from inventory_grpc_protos.v1.commands_pb2_grpc import InventoryCommandsStub


class About(TypedDict, total=False):
    """What may be said with every command."""

    request_id: str
    """Makes it safe to repeat. None given: a new one, the same on every attempt."""
    reason: str
    """Why, in the caller's words."""
    reference: str
    """What caused it: an order, a delivery, a ticket."""
    occur_time: datetime
    """When it happened in the world, if not now."""
    timeout: float
    """Seconds for all attempts together, if not the client's."""


class _Told(TypedDict):
    request_id: str
    reason: str
    reference: str
    occur_time: Timestamp | None


class Commands:
    """The side that writes. A command that returns is on disk, and was done once."""

    _calls: Calls
    _commands: InventoryCommandsStub

    async def add_stock(
        self,
        *,
        product_id: str,
        store_id: str,
        quantity: int,
        expected_version: int | None = None,
        **about: Unpack[About],
    ) -> pb.AddStockResponse:
        request = pb.AddStockRequest(
            product_id=product_id,
            store_id=store_id,
            quantity=quantity,
            expected_version=expected_version,
            **_told(about),
        )
        return await self._calls(self._commands.AddStock, request, about.get("timeout"))

    async def remove_stock(
        self,
        *,
        product_id: str,
        store_id: str,
        quantity: int,
        expected_version: int | None = None,
        **about: Unpack[About],
    ) -> pb.RemoveStockResponse:
        request = pb.RemoveStockRequest(
            product_id=product_id,
            store_id=store_id,
            quantity=quantity,
            expected_version=expected_version,
            **_told(about),
        )
        return await self._calls(self._commands.RemoveStock, request, about.get("timeout"))

    async def adjust_stock(
        self,
        *,
        product_id: str,
        store_id: str,
        delta: int | None = None,
        on_hand: int | None = None,
        expected_version: int | None = None,
        **about: Unpack[About],
    ) -> pb.AdjustStockResponse:
        """Correct by *delta*, or to the *on_hand* that was counted; a `reason` is required."""
        messages.at_most_one(delta=delta, on_hand=on_hand)
        request = pb.AdjustStockRequest(
            product_id=product_id,
            store_id=store_id,
            expected_version=expected_version,
            **_told(about),
        )
        if delta is not None:
            request.delta = delta
        if on_hand is not None:
            request.on_hand = on_hand
        return await self._calls(self._commands.AdjustStock, request, about.get("timeout"))

    async def reserve_stock(  # noqa: PLR0913  the fields of the request
        self,
        *,
        lines: Iterable[tuple[str, str, int]],
        customer_id: str,
        reservation_id: str = "",
        order_id: str = "",
        ttl: timedelta | None = None,
        expire_time: datetime | None = None,
        never_expires: bool = False,
        **about: Unpack[About],
    ) -> pb.ReserveStockResponse:
        request = pb.ReserveStockRequest(
            lines=messages.lines(lines),
            customer_id=customer_id,
            reservation_id=reservation_id,
            order_id=order_id,
            **messages.expiration(ttl, expire_time, never_expires=never_expires),
            **_told(about),
        )
        return await self._calls(self._commands.ReserveStock, request, about.get("timeout"))

    async def commit_reservation(
        self,
        *,
        reservation_id: str,
        lines: Iterable[tuple[str, str, int]] = (),
        order_id: str = "",
        **about: Unpack[About],
    ) -> pb.CommitReservationResponse:
        """Take out so many units more: those in *lines*, or where there are none, all."""
        request = pb.CommitReservationRequest(
            reservation_id=reservation_id,
            lines=messages.lines(lines),
            order_id=order_id,
            **_told(about),
        )
        return await self._calls(self._commands.CommitReservation, request, about.get("timeout"))

    async def release_reservation(
        self,
        *,
        reservation_id: str,
        lines: Iterable[tuple[str, str, int]] = (),
        **about: Unpack[About],
    ) -> pb.ReleaseReservationResponse:
        """Give back so many units more: those in *lines*, or where there are none, all."""
        request = pb.ReleaseReservationRequest(
            reservation_id=reservation_id, lines=messages.lines(lines), **_told(about)
        )
        return await self._calls(self._commands.ReleaseReservation, request, about.get("timeout"))

    async def extend_reservation(
        self,
        *,
        reservation_id: str,
        ttl: timedelta | None = None,
        expire_time: datetime | None = None,
        never_expires: bool = False,
        **about: Unpack[About],
    ) -> pb.ExtendReservationResponse:
        request = pb.ExtendReservationRequest(
            reservation_id=reservation_id,
            **messages.expiration(ttl, expire_time, never_expires=never_expires),
            **_told(about),
        )
        return await self._calls(self._commands.ExtendReservation, request, about.get("timeout"))


def _told(about: About) -> _Told:
    return {
        "request_id": about.get("request_id") or str(uuid4()),
        "reason": about.get("reason", ""),
        "reference": about.get("reference", ""),
        "occur_time": messages.maybe_timestamp(about.get("occur_time")),
    }
