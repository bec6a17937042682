"""Ring-fences: units that are set aside for one channel, and that an abandoned cart gives back."""

from typing import Final

import pytest

from inventory_grpc.domain.book import Command
from inventory_grpc.domain.catalogue import Retired
from inventory_grpc.domain.event import Fact
from inventory_grpc.domain.levels import FenceUnits, Levels, Particulars, Terms
from inventory_grpc.domain.product import ProductKey
from inventory_grpc.domain.promises import Asked
from inventory_grpc.domain.refusals import (
    InsufficientStock,
    InvalidValue,
    ReservationExists,
    ShortLine,
    VersionConflict,
    Violation,
)
from inventory_grpc.domain.reservation_commands import CommitReservation, ReserveStock
from inventory_grpc.domain.reservation_facts import (
    ReservationCommitted,
    ReservationExpired,
    ReservationReacquired,
    ReservationReleased,
    StockReserved,
)
from inventory_grpc.domain.reversal import NotReversible
from inventory_grpc.domain.stock import (
    StockAdded,
    StockAdjusted,
    StockFenced,
    StockMoved,
    StockRemoved,
    StockTermsChanged,
)
from inventory_grpc.domain.values import MAX_FENCES, Channel, Never, ReservationId
from tests.support.stories import given
from tests.support.world import (
    ANA,
    DAMAGED,
    KETTLE,
    KETTLES,
    R1,
    R2,
    VIP,
    WEB,
    add,
    commit,
    fence,
    move,
    release,
    remove,
    reserve,
    reverse,
)

TEN: Final = StockAdded(10)
VIP_4: Final = StockFenced(VIP, 4)
BY_VIP: Final = Asked(VIP)
PUBLIC_6: Final = StockReserved(R2, ANA, None, 6, None)
HOLLOW: Final = (TEN, VIP_4, PUBLIC_6, StockAdjusted(-3, None))
"""Three units are lost: one is left for the fence, which has four."""


def held(
    units: int, name: ReservationId = R1, *, fenced: int = 0, backordered: int = 0
) -> StockReserved:
    return StockReserved(name, ANA, None, units, None, backordered, VIP, fenced)


def by_vip(units: int, name: str = R1) -> ReserveStock:
    return reserve(units, name, expiration=Never(), asked=BY_VIP)


def terms(
    *, safety_stock: int = 0, backorder_limit: int = 0, product_retired: bool = False
) -> StockTermsChanged:
    return StockTermsChanged.to(
        Terms(safety_stock, backorder_limit, product_retired=product_retired)
    )


def levels_after(*facts: Fact) -> Levels:
    return given(*facts).book.inventory(KETTLES).levels


def shown(levels: Levels) -> tuple[int, int, int, dict[str, int]]:
    return levels.on_hand, levels.reserved, levels.available, dict(levels.fences)


def short(asked: int, there: int, level: str = "available") -> InsufficientStock:
    return InsufficientStock([ShortLine(KETTLES, asked, there)], level)


def test_what_is_set_aside_is_on_hand_and_for_its_channel_alone() -> None:
    book = given(TEN).when(fence(4)).then(VIP_4)
    levels = book.inventory(KETTLES).levels
    assert levels == Levels(10, 0, Particulars((), (FenceUnits(VIP, 4),)))
    assert (levels.available, levels.ring_fenced, levels.shortfall) == (6, 4, 0)
    assert (levels.own(), levels.own(WEB), levels.own(VIP)) == (6, 6, 10)
    assert (levels.free(), levels.free(WEB), levels.free(VIP)) == (6, 6, 10)


def test_a_stock_whose_fences_are_empty_is_as_small_as_any() -> None:
    book = given(TEN, VIP_4).when(fence(-4)).then(StockFenced(VIP, -4))
    assert book.inventory(KETTLES).levels == Levels(10, 0)


