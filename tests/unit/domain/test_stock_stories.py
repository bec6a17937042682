"""Adding, removing and correcting what is on hand."""

import pytest

from inventory_grpc.domain.book import apply_event
from inventory_grpc.domain.event import EventOutOfOrder, Fact
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import (
    InsufficientStock,
    LevelTooHigh,
    ShortLine,
    VersionConflict,
)
from inventory_grpc.domain.reservation_facts import StockReserved
from inventory_grpc.domain.stock import Inventory, StockAdded, StockAdjusted, StockRemoved
from inventory_grpc.domain.values import MAX_LEVEL, SELLABLE
from tests.support.history import event_of
from tests.support.stories import MemoryBook, given
from tests.support.world import (
    ANA,
    KETTLES,
    MINUTE,
    NOON,
    PORTO_KETTLES,
    R1,
    add,
    change_by,
    count,
    later,
    remove,
)

FIVE_ADDED = StockAdded(5)
FOUR_RESERVED = StockReserved(R1, ANA, None, 4, later(30 * MINUTE))


def short(asked: int, available: int) -> InsufficientStock:
    return InsufficientStock([ShortLine(KETTLES, asked, available)])


def test_goods_that_arrive_are_on_hand_and_available() -> None:
    book = given().when(add(5)).then(StockAdded(5))
    assert book.inventory(KETTLES).levels == Levels(5, 0)
    assert book.inventory(KETTLES).available == 5


def test_each_store_has_its_own() -> None:
    book = given(FIVE_ADDED).when(add(3, PORTO_KETTLES)).then_in(PORTO_KETTLES, StockAdded(3))
    assert book.inventory(KETTLES).levels == Levels(5, 0)
    assert book.inventory(PORTO_KETTLES).levels == Levels(3, 0)


def test_the_highest_level_may_be_reached_and_not_passed() -> None:
    nearly = StockAdjusted(MAX_LEVEL - 5, counted=None)
    given(nearly).when(add(5)).then(StockAdded(5))
    given(nearly).when(add(6)).then_refused(LevelTooHigh(KETTLES, MAX_LEVEL + 1))


def test_what_is_available_can_be_removed() -> None:
    book = given(FIVE_ADDED).when(remove(5)).then(StockRemoved(5))
    assert book.inventory(KETTLES).levels == Levels(0, 0)


def test_more_than_is_available_cannot_be_removed() -> None:
    given(FIVE_ADDED).when(remove(6)).then_refused(short(6, 5))
    given().when(remove(1)).then_refused(short(1, 0))


def test_what_is_promised_cannot_be_removed() -> None:
    given(FIVE_ADDED, FOUR_RESERVED).when(remove(1)).then(StockRemoved(1))
    given(FIVE_ADDED, FOUR_RESERVED).when(remove(2)).then_refused(short(2, 1))


def test_nothing_can_be_removed_while_there_is_a_shortfall() -> None:
    given(FIVE_ADDED, FOUR_RESERVED, StockAdjusted(-3, counted=2)).when(remove(1)).then_refused(
        short(1, 0)
    )


def test_a_correction_moves_what_is_on_hand() -> None:
    given(FIVE_ADDED).when(change_by(2)).then(StockAdjusted(2, counted=None))
    given(FIVE_ADDED).when(change_by(-5)).then(StockAdjusted(-5, counted=None))
    given().when(change_by(7)).then(StockAdjusted(7, counted=None))


def test_a_count_sets_what_is_on_hand() -> None:
    book = given(FIVE_ADDED).when(count(2, expected=1)).then(StockAdjusted(-3, counted=2))
    assert book.inventory(KETTLES).on_hand == 2


def test_a_count_may_name_the_units_that_were_on_hand_before() -> None:
    given(FIVE_ADDED, FOUR_RESERVED).when(count(2, expected_on_hand=5)).then(
        StockAdjusted(-3, counted=2)
    )
    given().when(count(2, expected_on_hand=0)).then(StockAdjusted(2, counted=2))


def test_of_a_count_that_expects_other_units_the_stock_as_it_is_is_told() -> None:
    now = Inventory(KETTLES, Levels(5, 4), 2, NOON)
    given(FIVE_ADDED, FOUR_RESERVED).when(count(2, expected_on_hand=4)).then_refused(
        VersionConflict(4, now, compared="on_hand")
    )


def test_units_that_were_not_expected_are_said_before_anything_else_is() -> None:
    given(FIVE_ADDED).when(count(MAX_LEVEL + 1, expected_on_hand=4)).then_refused(
        VersionConflict(4, Inventory(KETTLES, Levels(5, 0), 1, NOON), compared="on_hand")
    )


def test_an_unconditional_count_is_recorded_as_one() -> None:
    given(FIVE_ADDED, FOUR_RESERVED).when(count(2)).then(
        StockAdjusted(-3, counted=2, unconditional=True)
    )


