"""The commands on reservations."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Literal

from inventory_grpc.client import messages
from inventory_grpc.client.calls import Calls
from inventory_grpc_protos.v1 import commands_pb2 as pb

Mode = Literal["ALL_OR_NOTHING", "PARTIAL_LINES", "PARTIAL_QUANTITY"]

_PREFIX: Final = "RESERVE_MODE_"
_MODES: Final = {name.removeprefix(_PREFIX): value for name, value in pb.ReserveMode.items()}


class ReservationCommands:
    """Reserves units for customers, and commits, releases, amends or extends reservations.

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
        channel: str = "",
        in_stock_only: bool = False,
        mode: Mode = "ALL_OR_NOTHING",
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
    ) -> pb.ReserveStockResponse:
        """Reserve a cart of 1 to 500 lines for a customer: every line, or as *mode* says.

        The reservation expires after *ttl* (1 second to 30 days), or at *expire_time* (with a
        time zone, 1 second to 30 days ahead), or, with *never_expires*, not by itself; with none
        of them, after the server's default. Without *reservation_id* the server generates one.
        Reserving the same again, while all of it is held, returns the same reservation.

        Units in the ring-fence of *channel* are taken first. Units beyond those in stock wait for
        goods, if the policy of the stock allows it, and not *in_stock_only*. If not everything can
        be had, the *mode* `ALL_OR_NOTHING` reserves nothing, `PARTIAL_LINES` the lines that can be
        had whole, and `PARTIAL_QUANTITY` of each line what can be had.

        Raises:
            InsufficientStock: fewer units can be had, or in a partial mode none at all; `lines`
                says of which stocks.
            Retired: the product or store of a line is retired, and *mode* is not a partial one.
            ReservationExists: *reservation_id* exists with other content.
            ReservationClosed: it is the same, and has ended or is partly used; `state` says which.
            ValueError: *mode* is not one of those above, or more than one of *ttl*, *expire_time*
                and *never_expires* is given.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        messages.flag("in_stock_only", in_stock_only)
        request = messages.made(
            pb.ReserveStockRequest,
            lines=messages.lines(lines),
            customer_id=customer_id,
            reservation_id=reservation_id,
            order_id=order_id,
            channel=channel,
            in_stock_only=in_stock_only,
            mode=_mode(mode),
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
        reacquire_if_available: bool = False,
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> pb.CommitReservationResponse:
        """Take reserved units out of the stores: those in *lines*, or all without lines.

        With *reacquire_if_available*, a reservation that holds nothing commits the units that
        had expired, if they can be reserved from stock now.

        Raises:
            ReservationNotFound: there is no such reservation.
            ReservationClosed: it holds nothing any more, and nothing of it expired if that is to
                be committed; `state` says why.
            ExceedsReservation: a line requests more than is held, or has expired; `lines` says
                which.
            Retired: units that had expired are to be committed, and the product or store is
                retired.
            InsufficientStock: a store does not have the units on hand, they wait for goods, or
                others have reserved what had expired; `lines` says which.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        messages.flag("reacquire_if_available", reacquire_if_available)
        request = messages.made(
            pb.CommitReservationRequest,
            reservation_id=reservation_id,
            lines=messages.lines(lines),
            order_id=order_id,
            reacquire_if_available=reacquire_if_available,
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

    async def amend_reservation(  # noqa: PLR0913  as above
        self,
        *,
        reservation_id: str,
        lines: Iterable[tuple[str, str, int]],
        in_stock_only: bool = False,
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> pb.AmendReservationResponse:
        """Have the reservation hold exactly *lines*, 1 to 500: all of them, or no change.

        Only the difference is reserved or released. A stock that is not named then holds nothing,
        so another store is an amendment too. What was committed stays so, and the customer, the
        order, the channel and the expiry stay. With *in_stock_only*, no unit that is added waits
        for goods.

        Raises:
            ReservationNotFound: there is no such reservation.
            ReservationClosed: it holds nothing any more; `state` says why.
            Retired: the product or store of a line is retired, and has more units than before.
            InsufficientStock: fewer units can be had, with those that it holds; `lines` says of
                which stocks.
            CommandTooLarge: it would have more than 500 lines, with those that hold nothing any
                more.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        messages.flag("in_stock_only", in_stock_only)
        request = messages.made(
            pb.AmendReservationRequest,
            reservation_id=reservation_id,
            lines=messages.lines(lines),
            in_stock_only=in_stock_only,
            **messages.about(request_id, reason, reference, occur_time, dry_run=dry_run),
        )
        return await self._calls(lambda on: on.commands.AmendReservation, request, timeout)

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


def _mode(name: str) -> pb.ReserveMode.ValueType:
    messages.text("mode", name)
    if name not in _MODES:
        raise ValueError(f"{messages.shown(name)} is not a mode: {', '.join(_MODES)}")
    return _MODES[name]
