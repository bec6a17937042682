"""The levels of a stock, and what follows from them: the arithmetic of availability.

Goods go to promises from stock first, then to ring-fences, then to the safety stock; what is left
is available, and what is backordered waits for that. Goods that are lost are missed in the
opposite order: by the safety stock, by the fences, and then by the newest promises.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol, Self, TypeAlias, TypeVar

from inventory_grpc.domain.values import SELLABLE, Channel, Quantity, UnitState, new

U = TypeVar("U", "StateUnits", "FenceUnits")


class StateUnits(NamedTuple):
    """Units of a stock in one state, or the change of their number."""

    state: UnitState
    units: int


class FenceUnits(NamedTuple):
    """Units of a stock that are set aside for one channel, or the change of their number."""

    channel: Channel
    units: int


class Terms(NamedTuple):
    """The policy of a stock as it was recorded, and whether its product or store is retired."""

    safety_stock: int = 0
    backorder_limit: int = 0
    low_stock_at: int | None = None
    alert_hysteresis: int = 0
    product_retired: bool = False
    store_retired: bool = False

    @property
    def retired(self) -> bool:
        return self.product_retired or self.store_retired


DEFAULT_TERMS: Final = Terms()


class OtherMoves(NamedTuple):
    """The changes of a fact beside the units on hand and the reserved units."""

    states: Sequence[StateUnits] = ()
    """The changes of the units by state; only of states other than sellable."""
    fences: Sequence[FenceUnits] = ()
    backordered: int = 0
    terms: Terms | None = None
    """The terms from now on; None if they stay."""


Moves: TypeAlias = tuple[int, int, OtherMoves | None]
"""The changes of the units on hand and of the reserved units, and others, which are rare."""


class Particulars(NamedTuple):
    """The levels that few stocks have: units in other states, fences, backorders, and terms."""

    states: tuple[StateUnits, ...] = ()
    """The units on hand in states other than sellable, by name, without states that have none."""
    fences: tuple[FenceUnits, ...] = ()
    """The units left in the fences, by the name of the channel, without empty fences."""
    waiting: int = 0
    """The units that are recorded as backordered, also if goods have come in for them."""
    terms: Terms = DEFAULT_TERMS
    is_low: bool = False
    """Whether the stock is low, as of its last alert."""
    is_still_out: bool = False
    """Whether something is available, but not enough to be back in stock."""


_NONE: Final = Particulars()
_NO_OTHERS: Final = OtherMoves()


class ShownLevels(NamedTuple):
    """The levels as an event and an answer show them, which is not all that they follow from."""

    on_hand: int
    reserved: int
    available: int
    shortfall: int
    states: tuple[StateUnits, ...] = ()
    backordered: int = 0
    backorderable: int = 0
    ring_fenced: int = 0
    safety_stock: int = 0
    low_stock: bool = False
    retired: bool = False
    fences: tuple[FenceUnits, ...] = ()

    @property
    def shown(self) -> Self:
        return self


class Moving(Protocol):
    """A fact, as far as it changes levels."""

    @property
    def moves(self) -> Moves: ...


class Levels(NamedTuple):
    """The levels of a stock, from which everything else about its availability follows.

    Stocks without particulars, which are nearly all, take no more memory or time for them.
    """

    on_hand: int
    reserved: int
    """Every promised unit, also the backordered ones."""
    particulars: Particulars | None = None

    @property
    def states(self) -> tuple[StateUnits, ...]:
        return () if self.particulars is None else self.particulars.states

    @property
    def fences(self) -> tuple[FenceUnits, ...]:
        return () if self.particulars is None else self.particulars.fences

    @property
    def terms(self) -> Terms:
        return DEFAULT_TERMS if self.particulars is None else self.particulars.terms

    @property
    def safety_stock(self) -> int:
        return self.terms.safety_stock

    @property
    def retired(self) -> bool:
        return self.particulars is not None and self.particulars.terms.retired

    @property
    def low_stock(self) -> bool:
        return self.particulars is not None and self.particulars.is_low

    @property
    def is_out(self) -> bool:
        """Whether the stock is out, as of its last alert."""
        if self.particulars is not None and self.particulars.is_still_out:
            return True
        return not self.available

    @property
    def sellable(self) -> int:
        """The units on hand that are in no other state."""
        if self.particulars is None:
            return self.on_hand
        return self.on_hand - sum(units for _, units in self.particulars.states)

    @property
    def ring_fenced(self) -> int:
        return sum(units for _, units in self.fences)

    @property
    def _promisable(self) -> int:
        """The sellable units that are neither ring-fenced nor safety stock."""
        return self.sellable - self.ring_fenced - self.safety_stock

    @property
    def available(self) -> int:
        """The units that can be reserved from stock by anybody."""
        if self.particulars is None:
            spare = self.on_hand - self.reserved
        elif self.retired:
            return 0
        else:
            spare = self._promisable - self.reserved
        return spare if spare > 0 else 0  # noqa: FURB136  takes half as long as `max`

    @property
    def backordered(self) -> int:
        """The reserved units that wait for goods."""
        if self.particulars is None or not self.particulars.waiting:
            return 0
        return min(self.particulars.waiting, max(0, self.reserved - self._promisable))

    @property
    def fills_due(self) -> int:
        """The units that are recorded as backordered, and for which goods have come in."""
        if self.particulars is None or not self.particulars.waiting:
            return 0
        return self.particulars.waiting - self.backordered

    @property
    def backorderable(self) -> int:
        """The units that can be reserved beyond what is available."""
        terms = self.terms
        if not terms.backorder_limit or terms.retired:
            return 0
        return max(0, min(Quantity.MAX, terms.backorder_limit - self.backordered))

    @property
    def promised(self) -> int:
        """The reserved units that are promised from stock."""
        return self.reserved - self.backordered

    @property
    def shortfall(self) -> int:
        """The units that are promised from stock and not sellable."""
        if self.particulars is None:
            lacking = self.reserved - self.on_hand
        else:
            lacking = self.promised - self.sellable
        return lacking if lacking > 0 else 0  # noqa: FURB136  as above

    def units_in(self, state: UnitState | None) -> int:
        """Return the units in *state*; None is sellable."""
        if state is None or state == SELLABLE:
            return self.sellable
        return dict(self.states).get(state, 0)

    def fence(self, channel: Channel | None) -> int:
        """Return the units left in the fence of *channel*, even if goods for them are lost."""
        return 0 if channel is None else dict(self.fences).get(channel, 0)

    def free(self, channel: Channel | None = None) -> int:
        """Return the sellable units that are neither promised nor set aside for another channel."""
        others = self.ring_fenced - self.fence(channel)
        return max(0, self.sellable - self.promised - others)

    def own(self, channel: Channel | None = None) -> int:
        """Return the units that *channel* can reserve from stock."""
        if self.particulars is None:
            spare = self.on_hand - self.reserved
            return spare if spare > 0 else 0  # noqa: FURB136  as above
        if channel is None or self.retired:
            return self.available
        spare = max(0, self._promisable - self.reserved)
        return min(spare + self.fence(channel), self.free(channel))

    @property
    def shown(self) -> ShownLevels:
        return ShownLevels(
            self.on_hand,
            self.reserved,
            self.available,
            self.shortfall,
            self.states,
            self.backordered,
            self.backorderable,
            self.ring_fenced,
            self.safety_stock,
            self.low_stock,
            self.retired,
            self.fences,
        )

    def after(self, fact: Moving) -> Self:
        """Return the levels after *fact*."""
        return self.moved(fact.moves)

    def moved(self, moves: Moves) -> Self:
        moved, promised, others = moves
        if self.particulars is None and others is None:
            return new(type(self), (self.on_hand + moved, self.reserved + promised, None))
        others = others or _NO_OTHERS
        before = self.particulars or _NONE
        particulars = Particulars(
            _moved(StateUnits, before.states, others.states),
            _moved(FenceUnits, before.fences, others.fences),
            before.waiting + others.backordered,
            before.terms if others.terms is None else others.terms,
        )
        after = type(self)(self.on_hand + moved, self.reserved + promised, particulars)
        available, (*_, low_at, hysteresis, _, _) = after.available, particulars.terms
        is_low = before.is_low
        if low_at is None:
            is_low = False
        elif available <= low_at:
            is_low = True
        elif available > low_at + hysteresis:
            is_low = False
        if particulars == _NONE:
            return after._replace(particulars=None)
        is_still_out = 0 < available <= hysteresis and self.is_out
        flagged = particulars._replace(is_low=is_low, is_still_out=is_still_out)
        return after._replace(particulars=flagged)


def _moved(kind: type[U], before: Sequence[U], moves: Sequence[U]) -> tuple[U, ...]:
    if not moves:
        return tuple(before)
    units: dict[Any, int] = dict(before)
    for name, change in moves:
        units[name] = units.get(name, 0) + change
    return tuple(kind(name, number) for name, number in sorted(units.items()) if number)
