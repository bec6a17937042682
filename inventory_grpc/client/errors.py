"""The failures of a call, and what a caller may believe and do after each.

    InventoryError             any failure: `code`, `reason`, `message`, `facts`
      Refused                  the request was judged, and the answer is no
        InvalidValue             it breaks a rule about its own form: `violations`
        StockNotFound            the stock has no history, or had none then
        ReservationNotFound      no reservation has this id
        ReservationExists        the id is taken, by other content
        RequestIdReused          the request id is taken, by another request
        InsufficientStock        there are fewer units than asked for: `lines`
        ExceedsReservation       the reservation holds fewer units: `lines`
        ReservationClosed        the reservation is over: `state`
        LevelTooHigh             the stock would have more than can be counted
        OtherLog                 the position belongs to another log: `log_id`
        VersionConflict          the stock has changed meanwhile: `current`
        PositionAhead            the log is not that long: `head_position`
      TurnedAway               the request was not judged: another time, perhaps
        Overloaded               there is more to do than the server can
        ReadsRefused             storage is in trouble, and this cannot be read
        WritesRefused            writing has failed; reads go on
        StorageFull              the disk is full; reads go on
        ShuttingDown             the server is going away
      Unauthenticated          the server does not know who calls
      PermissionDenied         it does, and they may not do this
      OutcomeUnknown           writing failed at the very end
      LogDamaged               the log on disk is not what was written
      Internal                 the server has a bug
      Unavailable              there was no server, or the connection was lost
        Untrusted                its certificate is not trusted; nothing was sent
      DeadlineExceeded         the time for the call was over
      Cancelled                the server, or somebody on the way, gave the call up

A reason of `ErrorReason` has a class of the same name; the last four come without a
reason. A failure that is none of these, or has a reason newer than this client, is a
plain `InventoryError`.

After `OutcomeUnknown`, `Internal` and whatever comes without a reason, such as `Unavailable`,
`DeadlineExceeded` and `Cancelled`, a command may have been recorded, or not: `in_doubt` is true.
The same request can then be sent again with the same `request_id`, and is done once in all.
"""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.rpc.error_details_pb2 import BadRequest

from inventory_grpc.client import details
from inventory_grpc.client.details import Detail
from inventory_grpc_protos.v1.errors_pb2 import ShortLine, ShortLines
from inventory_grpc_protos.v1.stock_pb2 import Stock


class InventoryError(Exception):
    """A call that did not succeed. Match on its class or `reason`; the message is for people.

    `retry_after` is how many seconds the server wants to be left alone: None where it
    does not say, infinite where it wants never to be asked again. `request_id` is the
    command's, also where the client made it. Where `in_doubt` is true, the command may have
    been recorded all the same: the same `request_id` can be sent again, and settles it.
    """

    doubtful: ClassVar[bool | None] = None
    """Whether the class leaves it open. None: if there is no reason, since then nobody judged."""

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
        super().__init__(code, reason, message)  # those that a copy is made with
        self.code = code
        self.reason = reason
        self.message = message
        self.facts = dict(facts or {})
        self.retry_after = retry_after
        self.request_id = request_id
        self.in_doubt = not reason if self.doubtful is None else self.doubtful
        """Whether a command may have been recorded all the same. Never true of a query."""
        self._carried = carried

    def __str__(self) -> str:
        said = f"{self.reason or self.code.name}: {self.message}"
        if not self.in_doubt:
            return said
        again = f"request_id, {self.request_id}," if self.request_id else "request_ids"
        return f"{said} (it may have been recorded: the same {again} can be sent again)"

    @property
    def repeatable(self) -> bool:
        """Whether the same request, sent again, may fare better."""
        if self.retry_after == math.inf:
            return False
        if self.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            # Without a time to wait it is a limit, such as on a message's size.
            return self.retry_after is not None
        # gRPC's server cancels what reaches it just as it stops. Our own cancelling is no
        # error of a call, but asyncio's.
        return self.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}

    def _detail(self, kind: type[Detail]) -> Detail:
        return details.first(kind, self._carried) or kind()


