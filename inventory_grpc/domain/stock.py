"""A stock, which is one product in one store: its facts and its state."""

from collections.abc import Collection
from typing import Final, NamedTuple, Self

from inventory_grpc.domain.book import ALL_UNITS, Audience, Book, Noun
from inventory_grpc.domain.event import Event, Fact, SubjectKey
from inventory_grpc.domain.levels import (
    FenceUnits,
    Levels,
    Moves,
    OtherMoves,
    StateUnits,
    Terms,
)
from inventory_grpc.domain.refusals import (
    InsufficientStock,
    InvalidValue,
    LevelTooHigh,
    ShortLine,
    Violation,
)
from inventory_grpc.domain.values import (
    MAX_FENCES,
    MAX_LEVEL,
    SELLABLE,
    Channel,
    Instant,
    StockId,
    UnitState,
    immutable,
    new,
)


def _state_moves(state: UnitState | None, units: int) -> OtherMoves | None:
    """Return the change of *units* in *state*; None is sellable, which is no other move."""
    if state is None or state == SELLABLE:
        return None
    return OtherMoves(states=(StateUnits(state, units),))


@immutable
class StockAdded(Fact):
    """In a fact, no state means sellable."""

    quantity: int
    state: UnitState | None = None

    @property
    def moves(self) -> Moves:
        units = self.quantity
        return units, 0, None if self.state is None else _state_moves(self.state, units)

    @property
    def states(self) -> Collection[UnitState]:
        return (self.state or SELLABLE,)

    def reversal(self, position: int) -> "StockAdjusted":
        return StockAdjusted(-self.quantity, None, state=self.state, reverses=position)


@immutable
class StockRemoved(Fact):
    """`fenced` of the units came out of the fence of the channel."""

    quantity: int
    state: UnitState | None = None
    channel: Channel | None = None
    fenced: int = 0

    @property
    def moves(self) -> Moves:
        if self.channel is not None and self.fenced:
            return -self.quantity, 0, OtherMoves(fences=(FenceUnits(self.channel, -self.fenced),))
        return -self.quantity, 0, _state_moves(self.state, -self.quantity)

    @property
    def states(self) -> Collection[UnitState]:
        return (self.state or SELLABLE,)

    def reversal(self, position: int) -> "StockAdjusted":
        return StockAdjusted(self.quantity, None, state=self.state, reverses=position)


@immutable
class StockAdjusted(Fact):
    """`counted` is the number of units that the caller counted, if the caller sent one.

    They are the units in `state`, or without a state all units on hand. So a count of the
    sellable units alone names their state.
    An `unconditional` count may have overwritten changes that the caller had not seen.
    """

    delta: int
    counted: int | None
    unconditional: bool = False
    state: UnitState | None = None
    reverses: int = 0

    @property
    def moves(self) -> Moves:
        return self.delta, 0, _state_moves(self.state, self.delta)

    @property
    def states(self) -> Collection[UnitState]:
        return (self.state or SELLABLE,)

    @property
    def is_count(self) -> bool:
        return self.counted is not None

    def is_count_of(self, states: Collection[UnitState]) -> bool:
        return self.is_count and (self.state is None or self.state in states)

    def reversal(self, position: int) -> "StockAdjusted":
        state = None if self.state == SELLABLE else self.state
        return StockAdjusted(-self.delta, None, state=state, reverses=position)


@immutable
class StockMoved(Fact):
    """Units got another state; the units on hand stayed."""

    quantity: int
    from_state: UnitState | None
    to_state: UnitState | None
    reverses: int = 0

    @property
    def moves(self) -> Moves:
        moves = [(self.from_state, -self.quantity), (self.to_state, self.quantity)]
        states = [StateUnits(state, units) for state, units in moves if state != SELLABLE and state]
        return 0, 0, OtherMoves(states=states)

    @property
    def states(self) -> Collection[UnitState]:
        return self.from_state or SELLABLE, self.to_state or SELLABLE

    def reversal(self, position: int) -> "StockMoved":
        return StockMoved(self.quantity, self.to_state, self.from_state, position)


