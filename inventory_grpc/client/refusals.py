"""The refusals of requests that were processed; `errors.py` has the tree of all errors."""

from collections.abc import Sequence
from typing import NamedTuple

from google.rpc.error_details_pb2 import BadRequest

from inventory_grpc.client import details
from inventory_grpc.client.errors import Refused
from inventory_grpc_protos.v1.catalogue_pb2 import Product, Store
from inventory_grpc_protos.v1.errors_pb2 import ShortLine, ShortLines
from inventory_grpc_protos.v1.policies_pb2 import ScopedPolicy
from inventory_grpc_protos.v1.stock_pb2 import Stock


class Violation(NamedTuple):
    """The problem with one field of a request, such as `lines[2].quantity`."""

    field: str
    problem: str


class InvalidValue(Refused):
    """A field of the request is invalid."""

    @property
    def violations(self) -> Sequence[Violation]:
        found = self._detail(BadRequest).field_violations
        return [Violation(one.field, one.description) for one in found]


class StockNotFound(Refused):
    """The stock has no history, or had none at the requested position or time."""


class SubjectNotFound(Refused):
    """The product or store was never put, or the caller may access no such event."""

    @property
    def subject(self) -> str:
        """The subject, such as `product/kettle`; empty if an event was not found."""
        return self.facts.get("subject", "")

    @property
    def position(self) -> int:
        """The position of the event; 0 if a subject was not found."""
        return int(self.facts.get("position", 0))


class NotInCatalogue(Refused):
    """The stock has no history, and its product or store was never put into the catalogue."""


class Retired(Refused):
    """The product or the store is retired: nothing new comes in or is promised."""


class ReservationNotFound(Refused):
    """No reservation has this id."""


class ReservationExists(Refused):
    """The reservation id exists with another customer, order or other lines."""


class RequestIdReused(Refused):
    """The request id was used before, for a request with other content."""


class _Short(Refused):
    @property
    def lines(self) -> Sequence[ShortLine]:
        """The first of the lines that could not be met; `facts["short_lines"]` is the number."""
        return self._detail(ShortLines).lines


class InsufficientStock(_Short):
    """There are fewer units than the command needs."""


class ExceedsReservation(_Short):
    """A line requests more units than the reservation still holds of that stock."""


class ReservationClosed(Refused):
    """The reservation no longer holds any units, or no longer all of them."""

    @property
    def state(self) -> str:
        """The state of the reservation, such as `EXPIRED`; `ACTIVE` if it was partly used."""
        return self.facts["state"]


class NotReversible(Refused):
    """The event cannot be reversed, for its fact or for a later count."""

    @property
    def why(self) -> str:
        """`fact` if nothing undoes such an event, `counted` if a later count has corrected it."""
        return self.facts["why"]

    @property
    def by_position(self) -> int:
        """The position of the count, which can be reversed first; 0 if there is none."""
        return int(self.facts.get("by_position", 0))


class AlreadyReversed(Refused):
    """The event was reversed before, even if that reversal was reversed since."""

    @property
    def by_position(self) -> int:
        """The position of the reversal."""
        return int(self.facts["by_position"])


class LevelTooHigh(Refused):
    """A level, or a sum over stores, would exceed the maximum."""


class CommandTooLarge(Refused):
    """The commands of an atomic batch have more events together than one command may have.

    That is 500 events, or 1.5 MiB of them.
    """


class OtherLog(Refused):
    """The position belongs to another log than the server's."""

    @property
    def log_id(self) -> str:
        """The server's log."""
        return self.facts["log_id"]


class VersionConflict(Refused):
    """The stock, product or store has another version, or the stock other units, than expected."""

    @property
    def current(self) -> Stock | Product | Store | ScopedPolicy:
        """The current state; a `LookupError` if it was too large to be sent: read it then."""
        kinds: Sequence[type[Stock | Product | Store | ScopedPolicy]] = (
            Stock,
            Product,
            Store,
            ScopedPolicy,
        )
        for kind in kinds:
            if found := details.first(kind, self._carried):
                return found
        raise LookupError("the server did not send the current state")


class PositionAhead(Refused):
    """The requested position is beyond the end of the log."""

    @property
    def head_position(self) -> int:
        return int(self.facts["head_position"])