def test_no_more_is_set_aside_than_is_available_or_taken_back_than_is_left() -> None:
    given(TEN, VIP_4, StockReserved(R1, ANA, None, 3, None)).when(
        fence(4, channel=WEB)
    ).then_refused(short(4, 3))
    given(TEN, VIP_4, held(3, fenced=3)).when(fence(-2)).then_refused(
        short(2, 1, "left in the fence")
    )
    given(TEN, VIP_4).when(fence(-1, channel=WEB)).then_refused(short(1, 0, "left in the fence"))


def test_a_removal_takes_what_is_set_aside_for_nobody_else() -> None:
    stock = TEN, VIP_4, StockReserved(R1, ANA, None, 2, None)
    given(*stock).when(remove(5)).then_refused(short(5, 4))
    given(*stock).when(remove(5, channel=WEB)).then_refused(short(5, 4))
    given(*stock).when(remove(9, channel=VIP)).then_refused(short(9, 8))
    given(*stock).when(remove(4)).then(StockRemoved(4))
    given(*stock).when(remove(4, channel=WEB)).then(StockRemoved(4, None, WEB))
    book = given(*stock).when(remove(5, channel=VIP)).then(StockRemoved(5, None, VIP, 4))
    assert shown(book.inventory(KETTLES).levels) == (5, 2, 3, {})
    book = given(*stock).when(remove(3, channel=VIP)).then(StockRemoved(3, None, VIP, 3))
    assert shown(book.inventory(KETTLES).levels) == (7, 2, 4, {"vip": 1})


def test_safety_stock_does_not_guard_the_counter() -> None:
    stock = TEN, VIP_4, terms(safety_stock=3)
    assert levels_after(*stock).available == 3
    given(*stock).when(remove(6)).then(StockRemoved(6))
    given(*stock).when(remove(10, channel=VIP)).then(StockRemoved(10, None, VIP, 4))


def test_an_abandoned_cart_does_not_drain_the_fence() -> None:
    """Worked example 13 of the contract, from its first line to its last."""
    story = given(TEN, VIP_4)
    book = story.when(by_vip(3)).then(held(3, fenced=3))
    assert shown(book.inventory(KETTLES).levels) == (10, 3, 6, {"vip": 1})
    first = book.reservation(R1)
    assert first
    for stock_id, fact in first.expire():
        assert (stock_id, fact) == (KETTLES, ReservationExpired(R1, 3, 0, VIP, 3))
        book.record((stock_id, fact))
    assert shown(book.inventory(KETTLES).levels) == (10, 0, 6, {"vip": 4})
    story.when(by_vip(6, R2)).then(held(6, R2, fenced=4))
    assert shown(book.inventory(KETTLES).levels) == (10, 6, 4, {})
    story.when(release(3, R2)).then(ReservationReleased(R2, 3, 0, VIP, 1))
    assert shown(book.inventory(KETTLES).levels) == (10, 3, 6, {"vip": 1})
    story.when(commit(3, R2)).then(ReservationCommitted(R2, None, 3, VIP, 3))
    assert shown(book.inventory(KETTLES).levels) == (7, 0, 6, {"vip": 1})


def test_goods_that_are_lost_leave_the_fence_hollow() -> None:
    """Worked example 14 of the contract: promises from stock are served before fences."""
    levels = levels_after(*HOLLOW)
    assert shown(levels) == (7, 6, 0, {"vip": 4})
    assert (levels.shortfall, levels.own(VIP), levels.free(VIP)) == (0, 1, 1)
    given(*HOLLOW).when(by_vip(2)).then_refused(short(2, 1))
    given(*HOLLOW).when(remove(2, channel=VIP)).then_refused(short(2, 1))
    book = given(*HOLLOW).when(remove(1, channel=VIP)).then(StockRemoved(1, None, VIP, 1))
    assert book.inventory(KETTLES).levels.own(VIP) == 0


def test_units_that_wait_take_nothing_from_a_fence() -> None:
    """The other end of worked example 14."""
    stock = TEN, VIP_4, PUBLIC_6, terms(backorder_limit=9)
    waiting = StockReserved(R1, ANA, None, 4, None, 4)
    levels = levels_after(*stock, waiting)
    assert (levels.backordered, levels.own(VIP)) == (4, 4)
    given(*stock, waiting).when(
        reserve(5, "r3", asked=Asked(VIP, in_stock_only=True))
    ).then_refused(short(5, 4))


