"""Units in states: only sellable ones can be reserved, and what is damaged is still there."""

from typing import Final

import pytest

from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Fact
from inventory_grpc.domain.levels import Levels, Particulars, StateUnits
from inventory_grpc.domain.refusals import (
    InsufficientStock,
    InvalidValue,
    LevelTooHigh,
    ShortLine,
    VersionConflict,
    Violation,
)
from inventory_grpc.domain.reservation_facts import ReservationCommitted, StockReserved
from inventory_grpc.domain.stock import (
    Inventory,
    StockAdded,
    StockAdjusted,
    StockMoved,
    StockRemoved,
)
from inventory_grpc.domain.values import MAX_LEVEL, SELLABLE, UnitState, UnknownState
from tests.support.stories import given
from tests.support.world import (
    ANA,
    DAMAGED,
    KETTLES,
    NOON,
    R1,
    RETURNED,
    add,
    change_by,
    commit,
    count,
    move,
    remove,
    reserve,
)

FIVE: Final = StockAdded(5)
TWO_DAMAGED: Final = StockMoved(2, None, DAMAGED)
FOUR_RESERVED: Final = StockReserved(R1, ANA, None, 4, None)
DISPLAY: Final = UnitState("on_display")
"""A state that the settings named when units came into it, and no longer name."""
FORMER: Final = UnknownState("on_display")


def levels_after(*facts: Fact) -> Levels:
    return given(*facts).book.inventory(KETTLES).levels


def units(**by_state: int) -> tuple[StateUnits, ...]:
    return tuple(StateUnits(UnitState(state), number) for state, number in by_state.items())


def short(asked: int, there: int, state: UnitState | None) -> InsufficientStock:
    return InsufficientStock([ShortLine(KETTLES, asked, there)], state or "available")


def unknown(field: str, state: str = "on_display") -> InvalidValue:
    problem = f"{state} is not a state of this server's settings"
    return InvalidValue([Violation(field, problem)])


def test_units_in_another_state_are_on_hand_and_not_available() -> None:
    levels = levels_after(FIVE, TWO_DAMAGED)
    assert levels == Levels(5, 0, Particulars(units(damaged=2)))
    assert (levels.sellable, levels.available, levels.shortfall) == (3, 3, 0)
    assert (levels.units_in(DAMAGED), levels.units_in(None), levels.units_in(RETURNED)) == (2, 3, 0)


def test_states_are_in_the_order_of_their_names_and_end_with_their_last_unit() -> None:
    mixed = FIVE, StockMoved(1, None, RETURNED), TWO_DAMAGED
    assert levels_after(*mixed).states == units(damaged=2, returned=1)
    assert levels_after(*mixed, StockMoved(2, DAMAGED, RETURNED)).states == units(returned=3)


def test_a_stock_of_which_all_is_sellable_again_is_as_small_as_any() -> None:
    levels = levels_after(FIVE, TWO_DAMAGED, StockMoved(2, DAMAGED, None))
    assert levels == Levels(5, 0)
    assert levels.states is Levels(0, 0).states


def test_goods_can_arrive_in_a_state() -> None:
    book = given(FIVE).when(add(3, state=RETURNED)).then(StockAdded(3, RETURNED))
    assert book.inventory(KETTLES).levels == Levels(8, 0, Particulars(units(returned=3)))


def test_a_level_counts_all_states() -> None:
    nearly = StockAdjusted(MAX_LEVEL - 5, counted=None, state=DAMAGED)
    given(nearly).when(add(6)).then_refused(LevelTooHigh(KETTLES, MAX_LEVEL + 1))
    given(nearly).when(add(6, state=DAMAGED)).then_refused(LevelTooHigh(KETTLES, MAX_LEVEL + 1))


def test_only_sellable_units_can_be_reserved_and_committed() -> None:
    given(FIVE, TWO_DAMAGED).when(reserve(4)).then_refused(short(4, 3, None))
    given(FIVE, FOUR_RESERVED, TWO_DAMAGED).when(commit()).then_refused(short(4, 3, SELLABLE))
    book = (
        given(FIVE, FOUR_RESERVED, TWO_DAMAGED)
        .when(commit({KETTLES: 3}))
        .then(ReservationCommitted(R1, None, 3))
    )
    assert book.inventory(KETTLES).levels == Levels(2, 1, Particulars(units(damaged=2)))


def test_what_breaks_is_moved_also_if_it_is_reserved_and_the_shortfall_says_so() -> None:
    book = given(FIVE, FOUR_RESERVED).when(move(3, into=DAMAGED)).then(StockMoved(3, None, DAMAGED))
    levels = book.inventory(KETTLES).levels
    assert levels == Levels(5, 4, Particulars(units(damaged=3)))
    assert (levels.available, levels.shortfall) == (0, 2)


def test_no_more_can_be_moved_than_is_in_the_state() -> None:
    given(FIVE, TWO_DAMAGED).when(move(4, into=RETURNED)).then_refused(short(4, 3, SELLABLE))
    given(FIVE, TWO_DAMAGED).when(move(3, out_of=DAMAGED)).then_refused(short(3, 2, DAMAGED))
    given(FIVE).when(move(1, out_of=DAMAGED, into=RETURNED)).then_refused(short(1, 0, DAMAGED))


