"""Reserving carts: all lines or none, once, until a time."""

import pytest

from inventory_grpc.domain.refusals import (
    InsufficientStock,
    InvalidValue,
    ReservationClosed,
    ReservationExists,
    ShortLine,
    Violation,
)
from inventory_grpc.domain.reservation import ReservationState
from inventory_grpc.domain.reservation_facts import (
    ReservationCommitted,
    ReservationExpired,
    ReservationReleased,
    StockReserved,
)
from inventory_grpc.domain.stock import StockAdded, StockAdjusted, StockRemoved
from inventory_grpc.domain.values import Instant, Never, OrderId, Span, Ttl, Until
from tests.support.stories import Happened, given
from tests.support.world import (
    ANA,
    BEN,
    DAY,
    KETTLES,
    MINUTE,
    NOON,
    ORDER,
    PORTO_KETTLES,
    R1,
    R2,
    SECOND,
    TOASTERS,
    add,
    later,
    reserve,
)

HALF_PAST = later(30 * MINUTE)
FIVE_ADDED = StockAdded(5)
FIVE_RESERVED = StockReserved(R1, ANA, None, 5, HALF_PAST)


def test_a_reservation_holds_units_that_are_then_not_available() -> None:
    book = given(FIVE_ADDED).when(reserve(5)).then(FIVE_RESERVED)
    assert book.inventory(KETTLES).available == 0
    assert book.inventory(KETTLES).on_hand == 5
    held = book.reservation(R1)
    assert held is not None
    assert held.holds() == {KETTLES: 5}
    assert held.state is ReservationState.ACTIVE


def test_more_than_is_available_is_refused() -> None:
    given(FIVE_ADDED).when(reserve(6)).then_refused(
        InsufficientStock([ShortLine(KETTLES, asked=6, available=5)])
    )


def test_a_stock_without_history_has_nothing_to_promise() -> None:
    given().when(reserve(1)).then_refused(InsufficientStock([ShortLine(KETTLES, 1, 0)]))


def test_what_is_promised_to_one_is_not_promised_to_another() -> None:
    given(FIVE_ADDED, FIVE_RESERVED).when(reserve(1, R2, customer=BEN)).then_refused(
        InsufficientStock([ShortLine(KETTLES, asked=1, available=0)])
    )


def test_while_there_is_a_shortfall_nothing_is_promised() -> None:
    given(FIVE_ADDED, FIVE_RESERVED, StockAdjusted(-3, counted=2)).when(
        reserve(1, R2)
    ).then_refused(InsufficientStock([ShortLine(KETTLES, asked=1, available=0)]))


def test_a_cart_is_one_fact_a_line_in_the_order_of_its_lines() -> None:
    given(FIVE_ADDED, (TOASTERS, StockAdded(9))).when(
        reserve({TOASTERS: 2, KETTLES: 5}, order=ORDER)
    ).then(
        (TOASTERS, StockReserved(R1, ANA, ORDER, 2, HALF_PAST)),
        (KETTLES, StockReserved(R1, ANA, ORDER, 5, HALF_PAST)),
    )


def test_of_a_cart_that_is_short_every_short_line_is_named_and_nothing_held() -> None:
    given(FIVE_ADDED, (TOASTERS, StockAdded(1))).when(
        reserve({KETTLES: 5, TOASTERS: 2, PORTO_KETTLES: 1})
    ).then_refused(InsufficientStock([ShortLine(TOASTERS, 2, 1), ShortLine(PORTO_KETTLES, 1, 0)]))


def test_units_that_came_free_can_be_promised_again() -> None:
    for end in (ReservationReleased(R1, 5), ReservationExpired(R1, 5)):
        given(FIVE_ADDED, FIVE_RESERVED, end).when(reserve(5, R2)).then(
            StockReserved(R2, ANA, None, 5, HALF_PAST)
        )


def test_a_hold_ends_some_time_after_it_was_asked_for() -> None:
    given(FIVE_ADDED).when(reserve(1, expiration=Ttl(MINUTE)), at=later(DAY)).then(
        StockReserved(R1, ANA, None, 1, later(DAY + MINUTE))
    )


def test_a_hold_ends_when_the_caller_says() -> None:
    for ahead in (SECOND, MINUTE, 30 * DAY):
        given(FIVE_ADDED).when(reserve(1, expiration=Until(later(ahead)))).then(
            StockReserved(R1, ANA, None, 1, later(ahead))
        )


def test_a_hold_may_never_end() -> None:
    given(FIVE_ADDED).when(reserve(1, expiration=Never())).then(
        StockReserved(R1, ANA, None, 1, expire_time=None)
    )