def test_units_that_are_taken_back_go_first_to_those_that_wait() -> None:
    stock = StockAdded(4), VIP_4, terms(backorder_limit=5), StockReserved(R1, ANA, None, 3, None, 3)
    assert levels_after(*stock).backordered == 3
    book = given(*stock).when(fence(-4)).then(StockFenced(VIP, -4))
    levels = book.inventory(KETTLES).levels
    assert (levels.available, levels.backordered, levels.fills_due) == (1, 0, 3)
    given(*stock, StockFenced(VIP, -4)).when(fence(4, channel=WEB)).then_refused(short(4, 1))


def test_what_is_beyond_the_fence_and_the_stock_waits() -> None:
    stock = StockAdded(5), VIP_4, terms(backorder_limit=3)
    book = given(*stock).when(by_vip(7)).then(held(7, fenced=4, backordered=2))
    levels = book.inventory(KETTLES).levels
    assert (shown(levels), levels.backordered) == ((5, 7, 0, {}), 2)
    given(*stock).when(by_vip(9)).then_refused(short(9, 8))


def test_waiting_units_are_given_back_first_then_free_ones_then_fenced_ones() -> None:
    stock = StockAdded(7), VIP_4, terms(backorder_limit=3), held(9, fenced=4, backordered=2)
    for units, waited, returned in ((1, 1, 0), (2, 2, 0), (5, 2, 0), (6, 2, 1), (9, 2, 4)):
        book = (
            given(*stock)
            .when(release(units))
            .then(ReservationReleased(R1, units, waited, VIP, returned))
        )
        assert book.inventory(KETTLES).levels.fence(VIP) == returned
    book = given(*stock).when(commit(5)).then(ReservationCommitted(R1, None, 5, VIP, 4))
    line = book.reservation(R1)
    assert line
    assert (line.lines[KETTLES].fenced, line.lines[KETTLES].backordered) == (0, 2)


def test_what_comes_back_returns_also_to_a_fence_that_was_taken_back() -> None:
    stock = TEN, VIP_4, held(3, fenced=3), StockFenced(VIP, -1)
    assert shown(levels_after(*stock)) == (10, 3, 7, {})
    book = given(*stock).when(release()).then(ReservationReleased(R1, 3, 0, VIP, 3))
    assert shown(book.inventory(KETTLES).levels) == (10, 0, 7, {"vip": 3})


def test_a_late_commit_takes_from_the_fence_first() -> None:
    stock = TEN, VIP_4, held(3, fenced=3), ReservationExpired(R1, 3, 0, VIP, 3)
    book = (
        given(*stock)
        .when(CommitReservation(R1, {}, None, reacquire=True))
        .then(ReservationReacquired(R1, None, 3, VIP, 3))
    )
    assert shown(book.inventory(KETTLES).levels) == (7, 0, 6, {"vip": 1})


def test_a_channel_without_a_fence_is_just_a_name() -> None:
    stock = TEN, VIP_4
    given(*stock).when(reserve(7, asked=Asked(WEB))).then_refused(short(7, 6))
    [(_, fact)] = reserve(6, asked=Asked(WEB)).decide(given(*stock).book)
    assert isinstance(fact, StockReserved)
    assert (fact.quantity, fact.channel, fact.fenced) == (6, WEB, 0)


def test_a_reservation_that_is_repeated_for_another_channel_is_another_one() -> None:
    stock = TEN, VIP_4, held(3, fenced=3)
    given(*stock).when(by_vip(3)).then()
    given(*stock).when(reserve(3, asked=Asked(WEB))).then_refused(ReservationExists(R1))
    given(*stock).when(reserve(3)).then_refused(ReservationExists(R1))


