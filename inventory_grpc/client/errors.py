"""The errors of a call, and what each says about a command.

    InventoryError             any failure: `code`, `reason`, `message`, `facts`
      Refused                  the request was processed and refused
        InvalidValue             a field is invalid: `violations`
        StockNotFound            the stock has no history, or had none then
        SubjectNotFound          there is no such product, store or event: `subject`, `position`
        NotInCatalogue           the product or store of a new stock was never put
        Retired                  the product or store is retired
        ReservationNotFound      no reservation has this id
        ReservationExists        the reservation id has other content
        RequestIdReused          the request id was used for another request
        InsufficientStock        there are fewer units than requested: `lines`
        ExceedsReservation       the reservation holds fewer units: `lines`
        ReservationClosed        the reservation has ended: `state`
        NotReversible            the event cannot be reversed: `why`, `by_position`
        AlreadyReversed          the event was reversed before: `by_position`
        LevelTooHigh             a level would exceed the maximum
        CommandTooLarge          an atomic batch has more events than a command may have
        OtherLog                 the position belongs to another log: `log_id`
        VersionConflict          it has another version or other units than expected: `current`
        PositionAhead            the position is beyond the log: `head_position`
      NotProcessed             the server did not process the request; retry later
        Overloaded               the server has too much to do
        ReadsRefused             storage has failed a read
        WritesRefused            writing has failed; reads are served
        StorageFull              the disk is full; reads are served
        ShuttingDown             the server is shutting down
      Unauthenticated          the caller could not be authenticated
      PermissionDenied         the caller may not do this
      OutcomeUnknown           storage failed during the commit
      LogDamaged               stored data is damaged
      Internal                 the server has a bug
      Unavailable              there was no server, or the connection was lost
        Untrusted                its certificate is not trusted; nothing was sent
      DeadlineExceeded         the deadline passed
      Cancelled                the server or a proxy cancelled the call

A reason of `ErrorReason` has a class of the same name; the last four have no reason. Any other
failure, or one with a reason that this client does not know, is a plain `InventoryError`.

After `OutcomeUnknown`, `Internal` and an error without a reason, such as `Unavailable`,
`DeadlineExceeded` and `Cancelled`, a command may or may not have been recorded: `in_doubt` is
true. Send the same request again with the same `request_id`: it is recorded once in all.
"""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import grpc
from google.protobuf.any_pb2 import Any as Packed

from inventory_grpc.client import details
from inventory_grpc.client.details import Detail


class InventoryError(Exception):
    """A failed call. Match on its class or `reason`; the message is for people and may change.

    `retry_after` is the server's retry delay in seconds: None if it gave none, infinite if it
    forbids a retry. `request_id` is that of the command, even if the client generated it. If
    `in_doubt` is true, the command may have been recorded; sending the same `request_id` again
    settles it.
    """

    doubtful: ClassVar[bool | None] = None
    """Whether the class leaves the outcome open. None: it does if there is no reason."""

    def __init__(  # noqa: PLR0913  everything a status can carry
        self,
        code: grpc.StatusCode,
        reason: str = "",
        message: str = "",
        facts: Mapping[str, str] | None = None,
        *,
        carried: Sequence[Packed] = (),
        retry_after: float | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(code, reason, message)  # the arguments for copying and pickling
        self.code = code
        self.reason = reason
        self.message = message
        self.facts = dict(facts or {})
        self.retry_after = retry_after
        self.request_id = request_id
        self.in_doubt = not reason if self.doubtful is None else self.doubtful
        """Whether a command may have been recorded; always false for a query."""
        self._carried = carried

    def __str__(self) -> str:
        said = f"{self.reason or self.code.name}: {self.message}"
        if not self.in_doubt:
            return said
        again = f"request_id, {self.request_id}," if self.request_id else "request_ids"
        return f"{said} (it may have been recorded: the same {again} can be sent again)"

    @property
    def command_index(self) -> int | None:
        """The place of the refused command in an atomic batch, from 0."""
        index = self.facts.get("command_index")
        return None if index is None else int(index)

    @property
    def repeatable(self) -> bool:
        """Whether the same request may succeed if it is sent again."""
        if self.retry_after == math.inf:
            return False
        if self.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            # Without a retry delay it is a limit, such as the size of a message.
            return self.retry_after is not None
        # A gRPC server cancels calls that arrive while it stops. A cancellation by the caller
        # is asyncio's, and not an error of the call.
        return self.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}

    def _detail(self, kind: type[Detail]) -> Detail:
        return details.first(kind, self._carried) or kind()


class Refused(InventoryError):
    """The request was processed and refused. Nothing was written. `refusals.py` has the kinds."""


class NotProcessed(InventoryError):
    """The server did not process the request; this attempt wrote nothing."""


class Overloaded(NotProcessed):
    """The server has too much to do."""


class ReadsRefused(NotProcessed):
    """Storage has failed, and the request cannot be read for now."""


class WritesRefused(NotProcessed):
    """Commands are refused for now, because writing has failed; reads are served."""


class StorageFull(NotProcessed):
    """Commands are refused for now, because the disk is full; reads are served."""


class ShuttingDown(NotProcessed):
    """The server is shutting down."""


class Unauthenticated(InventoryError):
    """The caller could not be authenticated: a token is missing, wrong, expired or revoked."""


class PermissionDenied(InventoryError):
    """The caller's role does not allow the rpc, or the caller may not use a store it names."""


class OutcomeUnknown(InventoryError):
    """Storage failed during the commit, so even the server does not know the outcome yet.

    The command may have been recorded: the same `request_id` can be sent again.
    """

    doubtful = True


class LogDamaged(InventoryError):
    """Stored data is damaged; an operator has to act."""


class Internal(InventoryError):
    """The server has a bug; `facts["error_id"]` is its id in the server's log.

    A command may have been recorded: the same `request_id` can be sent again.
    """

    doubtful = True


class Unavailable(InventoryError):
    """There was no server, or the connection to it was lost.

    A command may have been recorded: the same `request_id` can be sent again.
    """


class Untrusted(Unavailable):
    """The server's certificate is not trusted; the message says why. Nothing was sent."""

    doubtful = False

    @property
    def command_index(self) -> int | None:
        """The place of the refused command in an atomic batch, from 0."""
        index = self.facts.get("command_index")
        return None if index is None else int(index)

    @property
    def repeatable(self) -> bool:
        """Always false: the certificate, or `ca`, has to change first."""
        return False


class DeadlineExceeded(InventoryError):
    """The deadline passed before there was an answer.

    A command may have been recorded: the same `request_id` can be sent again.
    """


class Cancelled(InventoryError):
    """The server or a proxy cancelled the call, or this client was closed.

    A command may have been recorded: the same `request_id` can be sent again.
    """