def test_a_count_that_agrees_is_a_fact_too() -> None:
    book = given(FIVE_ADDED).when(count(5, expected=1)).then(StockAdjusted(0, counted=5))
    assert book.inventory(KETTLES).version == 2


def test_a_count_of_nothing_where_there_never_was_anything_is_a_fact_too() -> None:
    given().when(count(0, expected=0)).then(StockAdjusted(0, counted=0))


def test_physical_truth_may_fall_below_what_is_promised_and_the_shortfall_says_so() -> None:
    book = (
        given(FIVE_ADDED, FOUR_RESERVED)
        .when(count(1, expected=2))
        .then(StockAdjusted(-4, counted=1))
    )
    levels = book.inventory(KETTLES).levels
    assert levels == Levels(1, 4)
    assert (levels.available, levels.shortfall) == (0, 3)


def test_less_than_nothing_cannot_be_on_hand() -> None:
    too_few = InsufficientStock([ShortLine(KETTLES, 6, 5)], SELLABLE)
    given(FIVE_ADDED).when(change_by(-6)).then_refused(too_few)
    given(FIVE_ADDED, FOUR_RESERVED).when(change_by(-6)).then_refused(too_few)


def test_a_correction_cannot_pass_the_highest_level_either() -> None:
    given(FIVE_ADDED).when(change_by(MAX_LEVEL)).then_refused(LevelTooHigh(KETTLES, MAX_LEVEL + 5))
    given().when(count(MAX_LEVEL + 1, expected=0)).then_refused(
        LevelTooHigh(KETTLES, MAX_LEVEL + 1)
    )
    given().when(count(MAX_LEVEL, expected=0)).then(StockAdjusted(MAX_LEVEL, counted=MAX_LEVEL))


def conflict(expected: int, version: int, levels: Levels) -> VersionConflict:
    return VersionConflict(expected, Inventory(KETTLES, levels, version, NOON if version else None))


def test_who_names_the_version_that_is_so_may_change_the_stock() -> None:
    given(FIVE_ADDED).when(add(1, expected=1)).then(StockAdded(1))
    given(FIVE_ADDED).when(remove(1, expected=1)).then(StockRemoved(1))
    given(FIVE_ADDED).when(change_by(1, expected=1)).then(StockAdjusted(1, counted=None))


def test_version_zero_says_that_there_is_no_history() -> None:
    given().when(add(1, expected=0)).then(StockAdded(1))
    given(FIVE_ADDED).when(add(1, expected=0)).then_refused(conflict(0, 1, Levels(5, 0)))


def test_who_names_another_version_is_told_how_it_is_now() -> None:
    now = conflict(1, 2, Levels(5, 4))
    for command in (
        add(1, expected=1),
        remove(1, expected=1),
        change_by(1, expected=1),
        count(5, expected=1),
    ):
        given(FIVE_ADDED, FOUR_RESERVED).when(command).then_refused(now)
    given().when(add(1, expected=3)).then_refused(conflict(3, 0, Levels(0, 0)))


def test_a_version_that_was_not_seen_is_said_before_anything_else_is() -> None:
    given(FIVE_ADDED).when(remove(6, expected=7)).then_refused(conflict(7, 1, Levels(5, 0)))


def test_an_event_that_was_missed_or_comes_twice_is_found_at_once() -> None:
    inventory = apply_event(Inventory(KETTLES), event_of(1, KETTLES, StockAdded(5)))
    for version in (1, 3):
        with pytest.raises(EventOutOfOrder):
            apply_event(inventory, event_of(9, KETTLES, StockAdded(5), version=version))


def test_a_stock_is_at_what_its_last_event_says() -> None:
    book = MemoryBook(NOON)
    book.record((KETTLES, StockAdded(5)))
    before = book.inventory(KETTLES)
    book.now = later(MINUTE)
    book.record((KETTLES, StockRemoved(2)))
    assert before == Inventory(KETTLES, Levels(5, 0), 1, NOON)
    assert book.inventory(KETTLES) == Inventory(KETTLES, Levels(3, 0), 2, later(MINUTE))


def test_available_and_shortfall_are_never_both_and_never_negative() -> None:
    for on_hand in range(4):
        for reserved in range(4):
            levels = Levels(on_hand, reserved)
            assert levels.available - levels.shortfall == on_hand - reserved
            assert 0 in {levels.available, levels.shortfall}


FACTS_OF_STOCK: list[Fact] = [FIVE_ADDED, StockRemoved(1), StockAdjusted(0, 4)]


def test_every_fact_moves_the_version_and_the_time() -> None:
    book = MemoryBook()
    for version, fact in enumerate([*FACTS_OF_STOCK, FOUR_RESERVED], start=1):
        book.now = later(version)
        book.record((KETTLES, fact))
        inventory = book.inventory(KETTLES)
        assert (inventory.version, inventory.update_time) == (version, later(version))
