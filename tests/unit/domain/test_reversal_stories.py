"""Undoing an event, once, unless a count after it has corrected it already."""

import pytest

from inventory_grpc.domain.event import Fact
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import (
    InsufficientStock,
    LevelTooHigh,
    ShortLine,
    SubjectNotFound,
)
from inventory_grpc.domain.reservation_facts import ReservationReleased, StockReserved
from inventory_grpc.domain.reversal import (
    AlreadyReversed,
    Correction,
    NotReversible,
    standing_counts,
)
from inventory_grpc.domain.stock import StockAdded, StockAdjusted, StockMoved, StockRemoved
from inventory_grpc.domain.values import MAX_LEVEL, SELLABLE, EventAt, UnitState
from tests.support.stories import given
from tests.support.world import ANA, DAMAGED, KETTLES, PORTO_KETTLES, R1, RETURNED, reverse

TEN_ADDED = StockAdded(10)
FOUR_RESERVED = StockReserved(R1, ANA, None, 4, None)


def undone(delta: int, position: int) -> StockAdjusted:
    return StockAdjusted(delta, None, reverses=position)


def counted(number: int, delta: int) -> StockAdjusted:
    return StockAdjusted(delta, counted=number)


@pytest.mark.parametrize(
    ("fact", "opposite"),
    [
        (StockAdded(3), -3),
        (StockRemoved(3), 3),
        (StockAdjusted(3, None), -3),
        (StockAdjusted(-3, None), 3),
        (counted(13, 3), -3),
        (counted(10, 0), 0),
    ],
    ids=str,
)
def test_an_event_is_undone_by_its_opposite(fact: Fact, opposite: int) -> None:
    book = given(TEN_ADDED, fact).when(reverse(2)).then(undone(opposite, 2))
    assert book.inventory(KETTLES).levels == Levels(10, 0)


def test_an_event_of_another_stock_is_undone_in_that_stock() -> None:
    given(TEN_ADDED, (PORTO_KETTLES, StockAdded(3))).when(reverse(2)).then_in(
        PORTO_KETTLES, undone(-3, 2)
    )


def test_promises_do_not_stop_a_reversal() -> None:
    book = given(TEN_ADDED, FOUR_RESERVED).when(reverse(1)).then(undone(-10, 1))
    levels = book.inventory(KETTLES).levels
    assert (levels.on_hand, levels.reserved, levels.shortfall) == (0, 4, 4)


def test_an_event_is_reversed_once() -> None:
    given(TEN_ADDED, undone(-10, 1)).when(reverse(1)).then_refused(AlreadyReversed(1, 2))


def test_a_reversal_can_be_reversed_and_its_target_not_again() -> None:
    book = given(TEN_ADDED, undone(-10, 1)).when(reverse(2)).then(undone(10, 2))
    assert book.inventory(KETTLES).on_hand == 10
    given(TEN_ADDED, undone(-10, 1), undone(10, 2)).when(reverse(1)).then_refused(
        AlreadyReversed(1, 2)
    )
    given(TEN_ADDED, undone(-10, 1), undone(10, 2)).when(reverse(3)).then(undone(-10, 3))


@pytest.mark.parametrize("position", [2, 10**15])
def test_an_event_that_is_not_there_is_not_found(position: int) -> None:
    given(TEN_ADDED).when(reverse(position)).then_refused(SubjectNotFound(EventAt(position)))


@pytest.mark.parametrize("position", [2, 3])
def test_promises_are_not_undone_by_a_reversal(position: int) -> None:
    given(TEN_ADDED, FOUR_RESERVED, ReservationReleased(R1, 4)).when(
        reverse(position)
    ).then_refused(NotReversible(position))


def test_units_that_have_left_stop_a_reversal() -> None:
    short = ShortLine(KETTLES, asked=10, available=7)
    given(TEN_ADDED, StockRemoved(3)).when(reverse(1)).then_refused(
        InsufficientStock([short], SELLABLE)
    )


def test_a_reversal_cannot_pass_the_highest_level() -> None:
    given(TEN_ADDED, StockRemoved(5), StockAdded(MAX_LEVEL - 5)).when(reverse(2)).then_refused(
        LevelTooHigh(KETTLES, MAX_LEVEL + 5)
    )


def test_what_a_count_has_corrected_is_not_corrected_again() -> None:
    given(TEN_ADDED, counted(1, -9)).when(reverse(1)).then_refused(NotReversible(1, 2))


def test_of_several_counts_the_newest_is_named_since_only_that_can_be_reversed() -> None:
    story = given(TEN_ADDED, counted(1, -9), counted(2, 1))
    story.when(reverse(1)).then_refused(NotReversible(1, 3))
    story.when(reverse(2)).then_refused(NotReversible(2, 3))
    story.when(reverse(3)).then(undone(-1, 3))


