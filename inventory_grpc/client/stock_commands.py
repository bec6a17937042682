"""The commands on one stock."""

from datetime import datetime

from inventory_grpc.client import messages
from inventory_grpc.client.calls import Calls
from inventory_grpc_protos.v1 import commands_pb2 as pb


class StockCommands:
    """Changes the stock of one product in one store.

    A command that returns is on disk, and was recorded once. Every command takes

    - `request_id`: makes a retry safe, in this process or another: for 7 days the server answers
      the same `request_id` with the same content with the first answer. 1 to 128 letters, digits
      and `. _ : - /`. By default the client generates one, the same on every attempt.
    - `reason`: a text, at most 512 bytes. `reference`: the cause, such as an order or a ticket,
      at most 512 bytes. No personal data: the log keeps them forever.
    - `occur_time`: the time in the real world, if not now; with a time zone. It is only stored.
    - `dry_run`: if true, the server answers as if it had recorded the command, and records nothing.
    - `state`: `damaged`, `quarantine`, `quality_control`, `returned`, or one of the server's
      settings; by default `sellable`. Only sellable units can be reserved.
    - `expected_version`: the version that the stock must have; 0 for one without history.
    - `timeout`: seconds for all attempts together, above 0 and at most 86,400.

    Besides its own errors, every command may raise

    - `InvalidValue` if a value is invalid, `RequestIdReused` if the `request_id` was used for
      other content, `Unauthenticated` or `PermissionDenied` if the caller may not do it,
    - `NotInCatalogue` if a stock is new, its product or store was never put, and the server
      requires a catalogue,
    - `Overloaded`, `WritesRefused`, `StorageFull` or `ShuttingDown` if the server cannot accept it,
    - `OutcomeUnknown`, `Unavailable`, `DeadlineExceeded`, `Cancelled` or `Internal`, after which
      it may or may not have been recorded: check `in_doubt`, and send the same `request_id`
      again to settle it.

    A value of the wrong type raises a `TypeError`, two values that exclude each other a
    `ValueError`; then nothing is sent.
    """

    _calls: Calls

    async def add_stock(  # noqa: PLR0913  the fields of the request
        self,
        *,
        product_id: str,
        store_id: str,
        quantity: int,
        state: str = "",
        expected_version: int | None = None,
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
    ) -> pb.AddStockResponse:
        """Add 1 to 1,000,000,000 received units; create the stock if it has no history.

        They are sellable, or in another *state*.

        Raises:
            LevelTooHigh: on hand would rise above 10^15 units.
            VersionConflict: the stock is not at *expected_version*; `current` is the stock.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        request = messages.made(
            pb.AddStockRequest,
            product_id=product_id,
            store_id=store_id,
            quantity=quantity,
            state=state,
            expected_version=expected_version,
            **messages.about(request_id, reason, reference, occur_time, dry_run=dry_run),
        )
        return await self._calls(lambda on: on.commands.AddStock, request, timeout)

    async def remove_stock(  # noqa: PLR0913  as above
        self,
        *,
        product_id: str,
        store_id: str,
        quantity: int,
        state: str = "",
        channel: str = "",
        expected_version: int | None = None,
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> pb.RemoveStockResponse:
        """Remove 1 to 1,000,000,000 free units, or units in another *state*.

        Units are free if they are neither promised from stock nor set aside for another *channel*;
        those set aside for it are taken first.

        Raises:
            InsufficientStock: fewer are free, or in *state*; `lines` says how many.
            VersionConflict: the stock is not at *expected_version*; `current` is the stock.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        request = messages.made(
            pb.RemoveStockRequest,
            product_id=product_id,
            store_id=store_id,
            quantity=quantity,
            state=state,
            channel=channel,
            expected_version=expected_version,
            **messages.about(request_id, reason, reference, occur_time, dry_run=dry_run),
        )
        return await self._calls(lambda on: on.commands.RemoveStock, request, timeout)

    async def adjust_stock(  # noqa: PLR0913  as above
        self,
        *,
        product_id: str,
        store_id: str,
        delta: int | None = None,
        on_hand: int | None = None,
        state: str = "",
        expected_version: int | None = None,
        expected_on_hand: int | None = None,
        unconditional: bool = False,
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> pb.AdjustStockResponse:
        """Correct the stock by *delta* units, or to the *on_hand* units that were counted.

        One of the two is required, and so is a *reason*. *delta* is -1,000,000,000 to
        1,000,000,000 and not 0. With *state*, both are of the units in that state. Without it,
        *delta* is of the sellable units, and *on_hand* of all, the difference being sellable. The
        sellable units may fall below the reserved ones; `shortfall` is the difference.

        With *on_hand*, exactly one of these says what the count may overwrite:
        *expected_version*, the version that the stock must have; *expected_on_hand*, the units
        that it must have of those counted; or *unconditional*, which overwrites all changes, also
        those made during the count, and is stored in the event.

        Raises:
            InsufficientStock: the units of the state would be negative.
            LevelTooHigh: on hand would rise above 10^15 units.
            VersionConflict: the stock has another version or other units than expected;
                `current` is the stock.
            ValueError: two values are given that exclude each other.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        messages.flag("unconditional", unconditional)
        messages.at_most_one(delta=delta, on_hand=on_hand)
        messages.at_most_one(
            expected_version=expected_version,
            expected_on_hand=expected_on_hand,
            unconditional=unconditional or None,
        )
        request = messages.made(
            pb.AdjustStockRequest,
            product_id=product_id,
            store_id=store_id,
            state=state,
            expected_version=expected_version,
            expected_on_hand=expected_on_hand,
            unconditional=unconditional,
            **messages.about(request_id, reason, reference, occur_time, dry_run=dry_run),
        )
        if delta is not None:
            request.delta = delta
        if on_hand is not None:
            request.on_hand = on_hand
        return await self._calls(lambda on: on.commands.AdjustStock, request, timeout)

    async def reverse_event(  # noqa: PLR0913  as above
        self,
        *,
        reversed_position: int,
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> pb.ReverseEventResponse:
        """Undo one change of a stock, once, by its opposite in the same states.

        *reversed_position* is that of a `StockAdded`, `StockRemoved`, `StockAdjusted`,
        `StockMoved` or `StockFenced`; a *reason* is required. The sellable units may fall below
        the reserved ones; `shortfall` is the difference. A reversal can be reversed like any event.

        Raises:
            SubjectNotFound: no event has this position, or it is of a store of others.
            NotReversible: the event has another fact, or a later count has corrected it.
            AlreadyReversed: the event was reversed before; `by_position` is its reversal.
            InsufficientStock: the units of a state would be negative, or those of a fence are not
                available or no longer in it.
            LevelTooHigh: on hand would rise above 10^15 units.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        request = messages.made(
            pb.ReverseEventRequest,
            reversed_position=reversed_position,
            **messages.about(request_id, reason, reference, occur_time, dry_run=dry_run),
        )
        return await self._calls(lambda on: on.commands.ReverseEvent, request, timeout)

    async def move_stock(  # noqa: PLR0913  as above
        self,
        *,
        product_id: str,
        store_id: str,
        quantity: int,
        from_state: str = "",
        to_state: str = "",
        expected_version: int | None = None,
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> pb.MoveStockResponse:
        """Move 1 to 1,000,000,000 units from one state to another; no state means sellable.

        Reserved units are moved too, and `shortfall` is then above 0. The two states differ.

        Raises:
            InsufficientStock: fewer units are in *from_state*; `lines` says how many.
            VersionConflict: the stock is not at *expected_version*; `current` is the stock.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        request = messages.made(
            pb.MoveStockRequest,
            product_id=product_id,
            store_id=store_id,
            quantity=quantity,
            from_state=from_state,
            to_state=to_state,
            expected_version=expected_version,
            **messages.about(request_id, reason, reference, occur_time, dry_run=dry_run),
        )
        return await self._calls(lambda on: on.commands.MoveStock, request, timeout)

    async def fence_stock(  # noqa: PLR0913  as above
        self,
        *,
        product_id: str,
        store_id: str,
        channel: str,
        delta: int,
        expected_version: int | None = None,
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> pb.FenceStockResponse:
        """Set *delta* available units aside for a *channel*, or take back what is left of them.

        Only a reserve or a removal by the channel gets them. *delta* is -1,000,000,000 to
        1,000,000,000 and not 0; if negative, units are taken back. At most 20 channels have units
        left in a fence of one stock.

        Raises:
            InsufficientStock: fewer units are available, or left in the fence; `lines` says how
                many.
            Retired: units are set aside, and the product or store is retired.
            VersionConflict: the stock is not at *expected_version*; `current` is the stock.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        request = messages.made(
            pb.FenceStockRequest,
            product_id=product_id,
            store_id=store_id,
            channel=channel,
            delta=delta,
            expected_version=expected_version,
            **messages.about(request_id, reason, reference, occur_time, dry_run=dry_run),
        )
        return await self._calls(lambda on: on.commands.FenceStock, request, timeout)
