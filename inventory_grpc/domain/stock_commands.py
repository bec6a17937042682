"""The commands on one stock: add, remove, move, adjust and fence its units."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from inventory_grpc.domain.book import Book
from inventory_grpc.domain.catalogue import check_catalogue, check_not_retired
from inventory_grpc.domain.event import Change
from inventory_grpc.domain.refusals import (
    InsufficientStock,
    InvalidValue,
    ShortLine,
    VersionConflict,
    Violation,
)
from inventory_grpc.domain.stock import (
    Inventory,
    StockAdded,
    StockAdjusted,
    StockFenced,
    StockMoved,
    StockRemoved,
    check_channels,
    check_fence,
    check_level,
    check_possible,
)
from inventory_grpc.domain.values import (
    MAX_LEVEL,
    Channel,
    Quantity,
    StockId,
    UnitState,
    UnknownState,
    immutable,
)

KNOWN_QUANTITIES: Final = 1_000
"""Cached facts of plain additions, and of plain removals."""

_added: Final = lru_cache(maxsize=KNOWN_QUANTITIES)(StockAdded)
_removed: Final = lru_cache(maxsize=KNOWN_QUANTITIES)(StockRemoved)


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
        if version is not None and version != book.version_before(self.stock_id):
            raise VersionConflict(version, book.recorded_state(self.stock_id))
        return inventory

    def _check_catalogue(self, book: Book, inventory: Inventory) -> None:
        """Refuse to begin the history of an unknown stock; a wrong version is refused before."""
        if not inventory.version:
            check_catalogue(book, [self.stock_id])

    def _check_source(self, book: Book, field: str, state: UnitState | None) -> None:
        """Refuse an unknown state, unless units of the stock are in it."""
        if isinstance(state, UnknownState) and not book.get(self.stock_id).levels.units_in(state):
            raise _unknown(field, state)


@immutable
class AddStock(_StockCommand):
    """Add units on hand, such as a delivery. In a command, no state means sellable."""

    quantity: Quantity
    expected_version: int | None = None
    state: UnitState | None = None

    def on_plain(self, available: int, on_hand: int) -> tuple[StockAdded, int] | None:  # noqa: ARG002  for others
        """Return what `decide` decides on a stock without particulars; None if it must say.

        It is the fact, and by how many units it moves those on hand.
        """
        units = self.quantity
        is_plain = self.expected_version is None and self.state is None
        return (_added(units), units) if is_plain and on_hand + units <= MAX_LEVEL else None

    def decide(self, book: Book) -> Sequence[Change]:
        if self.state is not None and isinstance(self.state, UnknownState):
            raise _unknown("state", self.state)
        inventory = self._expected(book, self.expected_version)
        self._check_catalogue(book, inventory)
        if self.state is None and inventory.levels.particulars is not None:
            check_not_retired(self.stock_id, inventory.levels)
        check_level(inventory, self.quantity)
        return [(self.stock_id, StockAdded(self.quantity, self.state))]


@immutable
class RemoveStock(_StockCommand):
    """Take units off hand: free sellable ones, or those in another state.

    Units are free if they are neither promised nor set aside for another channel than *channel*,
    whose own ones are taken first.
    """

    quantity: Quantity
    expected_version: int | None = None
    state: UnitState | None = None
    channel: Channel | None = None

    def on_plain(self, available: int, on_hand: int) -> tuple[StockRemoved, int] | None:  # noqa: ARG002  as above
        """Return what `decide` decides if some units stay available; None if it must say."""
        units = self.quantity
        is_plain = self.expected_version is None and self.state is None and self.channel is None
        return (_removed(units), -units) if is_plain and units < available else None

    def decide(self, book: Book) -> Sequence[Change]:
        self._check_source(book, "state", self.state)
        inventory = self._expected(book, self.expected_version)
        self._check_catalogue(book, inventory)
        levels, units, channel = inventory.levels, self.quantity, self.channel
        if self.state is not None:
            if units > (there := levels.units_in(self.state)):
                raise InsufficientStock([ShortLine(self.stock_id, units, there)], self.state)
            return [(self.stock_id, StockRemoved(units, self.state))]
        if units > (free := levels.free(channel)):
            book.let_go_overdue({self.stock_id: units})
            raise InsufficientStock([ShortLine(self.stock_id, units, free)])
        book.fill_due(self.touches)
        fenced = min(units, levels.fence(channel))
        return [(self.stock_id, StockRemoved(units, None, channel, fenced))]


@immutable
class MoveStock(_StockCommand):
    """Give units another state, also reserved ones, which causes a shortfall."""

    quantity: Quantity
    from_state: UnitState | None
    to_state: UnitState | None
    expected_version: int | None = None

    def decide(self, book: Book) -> Sequence[Change]:
        if isinstance(self.to_state, UnknownState):
            raise _unknown("to_state", self.to_state)
        self._check_source(book, "from_state", self.from_state)
        inventory = self._expected(book, self.expected_version)
        self._check_catalogue(book, inventory)
        fact = StockMoved(self.quantity, self.from_state, self.to_state)
        check_possible(book, inventory, fact)
        return [(self.stock_id, fact)]


@immutable
class ChangeBy:
    """Add *delta* to the units on hand; it may be negative, and is not zero."""

    delta: int


@immutable
class CountedAs:
    """Set the units of the state, or without a state all on hand, to the number counted.

    `expected` is the number of the same units before, if the caller names one.
    """

    units: int
    expected: int | None = None
    unconditional: bool = False


@immutable
class AdjustStock(_StockCommand):
    """Correct the units of a state, even below the reserved units, which causes a shortfall.

    A count that confirms the recorded number is recorded too, as proof of the count.
    """

    adjustment: ChangeBy | CountedAs
    expected_version: int | None = None
    state: UnitState | None = None

    def decide(self, book: Book) -> Sequence[Change]:
        self._check_source(book, "state", self.state)
        inventory = self._expected(book, self.expected_version)
        units = inventory.levels.units_in(self.state)
        match self.adjustment:
            case ChangeBy(delta):
                fact = StockAdjusted(delta, None, state=self.state)
            case CountedAs(counted, expected, unconditional):
                recorded = inventory.on_hand if self.state is None else units
                if expected is not None and expected != recorded:
                    current = book.recorded_state(self.stock_id)
                    raise VersionConflict(expected, current, "on_hand", self.state)
                fact = StockAdjusted(counted - recorded, counted, unconditional, self.state)
        if fact.delta > 0 and isinstance(self.state, UnknownState):
            raise _unknown("state", self.state)
        self._check_catalogue(book, inventory)
        check_possible(book, inventory, fact)
        return [(self.stock_id, fact)]


@immutable
class FenceStock(_StockCommand):
    """Set available units aside for a channel, or take back what is left of them."""

    channel: Channel
    delta: int
    expected_version: int | None = None

    def decide(self, book: Book) -> Sequence[Change]:
        fact = StockFenced(self.channel, self.delta)
        check_channels(book.get(self.stock_id), fact, "channel")
        inventory = self._expected(book, self.expected_version)
        self._check_catalogue(book, inventory)
        if self.delta > 0:
            check_not_retired(self.stock_id, inventory.levels)
        check_fence(book, inventory, fact)
        return [(self.stock_id, fact)]


def _unknown(field: str, state: UnitState) -> InvalidValue:
    return InvalidValue([Violation(field, f"{state} is not a state of this server's settings")])
