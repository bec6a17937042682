"""The commands on reservations."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from inventory_grpc.client import messages
from inventory_grpc.client.calls import Calls
from inventory_grpc_protos.v1 import commands_pb2 as pb


class ReservationCommands:
    """Reserves units for customers, and commits, releases or extends reservations.

    *lines* is a list of at most 500 `Line(product_id, store_id, quantity)` or plain tuples,
    each of 1 to 1,000,000,000 units. A command applies to all of its lines, or to none.
    `StockCommands` explains the arguments and the errors that every command has.
    """

    _calls: Calls

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
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
    ) -> pb.ReserveStockResponse:
        """Reserve a cart of 1 to 500 lines for a customer: every line, or nothing.

        The reservation expires after *ttl* (1 second to 30 days), or at *expire_time* (with a
        time zone, 1 second to 30 days ahead), or, with *never_expires*, not by itself; with none
        of them, after the server's default. Without *reservation_id* the server generates one.
        Reserving the same again, while all of it is held, returns the same reservation.

        Raises:
            InsufficientStock: fewer units are available; `lines` says of which stocks.
            ReservationExists: *reservation_id* exists with other content.
            ReservationClosed: it is the same, and has ended or is partly used; `state` says which.
            ValueError: more than one of *ttl*, *expire_time* and *never_expires* is given.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        request = messages.made(
            pb.ReserveStockRequest,
            lines=messages.lines(lines),
            customer_id=customer_id,
            reservation_id=reservation_id,
            order_id=order_id,
            **messages.expiration(ttl, expire_time, never_expires=never_expires),
            **messages.about(request_id, reason, reference, occur_time, dry_run=dry_run),
        )
        return await self._calls(lambda on: on.commands.ReserveStock, request, timeout)

    async def commit_reservation(  # noqa: PLR0913  as above
        self,
        *,
        reservation_id: str,
        lines: Iterable[tuple[str, str, int]] = (),
        order_id: str = "",
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> pb.CommitReservationResponse:
        """Take reserved units out of the stores: those in *lines*, or all without lines.

        Raises:
            ReservationNotFound: there is no such reservation.
            ReservationClosed: it holds nothing any more; `state` says why.
            ExceedsReservation: a line requests more than is held; `lines` says which.
            InsufficientStock: a store does not have the units on hand; `lines` says which.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        request = messages.made(
            pb.CommitReservationRequest,
            reservation_id=reservation_id,
            lines=messages.lines(lines),
            order_id=order_id,
            **messages.about(request_id, reason, reference, occur_time, dry_run=dry_run),
        )
        return await self._calls(lambda on: on.commands.CommitReservation, request, timeout)

    async def release_reservation(  # noqa: PLR0913  as above
        self,
        *,
        reservation_id: str,
        lines: Iterable[tuple[str, str, int]] = (),
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> pb.ReleaseReservationResponse:
        """Return reserved units to available stock: those in *lines*, or all without lines.

        Raises:
            ReservationNotFound: there is no such reservation.
            ReservationClosed: it holds nothing any more; `state` says why.
            ExceedsReservation: a line requests more than is held; `lines` says which.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        request = messages.made(
            pb.ReleaseReservationRequest,
            reservation_id=reservation_id,
            lines=messages.lines(lines),
            **messages.about(request_id, reason, reference, occur_time, dry_run=dry_run),
        )
        return await self._calls(lambda on: on.commands.ReleaseReservation, request, timeout)

    async def extend_reservation(  # noqa: PLR0913  as above
        self,
        *,
        reservation_id: str,
        ttl: timedelta | None = None,
        expire_time: datetime | None = None,
        never_expires: bool = False,
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> pb.ExtendReservationResponse:
        """Move the expiry, earlier or later; `reserve_stock` explains its three forms.

        Raises:
            ReservationNotFound: there is no such reservation.
            ReservationClosed: it holds nothing any more; `state` says why.
            ValueError: more than one of *ttl*, *expire_time* and *never_expires* is given.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        request = messages.made(
            pb.ExtendReservationRequest,
            reservation_id=reservation_id,
            **messages.expiration(ttl, expire_time, never_expires=never_expires),
            **messages.about(request_id, reason, reference, occur_time, dry_run=dry_run),
        )
        return await self._calls(lambda on: on.commands.ExtendReservation, request, timeout)