def test_a_removal_takes_free_units_or_those_in_the_named_state() -> None:
    stock = FIVE, TWO_DAMAGED, StockReserved(R1, ANA, None, 2, None)
    given(*stock).when(remove(2)).then_refused(short(2, 1, None))
    given(*stock).when(remove(1)).then(StockRemoved(1))
    given(*stock).when(remove(3, state=DAMAGED)).then_refused(short(3, 2, DAMAGED))
    book = given(*stock).when(remove(2, state=DAMAGED)).then(StockRemoved(2, DAMAGED))
    assert book.inventory(KETTLES).levels == Levels(3, 2)


def test_a_correction_is_of_one_state() -> None:
    stock = FIVE, TWO_DAMAGED
    given(*stock).when(change_by(-4)).then_refused(short(4, 3, SELLABLE))
    given(*stock).when(change_by(-3)).then(StockAdjusted(-3, None))
    given(*stock).when(change_by(-3, state=DAMAGED)).then_refused(short(3, 2, DAMAGED))
    book = (
        given(*stock).when(change_by(2, state=DAMAGED)).then(StockAdjusted(2, None, state=DAMAGED))
    )
    assert book.inventory(KETTLES).levels == Levels(7, 0, Particulars(units(damaged=4)))


@pytest.mark.parametrize(
    ("command", "fact", "after"),
    [
        (
            count(1, state=DAMAGED),
            StockAdjusted(-1, 1, unconditional=True, state=DAMAGED),
            Levels(4, 0, Particulars(units(damaged=1))),
        ),
        (
            count(9),
            StockAdjusted(4, 9, unconditional=True),
            Levels(9, 0, Particulars(units(damaged=2))),
        ),
        (
            count(2),
            StockAdjusted(-3, 2, unconditional=True),
            Levels(2, 0, Particulars(units(damaged=2))),
        ),
        (
            count(9, state=SELLABLE),
            StockAdjusted(6, 9, unconditional=True, state=SELLABLE),
            Levels(11, 0, Particulars(units(damaged=2))),
        ),
    ],
    ids=["one state", "all on hand", "all but one state is gone", "sellable alone"],
)
def test_a_count_is_of_the_named_state_or_of_all_on_hand(
    command: Command, fact: Fact, after: Levels
) -> None:
    """The difference in a count of all is sellable; a count of the sellable units says so."""
    book = given(FIVE, TWO_DAMAGED).when(command).then(fact)
    assert book.inventory(KETTLES).levels == after


def test_a_count_of_less_than_is_in_other_states_is_refused() -> None:
    given(FIVE, TWO_DAMAGED).when(count(1)).then_refused(short(4, 3, SELLABLE))


def test_what_a_count_expects_is_of_the_units_that_it_counts() -> None:
    stock = FIVE, TWO_DAMAGED
    given(*stock).when(count(1, expected_on_hand=2, state=DAMAGED)).then(
        StockAdjusted(-1, 1, state=DAMAGED)
    )
    given(*stock).when(count(9, expected_on_hand=5)).then(StockAdjusted(4, 9))
    shown = Inventory(KETTLES, Levels(5, 0, Particulars(units(damaged=2))), 2, NOON)
    given(*stock).when(count(1, expected_on_hand=5, state=DAMAGED)).then_refused(
        VersionConflict(5, shown, "on_hand", DAMAGED)
    )
    given(*stock).when(count(1, expected_on_hand=5, state=SELLABLE)).then_refused(
        VersionConflict(5, shown, "on_hand", SELLABLE)
    )
    conflict = VersionConflict(5, shown, "on_hand", DAMAGED)
    assert str(conflict) == "kettle in lisbon has 2 damaged, not 5"
    assert conflict.facts()["on_hand"] == "2"


def test_units_come_into_no_unknown_state() -> None:
    given(FIVE).when(add(1, state=FORMER)).then_refused(unknown("state"))
    given(FIVE).when(move(1, into=FORMER)).then_refused(unknown("to_state"))
    given(FIVE).when(change_by(1, state=FORMER)).then_refused(unknown("state"))
    there = FIVE, StockMoved(2, None, DISPLAY)
    given(*there).when(change_by(1, state=FORMER)).then_refused(unknown("state"))
    given(*there).when(count(3, state=FORMER)).then_refused(unknown("state"))


def test_units_leave_a_state_that_is_no_longer_known() -> None:
    there = FIVE, StockMoved(2, None, DISPLAY)
    given(*there).when(move(2, out_of=FORMER)).then(StockMoved(2, DISPLAY, None))
    given(*there).when(remove(1, state=FORMER)).then(StockRemoved(1, DISPLAY))
    given(*there).when(change_by(-1, state=FORMER)).then(StockAdjusted(-1, None, state=DISPLAY))
    given(*there).when(count(2, state=FORMER)).then(
        StockAdjusted(0, 2, unconditional=True, state=DISPLAY)
    )
    given(*there).when(move(3, out_of=FORMER)).then_refused(short(3, 2, DISPLAY))


def test_a_state_that_is_neither_known_nor_has_units_is_a_mistake() -> None:
    """A misspelt state is told as such, and not as a lack of stock."""
    given(FIVE).when(remove(1, state=FORMER)).then_refused(unknown("state"))
    given(FIVE).when(move(1, out_of=FORMER)).then_refused(unknown("from_state"))
    given(FIVE).when(count(0, state=FORMER)).then_refused(unknown("state"))


def test_an_unknown_state_is_named_before_a_conflict_and_a_conflict_before_a_lack() -> None:
    given(FIVE).when(move(9, into=FORMER, expected=7)).then_refused(unknown("to_state"))
    given(FIVE).when(move(9, into=DAMAGED, expected=7)).then_refused(
        VersionConflict(7, Inventory(KETTLES, Levels(5, 0), 1, NOON))
    )
