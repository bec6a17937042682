"""The refusals of the domain, and the facts that each tells the caller.

Refusal
  InvalidValue           a value is not of its type, or out of its bounds
  StockNotFound          nothing ever happened to this stock
  ReservationNotFound    nobody made this reservation
  ReservationExists      it was made, for something else
  ReservationClosed      it was made, and is over
  ExceedsReservation     it does not hold that much
  InsufficientStock      the stock does not have that much
  LevelTooHigh           there would be more than can be counted
  VersionConflict        the stock is not as the caller saw it

A refusal is raised before anything is recorded: what was refused has left no trace.
Its message is made from its fields, and `facts` are those of them that travel beside
the message, for programs: their names are a contract.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from inventory_grpc.domain.values import MAX_LEVEL, MAX_TOTAL, ProductId, ReservationId, StockId

if TYPE_CHECKING:  # the commands of these nouns raise refusals
    from inventory_grpc.domain.reservation import ReservationState
    from inventory_grpc.domain.stock import Inventory


class Refusal(Exception):
    """An answer that is no, and why."""

    def facts(self) -> Mapping[str, str]:
        """Return what a program may act on, by name: scalars only."""
        return {}

    def shortage(self) -> Mapping[StockId, int]:
        """Return the units that would have to be available, by stock.

        Expiring overdue reservations on these stocks may turn the refusal into a success.
        """
        return {}


class Violation(NamedTuple):
    """What is wrong with one field of a request."""

    field: str
    problem: str


@dataclass(eq=False)
class InvalidValue(Refusal):
    """The request cannot be understood, or asks for what nobody may have."""

    violations: Sequence[Violation]

    def __str__(self) -> str:
        shown = "; ".join(f"{field}: {problem}" for field, problem in self.violations[:3])
        more = len(self.violations) - 3
        return f"{shown}; and {more} more" if more > 0 else shown

    def facts(self) -> Mapping[str, str]:
        return {"violations": str(len(self.violations))}


@dataclass(eq=False)
class StockNotFound(Refusal):
    """The stock has no history, or had none at the time asked for."""

    stock_id: StockId
    then: bool = False
    """Whether a moment was asked for."""

    def __str__(self) -> str:
        if self.then:
            return f"nothing had been recorded of {self.stock_id} at the moment asked for"
        return f"nothing was ever recorded of {self.stock_id}"

    def facts(self) -> Mapping[str, str]:
        return {"product_id": self.stock_id.product_id, "store_id": self.stock_id.store_id}


@dataclass(eq=False)
class ReservationNotFound(Refusal):
    """No reservation was made under this id."""

    reservation_id: ReservationId

    def __str__(self) -> str:
        return f"there is no reservation {self.reservation_id}"

    def facts(self) -> Mapping[str, str]:
        return {"reservation_id": self.reservation_id}


@dataclass(eq=False)
class ReservationExists(Refusal):
    """The id belongs to a reservation of something else, or for somebody else."""

    reservation_id: ReservationId

    def __str__(self) -> str:
        return f"reservation {self.reservation_id} is for another customer, order or other lines"

    def facts(self) -> Mapping[str, str]:
        return {"reservation_id": self.reservation_id}


@dataclass(eq=False)
class ReservationClosed(Refusal):
    """The reservation holds nothing any more, or not all that it was made for."""

    reservation_id: ReservationId
    state: "ReservationState"

    def __str__(self) -> str:
        if self.state.name == "ACTIVE":
            return f"reservation {self.reservation_id} has been used in part"
        return f"reservation {self.reservation_id} is {self.state.value}"

    def facts(self) -> Mapping[str, str]:
        return {"reservation_id": self.reservation_id, "state": self.state.name}


class ShortLine(NamedTuple):
    """One line of a cart that cannot be met.

    `available` is what could be had instead: for a commit, what is on hand; for more
    than a reservation holds, what it holds.
    """

    stock_id: StockId
    asked: int
    available: int

    @property
    def shortfall(self) -> int:
        return self.asked - self.available


@dataclass(eq=False)
class ShortLines(Refusal):
    """Some lines ask for more than there is; all of them are named."""

    lines: Sequence[ShortLine]

    def facts(self) -> Mapping[str, str]:
        return {"short_lines": str(len(self.lines))}

    def _told(self, what: str) -> str:
        first, *others = self.lines
        told = f"{first.stock_id}: {first.asked} asked for, {first.available} {what}"
        if not others:
            return told
        return f"{told}; and {len(others)} more line{'s' if len(others) > 1 else ''}"


@dataclass(eq=False)
class InsufficientStock(ShortLines):
    """The stock does not have what was asked for."""

    counted: Literal["available", "on hand"] = "available"
    """The level that is too low: a commit or an adjustment needs units on hand."""

    def shortage(self) -> Mapping[StockId, int]:
        if self.counted == "on hand":
            return {}
        return {line.stock_id: line.asked for line in self.lines}

    def __str__(self) -> str:
        return self._told(self.counted)


@dataclass(eq=False)
class ExceedsReservation(ShortLines):
    """The reservation does not hold what was asked for."""

    reservation_id: ReservationId

    def facts(self) -> Mapping[str, str]:
        return {"reservation_id": self.reservation_id, **super().facts()}

    def __str__(self) -> str:
        return self._told("held")


@dataclass(eq=False)
class LevelTooHigh(Refusal):
    """A stock, or a product in all stores together, would have more than can be counted safely."""

    what: StockId | ProductId
    level: int

    @property
    def limit(self) -> int:
        return MAX_LEVEL if isinstance(self.what, StockId) else MAX_TOTAL

    def __str__(self) -> str:
        return f"{self.what} would have {self.level:,} on hand; the most is {self.limit:,}"

    def facts(self) -> Mapping[str, str]:
        names = self.what._asdict() if isinstance(self.what, StockId) else {"product_id": self.what}
        return {**names, "limit": str(self.limit)}


@dataclass(eq=False)
class VersionConflict(Refusal):
    """The stock has changed since the caller saw it; here it is as it is now."""

    expected: int
    stock: "Inventory"

    def __str__(self) -> str:
        return f"{self.stock.stock_id} is at version {self.stock.version}, not {self.expected}"

    def facts(self) -> Mapping[str, str]:
        return {
            "product_id": self.stock.stock_id.product_id,
            "store_id": self.stock.stock_id.store_id,
            "expected_version": str(self.expected),
            "version": str(self.stock.version),
        }