@immutable
class StockFenced(Fact):
    """Units were set aside for a channel, or taken back, if *delta* is negative."""

    channel: Channel
    delta: int
    reverses: int = 0

    @property
    def moves(self) -> Moves:
        return 0, 0, OtherMoves(fences=(FenceUnits(self.channel, self.delta),))

    def reversal(self, position: int) -> "StockFenced":
        return StockFenced(self.channel, -self.delta, position)


@immutable
class StockTermsChanged(Fact):
    """All of the terms, as from now on.

    `subject` is the policy, product or store whose change the stock follows; None if the terms
    are recorded because an event of the stock is next.
    """

    safety_stock: int
    backorder_limit: int
    low_stock_at: int | None
    alert_hysteresis: int
    product_retired: bool
    store_retired: bool
    subject: SubjectKey | None = None

    @classmethod
    def to(cls, terms: Terms, subject: SubjectKey | None = None) -> Self:
        return cls(*terms, subject)

    @property
    def terms(self) -> Terms:
        return Terms(
            self.safety_stock,
            self.backorder_limit,
            self.low_stock_at,
            self.alert_hysteresis,
            self.product_retired,
            self.store_retired,
        )

    @property
    def moves(self) -> Moves:
        return 0, 0, OtherMoves(terms=self.terms)


FACTS: Final = (
    StockAdded,
    StockRemoved,
    StockAdjusted,
    StockMoved,
    StockFenced,
    StockTermsChanged,
)


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
        stock_id, levels, version, _ = self
        on_hand, reserved, particulars = levels
        moved, promised, others = moves = fact.moves
        if particulars is None and others is None:  # here, since it is so for nearly all
            levels = new(Levels, (on_hand + moved, reserved + promised, None))
        else:
            levels = levels.moved(moves)
        return new(type(self), (stock_id, levels, version + 1, time))

    @classmethod
    def at(cls, event: Event) -> Self:
        """Return the stock after *event*, which has the levels; they are as it shows them."""
        return cls(event.key, event.after, event.version, event.record_time)


NOUN: Final = Noun(1, "stock", StockId, FACTS, stream=Inventory, audience=Audience.ITS_STORE)


def check_possible(book: Book, inventory: Inventory, fact: Fact) -> None:
    """Refuse *fact* if it left fewer than no units in a state, or too many on hand.

    If it lowers the sellable units, the fills that are due come before it.
    """
    levels, after = inventory.levels, inventory.levels.after(fact)
    for state in fact.states:
        if after.units_in(state) < 0:
            there = levels.units_in(state)
            short = ShortLine(inventory.stock_id, there - after.units_in(state), there)
            raise InsufficientStock([short], state)
    check_level(inventory, after.on_hand - levels.on_hand)
    if after.sellable < levels.sellable:
        book.fill_due([inventory.stock_id])


def check_channels(inventory: Inventory, fact: StockFenced, field: str) -> None:
    """Refuse a fence of one channel too many; the *field* of the request names it."""
    levels = inventory.levels
    is_new = fact.delta > 0 and not levels.fence(fact.channel)
    if is_new and len(levels.fences) >= MAX_FENCES:
        problem = f"would have a fence beside {len(levels.fences)} other channels of the stock"
        raise InvalidValue([Violation(field, f"{problem}; at most {MAX_FENCES} can have one")])


def check_fence(book: Book, inventory: Inventory, fact: StockFenced) -> None:
    """Refuse to set aside more than is available, or to take back more than is left.

    Overdue holds are let go before: what they took out of the fence returns to it.
    """
    levels, key = inventory.levels, inventory.stock_id
    if fact.delta > (available := levels.available):
        book.let_go_overdue({key: fact.delta})
        raise InsufficientStock([ShortLine(key, fact.delta, available)])
    if -fact.delta > (left := levels.fence(fact.channel)):
        book.let_go_overdue({key: ALL_UNITS})
        raise InsufficientStock([ShortLine(key, -fact.delta, left)], "left in the fence")


def check_level(inventory: Inventory, delta: int) -> None:
    if inventory.levels.on_hand + delta > MAX_LEVEL:
        raise LevelTooHigh(inventory.stock_id, inventory.on_hand + delta)