class Refused(InventoryError):
    """The request was judged, and the answer is no. Nothing was written."""


class Violation(NamedTuple):
    """What is wrong with one field of a request, such as `lines[2].quantity`."""

    field: str
    problem: str


class InvalidValue(Refused):
    """The request breaks a rule about its own form."""

    @property
    def violations(self) -> Sequence[Violation]:
        found = self._detail(BadRequest).field_violations
        return [Violation(one.field, one.description) for one in found]


class StockNotFound(Refused):
    """The stock has no history, or had none at the moment asked for."""


class ReservationNotFound(Refused):
    """No reservation has this id."""


class ReservationExists(Refused):
    """The reservation id is taken, for another customer, order or other lines."""


class RequestIdReused(Refused):
    """The request id was used before, for a request with other content."""


class _Short(Refused):
    @property
    def lines(self) -> Sequence[ShortLine]:
        """The first of the lines that could not be met; `facts["short_lines"]` counts all."""
        return self._detail(ShortLines).lines


class InsufficientStock(_Short):
    """There are fewer units than the command needs."""


class ExceedsReservation(_Short):
    """A line asks for more units than the reservation still holds of that stock."""


class ReservationClosed(Refused):
    """The reservation holds nothing any more, or no longer everything."""

    @property
    def state(self) -> str:
        """What became of it, such as `EXPIRED`; `ACTIVE` where it was used in part."""
        return self.facts["state"]


class LevelTooHigh(Refused):
    """A level, or a sum over stores, would be above the highest there may be."""


class OtherLog(Refused):
    """The position belongs to another log than the one that is served."""

    @property
    def log_id(self) -> str:
        """The log that is served."""
        return self.facts["log_id"]


class VersionConflict(Refused):
    """The stock is at another version than the command expects: look at `current`."""

    @property
    def current(self) -> Stock:
        stock = details.first(Stock, self._carried)
        if stock is None:
            raise LookupError("the server did not say what is current")
        return stock


class PositionAhead(Refused):
    """The position asked for is beyond the end of the log."""

    @property
    def head_position(self) -> int:
        return int(self.facts["head_position"])


class TurnedAway(InventoryError):
    """The server took no look at the request; this sending of it wrote nothing."""


class Overloaded(TurnedAway):
    """The server has more to do than it can."""


class ReadsRefused(TurnedAway):
    """Storage is in trouble, and what was asked cannot be read for now."""


class WritesRefused(TurnedAway):
    """Commands are refused for now, because writing has failed; reads go on."""


class StorageFull(TurnedAway):
    """Commands are refused for now, because the disk is full; reads go on."""


class ShuttingDown(TurnedAway):
    """The server is going away."""


class Unauthenticated(InventoryError):
    """The server does not know who calls: the token is missing, wrong, expired or revoked."""


class PermissionDenied(InventoryError):
    """The caller's role does not allow the rpc, or a store that it names is not theirs."""


class OutcomeUnknown(InventoryError):
    """Writing failed at the very end, so not even the server knows yet.

    The command may have been recorded: the same `request_id` can be sent again.
    """

    doubtful = True


class LogDamaged(InventoryError):
    """The log on disk is not what was written. Someone has to look."""


class Internal(InventoryError):
    """The server has a bug; `facts["error_id"]` finds it in the server's log.

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
    def repeatable(self) -> bool:
        """Never: the certificate, or `ca`, has to change first."""
        return False


class DeadlineExceeded(InventoryError):
    """The time for the call was over before there was an answer.

    A command may have been recorded: the same `request_id` can be sent again.
    """


class Cancelled(InventoryError):
    """The server, or somebody on the way to it, gave the call up; or this client was closed.

    A command may have been recorded: the same `request_id` can be sent again.
    """