@pytest.mark.parametrize("ahead", [-DAY, 0, SECOND - 1, 30 * DAY + 1])
def test_a_hold_cannot_end_too_soon_or_too_late(ahead: int) -> None:
    problem = (
        "must be from 1 second to 30 days ahead of the server's time, which is 2026-03-02T12:00:00Z"
    )
    given(FIVE_ADDED).when(reserve(1, expiration=Until(later(ahead)))).then_refused(
        InvalidValue([Violation("expire_time", problem)])
    )


def test_asking_again_for_what_is_all_still_held_changes_nothing() -> None:
    given(FIVE_ADDED, FIVE_RESERVED).when(reserve(5)).then()


def test_the_expiry_is_neither_compared_nor_changed() -> None:
    for expiration in (Never(), Ttl(Span(DAY)), Until(later(DAY)), Until(Instant(0))):
        book = given(FIVE_ADDED, FIVE_RESERVED).when(reserve(5, expiration=expiration)).then()
        held = book.reservation(R1)
        assert held is not None
        assert held.expire_time == HALF_PAST


def test_asking_again_succeeds_also_when_nothing_is_available_any_more() -> None:
    given(FIVE_ADDED, FIVE_RESERVED, StockAdjusted(-5, counted=0)).when(reserve(5)).then()


def test_asking_again_for_a_cart_in_another_order_is_the_same() -> None:
    given(
        FIVE_ADDED,
        (TOASTERS, StockAdded(5)),
        (TOASTERS, StockReserved(R1, ANA, ORDER, 2, HALF_PAST)),
        (KETTLES, StockReserved(R1, ANA, ORDER, 3, HALF_PAST)),
    ).when(reserve({KETTLES: 3, TOASTERS: 2}, order=ORDER)).then()


def test_other_content_under_the_same_id_is_refused() -> None:
    held = given(FIVE_ADDED, FIVE_RESERVED, (TOASTERS, StockAdded(5)))
    for other in (
        reserve(4),
        reserve(6),
        reserve(5, customer=BEN),
        reserve(5, order=ORDER),
        reserve({TOASTERS: 5}),
        reserve({KETTLES: 5, TOASTERS: 1}),
    ):
        held.when(other).then_refused(ReservationExists(R1))


def test_an_order_that_came_with_a_commit_is_not_the_content() -> None:
    committed = ReservationCommitted(R1, ORDER, 5)
    book = given(FIVE_ADDED, FIVE_RESERVED, committed)
    book.when(reserve(5)).then_refused(ReservationClosed(R1, ReservationState.COMMITTED))
    book.when(reserve(5, order=ORDER)).then_refused(ReservationExists(R1))


@pytest.mark.parametrize(
    ("ends", "state"),
    [
        ([ReservationCommitted(R1, None, 5)], ReservationState.COMMITTED),
        ([ReservationReleased(R1, 5)], ReservationState.RELEASED),
        ([ReservationExpired(R1, 5)], ReservationState.EXPIRED),
        ([ReservationCommitted(R1, None, 1)], ReservationState.ACTIVE),
        ([ReservationReleased(R1, 1)], ReservationState.ACTIVE),
        (
            [ReservationCommitted(R1, None, 3), ReservationReleased(R1, 2)],
            ReservationState.RELEASED,
        ),
    ],
    ids=["committed", "released", "expired", "committed in part", "released in part", "mixed"],
)
def test_asking_again_for_what_is_used_or_over_names_its_state(
    ends: list[Happened], state: ReservationState
) -> None:
    given(FIVE_ADDED, FIVE_RESERVED, *ends).when(reserve(5)).then_refused(
        ReservationClosed(R1, state)
    )


def test_other_content_is_said_before_the_state_is() -> None:
    given(FIVE_ADDED, FIVE_RESERVED, ReservationReleased(R1, 5)).when(reserve(4)).then_refused(
        ReservationExists(R1)
    )


def test_an_id_can_be_used_once_only() -> None:
    given(
        FIVE_ADDED, FIVE_RESERVED, ReservationReleased(R1, 5), StockRemoved(5), StockAdded(9)
    ).when(reserve(5)).then_refused(ReservationClosed(R1, ReservationState.RELEASED))


def test_deciding_changes_nothing_by_itself() -> None:
    story = given(FIVE_ADDED)
    for _ in range(3):
        story.when(reserve(6)).then_refused(InsufficientStock([ShortLine(KETTLES, 6, 5)]))
    assert story.book.reservation(R1) is None
    assert story.book.inventory(KETTLES).version == 1
    story.when(add(1)).then(StockAdded(1))
    story.when(reserve(6, order=OrderId("o")), at=NOON).then(
        StockReserved(R1, ANA, OrderId("o"), 6, HALF_PAST)
    )
