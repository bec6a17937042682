"""A stock, which is one product in one store: its facts, its state and its own commands."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Self

from inventory_grpc.domain.book import Audience, Book, Noun
from inventory_grpc.domain.event import Change, Event, Fact, Levels, Moves
from inventory_grpc.domain.refusals import (
    InsufficientStock,
    LevelTooHigh,
    ShortLine,
    VersionConflict,
)
from inventory_grpc.domain.values import MAX_LEVEL, Instant, Quantity, StockId, immutable, new


@immutable
class StockAdded(Fact):
    quantity: int

    @property
    def moves(self) -> Moves:
        return self.quantity, 0

    def reversal(self, position: int) -> "StockAdjusted":
        return StockAdjusted(-self.quantity, None, reverses=position)


@immutable
class StockRemoved(Fact):
    quantity: int

    @property
    def moves(self) -> Moves:
        return -self.quantity, 0

    def reversal(self, position: int) -> "StockAdjusted":
        return StockAdjusted(self.quantity, None, reverses=position)


@immutable
class StockAdjusted(Fact):
    """`counted` is the number of units that the caller counted, if the caller sent one.

    An `unconditional` count may have overwritten changes that the caller had not seen.
    """

    delta: int
    counted: int | None
    unconditional: bool = False
    reverses: int = 0

    @property
    def moves(self) -> Moves:
        return self.delta, 0

    @property
    def is_count(self) -> bool:
        return self.counted is not None

    def reversal(self, position: int) -> "StockAdjusted":
        return StockAdjusted(-self.delta, None, reverses=position)


FACTS: Final = (StockAdded, StockRemoved, StockAdjusted)


class Inventory(NamedTuple):
    """The state of a stock after its last event; version 0 has no history."""

    stock_id: StockId
    levels: Levels = Levels(0, 0)
    version: int = 0
    update_time: Instant | None = None

    @property
    def key(self) -> StockId:
        return self.stock_id

    @property
    def on_hand(self) -> int:
        return self.levels.on_hand

    @property
    def available(self) -> int:
        return self.levels.available

    def then(self, fact: Fact, time: Instant) -> Self:
        stock_id, (on_hand, reserved), version, _ = self
        moved, promised = fact.moves
        levels = new(Levels, (on_hand + moved, reserved + promised))
        return new(type(self), (stock_id, levels, version + 1, time))

    @classmethod
    def at(cls, event: Event) -> Self:
        """Return the stock after *event*, which has the levels."""
        return cls(event.key, event.after, event.version, event.record_time)


NOUN: Final = Noun(1, "stock", StockId, FACTS, stream=Inventory, audience=Audience.ITS_STORE)


@immutable
class _StockCommand:
    stock_id: StockId

    @property
    def touches(self) -> Sequence[StockId]:
        return (self.stock_id,)

    @property
    def about(self) -> None:
        """Return None: every stock exists, most of them without a history."""

    def _expected(self, book: Book, version: int | None) -> Inventory:
        """Return the stock if it has *version*; None matches every version."""
        inventory: Inventory = book.get(self.stock_id)
        if version is not None and version != inventory.version:
            raise VersionConflict(version, inventory)
        return inventory


@immutable
class AddStock(_StockCommand):
    """Add units on hand, such as a delivery."""

    quantity: Quantity
    expected_version: int | None = None

    def decide(self, book: Book) -> Sequence[Change]:
        inventory = self._expected(book, self.expected_version)
        _check_level(inventory, self.quantity)
        return [(self.stock_id, StockAdded(self.quantity))]


@immutable
class RemoveStock(_StockCommand):
    """Take units off hand that are not reserved."""

    quantity: Quantity
    expected_version: int | None = None

    def decide(self, book: Book) -> Sequence[Change]:
        inventory = self._expected(book, self.expected_version)
        if self.quantity > inventory.available:
            short = ShortLine(self.stock_id, self.quantity, inventory.available)
            raise InsufficientStock([short])
        return [(self.stock_id, StockRemoved(self.quantity))]


@immutable
class ChangeBy:
    """Add *delta* to the units on hand; it may be negative, and is not zero."""

    delta: int


@immutable
class CountedAs:
    """Set the units on hand to the number that was counted.

    `expected` is the number that must be on hand before, if the caller names one.
    """

    on_hand: int
    expected: int | None = None
    unconditional: bool = False


@immutable
class AdjustStock(_StockCommand):
    """Correct the units on hand, even below the reserved units, which causes a shortfall.

    A count that confirms the recorded number is recorded too, as proof of the count.
    """

    adjustment: ChangeBy | CountedAs
    expected_version: int | None = None

    def decide(self, book: Book) -> Sequence[Change]:
        inventory = self._expected(book, self.expected_version)
        match self.adjustment:
            case ChangeBy(delta):
                fact = StockAdjusted(delta, counted=None)
            case CountedAs(on_hand, expected, unconditional):
                if expected is not None and expected != inventory.on_hand:
                    raise VersionConflict(expected, inventory, "on_hand")
                fact = StockAdjusted(on_hand - inventory.on_hand, on_hand, unconditional)
        check_difference(inventory, fact.delta)
        return [(self.stock_id, fact)]


def check_difference(inventory: Inventory, delta: int) -> None:
    """Refuse a correction of the units on hand below 0, or above the maximum."""
    if inventory.on_hand + delta < 0:
        short = ShortLine(inventory.stock_id, -delta, inventory.on_hand)
        raise InsufficientStock([short], counted="on hand")
    _check_level(inventory, delta)


def _check_level(inventory: Inventory, delta: int) -> None:
    if inventory.on_hand + delta > MAX_LEVEL:
        raise LevelTooHigh(inventory.stock_id, inventory.on_hand + delta)
