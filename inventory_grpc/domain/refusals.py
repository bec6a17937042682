"""The refusals of the domain, and the facts that each returns to the caller.

Refusal
  InvalidValue           a value has the wrong type, or is out of bounds
  StockNotFound          the stock has no history
  SubjectNotFound        the product, store or event does not exist
  ReservationNotFound    the reservation does not exist
  ReservationExists      the reservation exists with other content
  ReservationClosed      the reservation has ended, at least in part
  AlreadyReversed        the event was reversed (`reversal.py`)
  NotReversible          the event cannot be reversed (`reversal.py`)
  ExceedsReservation     the reservation holds fewer units
  InsufficientStock      the stock has fewer units that are available, or in a state
  LevelTooHigh           a level would exceed its maximum
  NotInCatalogue         the product or store is unknown (`catalogue.py`)
  Retired                the product or store is retired (`catalogue.py`)
  CommandTooLarge        the command, or the reservation it changes, would have too many parts
  VersionConflict        the stock or subject has another version, or other units, than expected

A refusal is raised before anything is recorded. Its message is made from its fields. Programs
use `facts`, whose names are a contract.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.values import (
    MAX_LEVEL,
    MAX_TOTAL,
    EventAt,
    ProductId,
    ReservationId,
    StockId,
    UnitState,
)

if TYPE_CHECKING:  # the commands of these nouns raise refusals
    from inventory_grpc.domain.book import StreamState
    from inventory_grpc.domain.event import SubjectKey
    from inventory_grpc.domain.reservation import ReservationState


class Refusal(Exception):
    """A command or query was refused, for the reason that its class names."""

    command_index: int | None = None
    """The index of the refused command in an atomic batch."""

    def facts(self) -> Mapping[str, str]:
        """Return the scalar values for programs, by name."""
        return {}


class Violation(NamedTuple):
    """The problem with one field of a request."""

    field: str
    problem: str


@dataclass(eq=False)
class InvalidValue(Refusal):
    """Fields of the request are missing, malformed or out of bounds."""

    violations: Sequence[Violation]

    def __str__(self) -> str:
        shown = "; ".join(f"{field}: {problem}" for field, problem in self.violations[:3])
        more = len(self.violations) - 3
        return f"{shown}; and {more} more" if more > 0 else shown

    def facts(self) -> Mapping[str, str]:
        return {"violations": str(len(self.violations))}


@dataclass(eq=False)
class StockNotFound(Refusal):
    """The stock has no history, or had none at the requested time."""

    stock_id: StockId
    is_past: bool = False
    """Whether the query named a time or a position."""

    def __str__(self) -> str:
        when = " at the requested time" if self.is_past else ""
        return f"{self.stock_id} has no history{when}"

    def facts(self) -> Mapping[str, str]:
        return {"product_id": self.stock_id.product_id, "store_id": self.stock_id.store_id}


@dataclass(eq=False)
class SubjectNotFound(Refusal):
    """Nothing was recorded of this product or store, or the caller may access no such event."""

    key: "SubjectKey | EventAt"

    def __str__(self) -> str:
        return f"{self.key if isinstance(self.key, EventAt) else self.key.subject} does not exist"

    def facts(self) -> Mapping[str, str]:
        if isinstance(self.key, EventAt):
            return {"position": str(self.key.position)}
        return {"subject": self.key.subject}


@dataclass(eq=False)
class ReservationNotFound(Refusal):
    """No reservation has this id."""

    reservation_id: ReservationId

    def __str__(self) -> str:
        return f"reservation {self.reservation_id} does not exist"

    def facts(self) -> Mapping[str, str]:
        return {"reservation_id": self.reservation_id}


@dataclass(eq=False)
class ReservationExists(Refusal):
    """A reservation with this id exists, with another customer, order, channel or cart."""

    reservation_id: ReservationId

    def __str__(self) -> str:
        name = self.reservation_id
        return f"reservation {name} exists with another customer, order, channel or cart"

    def facts(self) -> Mapping[str, str]:
        return {"reservation_id": self.reservation_id}


@dataclass(eq=False)
class ReservationClosed(Refusal):
    """The reservation has ended, or holds only a part of its original units."""

    reservation_id: ReservationId
    state: "ReservationState"

    def __str__(self) -> str:
        if self.state.name == "ACTIVE":
            return f"reservation {self.reservation_id} is partly committed or released"
        return f"reservation {self.reservation_id} is {self.state.value}"

    def facts(self) -> Mapping[str, str]:
        return {"reservation_id": self.reservation_id, "state": self.state.name}


class ShortLine(NamedTuple):
    """One line of a cart that asks for too many units.

    `available` is the largest quantity that would succeed: for a commit, the sellable units
    or the units that the reservation holds.
    """

    stock_id: StockId
    asked: int
    available: int

    @property
    def shortfall(self) -> int:
        return self.asked - self.available


@dataclass(eq=False)
class ShortLines(Refusal):
    """Some lines ask for too many units; the refusal has all of them."""

    lines: Sequence[ShortLine]

    def facts(self) -> Mapping[str, str]:
        return {"short_lines": str(len(self.lines))}

    def _message(self, level: str) -> str:
        first, *others = self.lines
        message = f"{first.stock_id}: {first.asked} requested, {first.available} {level}"
        if not others:
            return message
        return f"{message}; and {len(others)} more line{'s' if len(others) > 1 else ''}"


@dataclass(eq=False)
class InsufficientStock(ShortLines):
    """A stock has fewer units than requested."""

    level: str = "available"
    """The level that is too low; if it is a state, its name."""

    def __str__(self) -> str:
        return self._message(self.level)


@dataclass(eq=False)
class ExceedsReservation(ShortLines):
    """The reservation holds fewer units than requested."""

    reservation_id: ReservationId

    def facts(self) -> Mapping[str, str]:
        return {"reservation_id": self.reservation_id, **super().facts()}

    def __str__(self) -> str:
        return self._message("held")


@dataclass(eq=False)
class LevelTooHigh(Refusal):
    """The units of a stock, or of a product in all stores together, would exceed the maximum."""

    what: StockId | ProductId
    level: int
    which: Literal["on hand", "reserved"] = "on hand"

    @property
    def limit(self) -> int:
        return MAX_LEVEL if isinstance(self.what, StockId) else MAX_TOTAL

    def __str__(self) -> str:
        return f"{self.what} would have {self.level:,} {self.which}; the maximum is {self.limit:,}"

    def facts(self) -> Mapping[str, str]:
        names = self.what._asdict() if isinstance(self.what, StockId) else {"product_id": self.what}
        return {**names, "limit": str(self.limit)}


@dataclass(eq=False)
class CommandTooLarge(Refusal):
    """The command would record too many events, or bytes of them.

    Or its reservation would have too many lines, and later commands on it too many events.
    """

    size: int
    limit: int
    unit: Literal["events", "bytes", "lines"] = "events"

    def __str__(self) -> str:
        if self.unit == "lines":
            return (
                f"the reservation would have {self.size:,} lines, with those that hold nothing "
                f"any more, and may have {self.limit:,}; reserve the rest separately"
            )
        has = f"{self.size:,} {self.unit}" + (" of events" if self.unit == "bytes" else "")
        return f"the command has {has}, or more, and may have {self.limit:,}; send it in parts"

    def facts(self) -> Mapping[str, str]:
        return {self.unit: str(self.size), "limit": str(self.limit)}


@dataclass(eq=False)
class VersionConflict(Refusal):
    """The stock or subject has changed since the caller read it; `current` is its state."""

    expected: int
    current: "StreamState"
    compared: Literal["version", "on_hand"] = "version"
    """The value of the state that differs from *expected*."""
    state: UnitState | None = None
    """The state whose units were compared; None if those on hand in all states were."""

    @property
    def found(self) -> int:
        levels = self.current.levels
        if self.state is not None and isinstance(levels, Levels):
            return levels.units_in(self.state)
        found: int = getattr(self.current, self.compared)
        return found

    def __str__(self) -> str:
        key = self.current.key
        name = key if isinstance(key, StockId) else key.subject
        if self.compared == "version":
            return f"{name} is at version {self.found}, not {self.expected}"
        return f"{name} has {self.found} {self.state or 'on hand'}, not {self.expected}"

    def facts(self) -> Mapping[str, str]:
        key = self.current.key
        return {
            **(key._asdict() if isinstance(key, StockId) else {"subject": key.subject}),
            f"expected_{self.compared}": str(self.expected),
            self.compared: str(self.found),
        }
