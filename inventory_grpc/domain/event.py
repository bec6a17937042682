"""Facts, and the events that place them in the log.

The names of fact classes and of their fields are stored and never change: facts and fields
are only ever added, and a new meaning needs a new fact.
"""

from collections.abc import Collection, Sequence
from typing import Any, ClassVar, NamedTuple, Self, TypeAlias

from inventory_grpc.domain.values import SELLABLE, Instant, Name, UnitState, immutable, new

Key: TypeAlias = Any
"""The hashable id of a stream or subject; `registry.py` maps its class to the kind.

Keys of two kinds are never equal. A key class is constructed from the name, which `str` returns;
only the key of a stock has two parts.
"""


@immutable
class SubjectKey:
    """The key of a stream that is not a stock: an id, and `<kind>/<id>` in events and filters."""

    kind: ClassVar[str]
    id: Name

    def __str__(self) -> str:
        return self.id

    @property
    def subject(self) -> str:
        return f"{self.kind}/{self.id}"


Moves: TypeAlias = tuple[int, int]
"""The changes of the two levels of a stock: on hand and reserved."""


class StateUnits(NamedTuple):
    """Units of a stock in one state, or the change of their number."""

    state: UnitState
    units: int


@immutable
class Fact:
    """A recorded change; it is never refused."""

    @property
    def subject(self) -> Key | None:
        """The subject that the fact names beside its stream."""
        return None

    @property
    def moves(self) -> Moves:
        """The changes of the units on hand and of the reserved units."""
        return 0, 0

    @property
    def state_moves(self) -> Sequence[StateUnits]:
        """The changes of the units by state; only of states other than sellable."""
        return ()

    @property
    def states(self) -> Collection[UnitState]:
        """The states whose units it changes."""
        return ()

    @property
    def is_count(self) -> bool:
        """Whether it corrects earlier events of its stream, by a number that was counted."""
        return False

    def is_count_of(self, states: Collection[UnitState]) -> bool:  # noqa: ARG002  for counts
        """Return whether it corrects all earlier changes of the units in one of *states*."""
        return False

    @property
    def reverses(self) -> int:
        """The position of the event that it undoes; 0 if it undoes none."""
        return 0

    def reversal(self, position: int) -> "Fact | None":  # noqa: ARG002  for those that have one
        """Return the fact that undoes this one of the event at *position*, if one can."""
        return None


def state_move(state: UnitState | None, units: int) -> Sequence[StateUnits]:
    """Return the change of *units* in *state* for `Fact.state_moves`; None is sellable."""
    return () if state is None or state == SELLABLE else (StateUnits(state, units),)


Change: TypeAlias = tuple[Key, Fact]
"""The key of a stream, and a fact that a decision adds to it."""


class Cause(NamedTuple):
    """The actor, request and reason of an event; a field that the caller left out is empty.

    In an atomic batch, `part` is the number of the command, from 1; otherwise it is 0.
    """

    request_id: str = ""
    actor: str = ""
    reason: str = ""
    reference: str = ""
    occur_time: Instant | None = None
    part: int = 0


class Levels(NamedTuple):
    """The units of a stock that are on hand, those that are reserved, and those not sellable."""

    on_hand: int
    reserved: int
    states: tuple[StateUnits, ...] = ()
    """The units on hand in states other than sellable, by name, without states that have none.

    Stocks with only sellable units share one empty tuple, so they take no more memory.
    """

    @property
    def sellable(self) -> int:
        """The units on hand that are in no other state."""
        if not self.states:
            return self.on_hand
        return self.on_hand - sum(units for _, units in self.states)

    @property
    def available(self) -> int:
        """The units that can be reserved."""
        spare = (self.sellable if self.states else self.on_hand) - self.reserved
        return spare if spare > 0 else 0  # noqa: FURB136  takes half as long as `max`

    @property
    def shortfall(self) -> int:
        """The reserved units that are not sellable."""
        lacking = self.reserved - (self.sellable if self.states else self.on_hand)
        return lacking if lacking > 0 else 0  # noqa: FURB136  as above

    def units_in(self, state: UnitState | None) -> int:
        """Return the units in *state*; None is sellable."""
        if state is None or state == SELLABLE:
            return self.sellable
        return dict(self.states).get(state, 0)

    def after(self, fact: Fact) -> Self:
        """Return the levels after *fact*."""
        on_hand, reserved, states = self
        moved, promised = fact.moves
        if moves := fact.state_moves:
            states = _moved(states, moves)
        return new(type(self), (on_hand + moved, reserved + promised, states))


def _moved(states: Sequence[StateUnits], moves: Sequence[StateUnits]) -> tuple[StateUnits, ...]:
    units = dict(states)
    for state, change in moves:
        units[state] = units.get(state, 0) + change
    return tuple(StateUnits(state, number) for state, number in sorted(units.items()) if number)


class Event(NamedTuple):
    """A fact with its position in the log, its time, its cause and the levels after it."""

    position: int
    command_position: int
    key: Key
    version: int
    record_time: Instant
    cause: Cause
    fact: Fact
    after: Any
    """The `Levels` right after the event; None in a stream without levels."""


class EventOutOfOrder(Exception):
    """An event was missed or applied twice, which only a bug can cause."""
