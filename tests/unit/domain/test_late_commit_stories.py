"""A commit that comes after the hold has expired gets the units that are still available."""

from typing import Any

import pytest

from inventory_grpc.domain.catalogue import Retired
from inventory_grpc.domain.levels import Terms
from inventory_grpc.domain.refusals import (
    ExceedsReservation,
    InsufficientStock,
    ReservationClosed,
    ShortLine,
)
from inventory_grpc.domain.reservation import ReservationState, ReservedLine
from inventory_grpc.domain.reservation_facts import (
    ReservationCommitted,
    ReservationExpired,
    ReservationReacquired,
    ReservationReleased,
    StockReserved,
)
from inventory_grpc.domain.stock import StockAdded, StockFenced, StockTermsChanged
from inventory_grpc.domain.values import Channel
from tests.support.held import COMMITTED, EXPIRED, HALF_PAST, HELD, RELEASED, reservation
from tests.support.stories import Happened, given
from tests.support.world import (
    ANA,
    BEN,
    KETTLE,
    KETTLES,
    ORDER,
    PORTO_KETTLES,
    R1,
    R2,
    TOASTERS,
    commit,
    release,
)

VIP = Channel("vip")
LATE = commit(reacquire=True)


def terms(**changed: Any) -> StockTermsChanged:  # noqa: ANN401  of any field
    return StockTermsChanged.to(Terms(**changed))


def test_all_that_expired_is_committed_if_it_is_still_available() -> None:
    book = (
        given(*HELD, *EXPIRED)
        .when(commit(order=ORDER, reacquire=True))
        .then(
            ReservationReacquired(R1, ORDER, 5),
            (TOASTERS, ReservationReacquired(R1, ORDER, 2)),
        )
    )
    late = reservation(book)
    assert late.lines[KETTLES] == ReservedLine(5, committed=5, since=3)
    assert (late.state, late.order_id) == (ReservationState.COMMITTED, ORDER)
    assert book.inventory(KETTLES).levels[:2] == (4, 0)


def test_what_others_have_reserved_since_is_not_taken() -> None:
    """Worked example 12."""
    gone: list[Happened] = [
        StockAdded(5),
        StockReserved(R1, ANA, None, 3, HALF_PAST),
        ReservationExpired(R1, 3),
        StockReserved(R2, BEN, None, 3, None),
    ]
    given(*gone).when(LATE).then_refused(InsufficientStock([ShortLine(KETTLES, 3, 2)]))
    book = given(*gone, ReservationReleased(R2, 3)).when(LATE)
    after = book.then(ReservationReacquired(R1, None, 3))
    assert after.inventory(KETTLES).levels[:2] == (2, 0)
    assert reservation(after).lines[KETTLES][:4] == (3, 3, 0, 0)


def test_with_lines_so_many_of_it_are_committed_and_more_later() -> None:
    some = commit({KETTLES: 2}, reacquire=True)
    book = given(*HELD, *EXPIRED).when(some).then(ReservationReacquired(R1, None, 2))
    late = reservation(book)
    assert late.lines[KETTLES] == ReservedLine(5, committed=2, expired=3, since=3)
    assert late.state is ReservationState.COMMITTED
    again = given(*HELD, *EXPIRED, ReservationReacquired(R1, None, 2))
    again.when(LATE).then()
    again.when(commit({KETTLES: 3}, reacquire=True)).then(ReservationReacquired(R1, None, 3))


def test_of_a_line_no_more_than_has_expired() -> None:
    given(*HELD, *EXPIRED).when(
        commit({TOASTERS: 3, PORTO_KETTLES: 1}, reacquire=True)
    ).then_refused(
        ExceedsReservation([ShortLine(TOASTERS, 3, 2), ShortLine(PORTO_KETTLES, 1, 0)], R1)
    )


def test_what_was_committed_or_released_before_stays_so() -> None:
    part: list[Happened] = [
        ReservationCommitted(R1, None, 1),
        ReservationReleased(R1, 1),
        ReservationExpired(R1, 3),
        (TOASTERS, ReservationExpired(R1, 2)),
    ]
    book = given(*HELD, *part).when(LATE)
    after = book.then(
        ReservationReacquired(R1, None, 3), (TOASTERS, ReservationReacquired(R1, None, 2))
    )
    assert reservation(after).lines[KETTLES] == ReservedLine(5, 4, 1, 0, since=3)


def test_one_of_which_nothing_expired_is_closed() -> None:
    given(*HELD, *RELEASED).when(LATE).then_refused(
        ReservationClosed(R1, ReservationState.RELEASED)
    )
    given(*HELD, *COMMITTED).when(commit({KETTLES: 1}, reacquire=True)).then_refused(
        ReservationClosed(R1, ReservationState.COMMITTED)
    )
    given(*HELD, *COMMITTED).when(LATE).then()


def test_without_the_flag_it_stays_closed() -> None:
    given(*HELD, *EXPIRED).when(commit()).then_refused(
        ReservationClosed(R1, ReservationState.EXPIRED)
    )


def test_while_units_are_held_the_flag_changes_nothing() -> None:
    story = given(*HELD, (TOASTERS, ReservationExpired(R1, 2)))
    story.when(LATE).then(ReservationCommitted(R1, None, 5))
    story = given(*HELD, (TOASTERS, ReservationExpired(R1, 2)))
    story.when(commit({TOASTERS: 1}, reacquire=True)).then_refused(
        ExceedsReservation([ShortLine(TOASTERS, 1, 0)], R1)
    )


def test_it_takes_nothing_that_waits_or_is_kept() -> None:
    expired: list[Happened] = [
        StockAdded(3),
        StockReserved(R1, ANA, None, 3, HALF_PAST),
        ReservationExpired(R1, 3),
    ]
    given(*expired, terms(backorder_limit=9, safety_stock=1)).when(LATE).then_refused(
        InsufficientStock([ShortLine(KETTLES, 3, 2)])
    )
    given(*expired, StockFenced(VIP, 2)).when(LATE).then_refused(
        InsufficientStock([ShortLine(KETTLES, 3, 1)])
    )


def test_for_a_channel_it_uses_up_the_fence_first() -> None:
    book = given(
        StockAdded(5),
        StockFenced(VIP, 2),
        StockReserved(R1, ANA, None, 3, HALF_PAST, 0, VIP, 2),
        ReservationExpired(R1, 3, 0, VIP, 2),
    ).when(LATE)
    after = book.then(ReservationReacquired(R1, None, 3, VIP, 2))
    assert after.inventory(KETTLES).levels.fences == ()
    assert after.inventory(KETTLES).levels[:2] == (2, 0)


def test_nothing_that_is_retired_is_had_again() -> None:
    story = given(*HELD, *EXPIRED, terms(product_retired=True))
    story.when(LATE).then_refused(Retired(KETTLE))
    story.when(commit({TOASTERS: 2}, reacquire=True)).then(
        (TOASTERS, ReservationReacquired(R1, None, 2))
    )


@pytest.mark.parametrize("cart", [0, {KETTLES: 1}])
def test_after_it_nothing_is_left_to_release(cart: Any) -> None:  # noqa: ANN401  0 is all
    reacquired: list[Happened] = [
        ReservationReacquired(R1, None, 5),
        (TOASTERS, ReservationReacquired(R1, None, 2)),
    ]
    given(*HELD, *EXPIRED, *reacquired).when(release(cart)).then_refused(
        ReservationClosed(R1, ReservationState.COMMITTED)
    )
