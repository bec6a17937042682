"""The commands on one stock."""

from datetime import datetime

from inventory_grpc.client import messages
from inventory_grpc.client.calls import Calls
from inventory_grpc_protos.v1 import commands_pb2 as pb


class StockCommands:
    """Changes what one store has of one product.

    A command that returns is on disk, and was done once. Every command takes

    - `request_id`: makes it safe to send again, in this process or another: for 7 days the
      server gives the same `request_id` with the same content the first answer. 1 to 128 of
      letters, digits and `. _ : - /`. Left out: a new one, the same on every attempt.
    - `reason`: why, in your words, at most 512 bytes. `reference`: what caused it, such as an
      order or a ticket, at most 512 bytes. No personal data: the log cannot forget.
    - `occur_time`: when it happened in the world, if not now; with a time zone. Kept, not used.
    - `expected_version`: the version the stock must be at; 0 for one without history.
    - `timeout`: seconds for all attempts together, above 0 and at most 86,400.

    Besides its own errors, every command may raise

    - `InvalidValue` if a value breaks a rule, `RequestIdReused` if the `request_id` was used
      for other content, `Unauthenticated` or `PermissionDenied` if the caller may not do it,
    - `Overloaded`, `WritesRefused`, `StorageFull` or `ShuttingDown` if the server cannot take it,
    - `OutcomeUnknown`, `Unavailable`, `DeadlineExceeded`, `Cancelled` or `Internal`, after which
      it may have been recorded or not: look at `in_doubt`, and send the same `request_id` again
      to be sure.

    A value of the wrong type is a `TypeError`, two values that exclude each other are a
    `ValueError`; then nothing is sent.
    """

    _calls: Calls

    async def add_stock(  # noqa: PLR0913  the fields of the request
        self,
        *,
        product_id: str,
        store_id: str,
        quantity: int,
        expected_version: int | None = None,
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
    ) -> pb.AddStockResponse:
        """Add 1 to 1,000,000,000 units that came in; make the stock if it has no history.

        Raises:
            LevelTooHigh: on hand would rise above 10^15 units.
            VersionConflict: the stock is not at *expected_version*; `current` shows it.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        request = messages.made(
            pb.AddStockRequest,
            product_id=product_id,
            store_id=store_id,
            quantity=quantity,
            expected_version=expected_version,
            **messages.about(request_id, reason, reference, occur_time),
        )
        return await self._calls(lambda on: on.commands.AddStock, request, timeout)

    async def remove_stock(  # noqa: PLR0913  as above
        self,
        *,
        product_id: str,
        store_id: str,
        quantity: int,
        expected_version: int | None = None,
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> pb.RemoveStockResponse:
        """Take out 1 to 1,000,000,000 units that are promised to nobody.

        Raises:
            InsufficientStock: fewer units are available; `lines` says how many.
            VersionConflict: the stock is not at *expected_version*; `current` shows it.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        request = messages.made(
            pb.RemoveStockRequest,
            product_id=product_id,
            store_id=store_id,
            quantity=quantity,
            expected_version=expected_version,
            **messages.about(request_id, reason, reference, occur_time),
        )
        return await self._calls(lambda on: on.commands.RemoveStock, request, timeout)

    async def adjust_stock(  # noqa: PLR0913  as above
        self,
        *,
        product_id: str,
        store_id: str,
        delta: int | None = None,
        on_hand: int | None = None,
        expected_version: int | None = None,
        request_id: str = "",
        reason: str = "",
        reference: str = "",
        occur_time: datetime | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> pb.AdjustStockResponse:
        """Correct the stock by *delta* units, or to the *on_hand* units that were counted.

        One of the two is required, and so is a *reason*; *on_hand* needs *expected_version*,
        so that a count does not undo what happened meanwhile. *delta* is -1,000,000,000 to
        1,000,000,000 and not 0. On hand may fall below what is reserved: `shortfall` says by
        how much.

        Raises:
            InsufficientStock: on hand would be negative.
            LevelTooHigh: on hand would rise above 10^15 units.
            VersionConflict: the stock is not at *expected_version*; `current` shows it.
            ValueError: both *delta* and *on_hand* are given.
            InventoryError: one of those that every command may raise, see `StockCommands`.
        """
        messages.at_most_one(delta=delta, on_hand=on_hand)
        request = messages.made(
            pb.AdjustStockRequest,
            product_id=product_id,
            store_id=store_id,
            expected_version=expected_version,
            **messages.about(request_id, reason, reference, occur_time),
        )
        if delta is not None:
            request.delta = delta
        if on_hand is not None:
            request.on_hand = on_hand
        return await self._calls(lambda on: on.commands.AdjustStock, request, timeout)