def test_a_count_before_the_event_or_of_another_stock_is_in_no_way() -> None:
    given(counted(0, 0), TEN_ADDED, (PORTO_KETTLES, counted(1, 1))).when(reverse(2)).then(
        undone(-10, 2)
    )


def test_a_count_that_was_reversed_counts_for_nothing() -> None:
    given(TEN_ADDED, counted(1, -9), undone(9, 2)).when(reverse(1)).then(undone(-10, 1))


def test_a_count_stands_again_when_its_reversal_was_reversed() -> None:
    given(TEN_ADDED, counted(1, -9), undone(9, 2), undone(-9, 3)).when(reverse(1)).then_refused(
        NotReversible(1, 2)
    )


def test_a_reversal_before_a_count_is_corrected_by_it_like_any_event() -> None:
    given(TEN_ADDED, undone(-10, 1), counted(10, 10)).when(reverse(2)).then_refused(
        NotReversible(2, 3)
    )


def test_that_it_was_reversed_is_said_before_that_it_was_counted() -> None:
    given(TEN_ADDED, undone(-10, 1), counted(0, 0)).when(reverse(1)).then_refused(
        AlreadyReversed(1, 2)
    )


def test_that_it_was_counted_is_said_before_that_too_little_is_there() -> None:
    given(TEN_ADDED, StockRemoved(3), counted(7, 0)).when(reverse(1)).then_refused(
        NotReversible(1, 3)
    )


def test_older_counts_stand_behind_those_that_were_undone() -> None:
    newest_first = [Correction(9, 8), Correction(8, 5), Correction(6, 0), Correction(5, 0)]
    assert list(standing_counts(newest_first)) == [6, 5]
    assert list(standing_counts(newest_first[1:])) == [6]


TWO_DAMAGED = StockMoved(2, None, DAMAGED)


@pytest.mark.parametrize(
    ("fact", "opposite"),
    [
        (TWO_DAMAGED, StockMoved(2, DAMAGED, None, reverses=2)),
        (StockAdded(3, RETURNED), StockAdjusted(-3, None, state=RETURNED, reverses=2)),
        (StockAdjusted(3, 3, state=DAMAGED), StockAdjusted(-3, None, state=DAMAGED, reverses=2)),
        (StockAdjusted(3, 13, state=SELLABLE), undone(-3, 2)),
    ],
    ids=str,
)
def test_an_event_is_undone_in_its_states(fact: Fact, opposite: Fact) -> None:
    book = given(TEN_ADDED, fact).when(reverse(2)).then(opposite)
    assert book.inventory(KETTLES).levels == Levels(10, 0)


def test_a_removal_from_a_state_is_put_back_into_it() -> None:
    removed = StockRemoved(1, DAMAGED)
    back = StockAdjusted(1, None, state=DAMAGED, reverses=3)
    given(TEN_ADDED, TWO_DAMAGED, removed).when(reverse(3)).then(back)


def test_units_that_are_no_longer_in_the_state_stop_a_reversal() -> None:
    gone = InsufficientStock([ShortLine(KETTLES, 2, 1)], DAMAGED)
    facts = TEN_ADDED, TWO_DAMAGED, StockRemoved(1, DAMAGED)
    given(*facts).when(reverse(2)).then_refused(gone)
    few = InsufficientStock([ShortLine(KETTLES, 10, 8)], SELLABLE)
    given(*facts).when(reverse(1)).then_refused(few)


@pytest.mark.parametrize(
    ("fact", "count_of", "corrected"),
    [
        (StockAdded(3, DAMAGED), DAMAGED, 3),
        (StockAdded(3, DAMAGED), None, 3),
        (StockAdded(3, DAMAGED), SELLABLE, 0),
        (StockAdded(3, DAMAGED), RETURNED, 0),
        (StockAdded(3), SELLABLE, 3),
        (StockAdded(3), DAMAGED, 0),
        (TWO_DAMAGED, DAMAGED, 3),
        (TWO_DAMAGED, SELLABLE, 3),
        (TWO_DAMAGED, RETURNED, 0),
    ],
    ids=str,
)
def test_a_count_corrects_what_changed_the_units_that_it_counted(
    fact: Fact, count_of: UnitState | None, corrected: int
) -> None:
    """The number is the position of the count that corrects; one without a state is of all."""
    story = given(TEN_ADDED, fact, StockAdjusted(0, 0, state=count_of)).when(reverse(2))
    if corrected:
        story.then_refused(NotReversible(2, corrected))
    else:
        story.then(*[undoing for undoing in [fact.reversal(2)] if undoing])