def test_twenty_channels_have_a_fence_and_what_is_given_back_always_returns() -> None:
    channels = [Channel(f"channel-{number:02}") for number in range(MAX_FENCES)]
    stock = StockAdded(100), *(StockFenced(channel, 1) for channel in channels)
    problem = "would have a fence beside 20 other channels of the stock; at most 20 can have one"
    given(*stock).when(fence(1)).then_refused(InvalidValue([Violation("channel", problem)]))
    given(*stock).when(fence(1, channel=channels[0])).then(StockFenced(channels[0], 1))
    given(*stock).when(fence(-1)).then_refused(short(1, 0, "left in the fence"))
    freed = *stock, StockFenced(channels[0], -1)
    given(*freed).when(fence(1)).then(StockFenced(VIP, 1))
    given(*freed, StockFenced(VIP, 1)).when(reverse(22)).then_refused(
        InvalidValue([Violation("reversed_position", problem)])
    )
    used = StockAdded(100), VIP_4, held(4, fenced=4), *stock[1:]
    book = given(*used).when(release()).then(ReservationReleased(R1, 4, 0, VIP, 4))
    assert len(book.inventory(KETTLES).levels.fences) == MAX_FENCES + 1


@pytest.mark.parametrize(
    ("fact", "opposite"),
    [(VIP_4, StockFenced(VIP, -4, 2)), (StockFenced(WEB, 1), StockFenced(WEB, -1, 2))],
    ids=["a fence", "another channel"],
)
def test_a_fence_is_undone_by_its_opposite(fact: StockFenced, opposite: StockFenced) -> None:
    book = given(TEN, fact).when(reverse(2)).then(opposite)
    assert book.inventory(KETTLES).levels == Levels(10, 0)
    back = StockFenced(fact.channel, fact.delta, 3)
    given(TEN, fact, opposite).when(reverse(3)).then(back)


def test_a_fence_that_was_used_is_not_undone() -> None:
    stock = TEN, VIP_4
    given(*stock, held(1, fenced=1)).when(reverse(2)).then_refused(short(4, 3, "left in the fence"))
    taken_back = *stock, StockFenced(VIP, -4), StockReserved(R1, ANA, None, 9, None)
    given(*taken_back).when(reverse(3)).then_refused(short(4, 1))


def test_a_removal_out_of_a_fence_is_undone_as_units_for_everybody() -> None:
    stock = TEN, VIP_4, StockRemoved(4, None, VIP, 4)
    book = given(*stock).when(reverse(3)).then(StockAdjusted(4, None, reverses=3))
    assert shown(book.inventory(KETTLES).levels) == (10, 0, 10, {})


def test_a_count_corrects_units_and_no_fence() -> None:
    counted = StockAdjusted(0, counted=10)
    given(TEN, VIP_4, counted).when(reverse(2)).then(StockFenced(VIP, -4, 2))
    given(TEN, VIP_4, counted).when(reverse(1)).then_refused(NotReversible(1, 3))


def test_of_what_is_retired_a_fence_is_taken_back_and_not_grown() -> None:
    stock = TEN, VIP_4, terms(product_retired=True)
    assert levels_after(*stock).own(VIP) == 0
    given(*stock).when(fence(1)).then_refused(Retired(KETTLE))
    given(*stock).when(by_vip(1)).then_refused(Retired(ProductKey(KETTLE.id)))
    given(*stock).when(fence(-4)).then(StockFenced(VIP, -4))
    given(*stock).when(remove(10, channel=VIP)).then(StockRemoved(10, None, VIP, 4))


@pytest.mark.parametrize(
    "command",
    [fence(9, expected=7), fence(-9, expected=7), remove(99, channel=VIP, expected=7)],
    ids=["more", "less", "a removal"],
)
def test_a_conflict_comes_before_a_lack(command: Command) -> None:
    book = given(TEN, VIP_4)
    conflict = VersionConflict(7, book.book.inventory(KETTLES))
    book.when(command).then_refused(conflict)


def test_what_breaks_is_missed_by_a_fence_before_a_promise() -> None:
    stock = TEN, VIP_4, PUBLIC_6
    book = given(*stock).when(move(3, into=DAMAGED)).then(StockMoved(3, None, DAMAGED))
    levels = book.inventory(KETTLES).levels
    assert (levels.available, levels.shortfall, levels.own(VIP)) == (0, 0, 1)
    given(*stock).when(add(1)).then(StockAdded(1))
