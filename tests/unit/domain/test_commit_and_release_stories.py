"""A reservation is committed, and its goods leave; or it is released."""

from collections.abc import Callable

import pytest

from inventory_grpc.domain.book import Command
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import (
    ExceedsReservation,
    InsufficientStock,
    ReservationClosed,
    ReservationNotFound,
    ShortLine,
)
from inventory_grpc.domain.reservation import ReservationState, ReservedLine
from inventory_grpc.domain.reservation_facts import (
    ReservationCommitted,
    ReservationReleased,
    StockReserved,
)
from inventory_grpc.domain.stock import StockAdded, StockAdjusted
from inventory_grpc.domain.values import SELLABLE, Instant, Never, OrderId, Until
from tests.support.held import COMMITTED, EXPIRED, HELD, RELEASED, reservation
from tests.support.stories import Happened, given
from tests.support.world import (
    ANA,
    HALF_AN_HOUR,
    KETTLES,
    ORDER,
    PORTO_KETTLES,
    R1,
    TOASTERS,
    Wanted,
    commit,
    extend,
    release,
)

Ask = Callable[[Wanted], Command]


def test_a_commit_without_lines_takes_all_that_is_held() -> None:
    book = (
        given(*HELD)
        .when(commit(order=ORDER))
        .then(
            ReservationCommitted(R1, ORDER, 5),
            (TOASTERS, ReservationCommitted(R1, ORDER, 2)),
        )
    )
    assert book.inventory(KETTLES).levels == Levels(4, 0)
    assert book.inventory(TOASTERS).levels == Levels(7, 0)
    assert reservation(book).state is ReservationState.COMMITTED


def test_a_commit_with_lines_takes_so_many_more() -> None:
    book = given(*HELD).when(commit({KETTLES: 2})).then(ReservationCommitted(R1, None, 2))
    assert reservation(book).lines[KETTLES] == ReservedLine(5, committed=2, since=3)
    assert reservation(book).state is ReservationState.ACTIVE
    given(*HELD, ReservationCommitted(R1, None, 2)).when(commit({KETTLES: 2})).then(
        ReservationCommitted(R1, None, 2)
    )


def test_what_is_left_can_be_committed_without_naming_it() -> None:
    given(*HELD, ReservationCommitted(R1, None, 5), (TOASTERS, ReservationReleased(R1, 1))).when(
        commit()
    ).then((TOASTERS, ReservationCommitted(R1, None, 1)))


def test_a_commit_is_in_the_order_of_its_own_lines() -> None:
    given(*HELD).when(commit({TOASTERS: 1, KETTLES: 1})).then(
        (TOASTERS, ReservationCommitted(R1, None, 1)),
        (KETTLES, ReservationCommitted(R1, None, 1)),
    )


def test_what_is_not_on_hand_cannot_leave() -> None:
    given(*HELD, StockAdjusted(-6, counted=3)).when(commit()).then_refused(
        InsufficientStock([ShortLine(KETTLES, asked=5, available=3)], SELLABLE)
    )


def test_a_shortfall_cancels_no_hold_and_a_part_can_be_committed() -> None:
    book = (
        given(*HELD, StockAdjusted(-6, counted=3))
        .when(commit({KETTLES: 3}))
        .then(ReservationCommitted(R1, None, 3))
    )
    assert reservation(book).lines[KETTLES] == ReservedLine(5, committed=3, since=3)
    assert reservation(book).state is ReservationState.ACTIVE
    assert book.inventory(KETTLES).levels == Levels(0, 2)


def test_while_there_is_a_shortfall_who_comes_first_is_served() -> None:
    given(*HELD, StockAdjusted(-6, counted=3)).when(commit({KETTLES: 3})).then(
        ReservationCommitted(R1, None, 3)
    )


def test_the_order_is_the_one_named_when_reserving_else_by_the_first_commit_that_named_one() -> (
    None
):
    first, second = OrderId("first"), OrderId("second")
    book = (
        given(*HELD, ReservationCommitted(R1, None, 1), ReservationCommitted(R1, first, 1))
        .when(commit({KETTLES: 1}, order=second))
        .then(ReservationCommitted(R1, second, 1))
    )
    assert reservation(book).order_id == first
    named = given(
        StockAdded(5), StockReserved(R1, ANA, ORDER, 5, None), ReservationCommitted(R1, second, 1)
    )
    assert reservation(named.book).order_id == ORDER


def test_a_release_gives_back_what_is_held() -> None:
    book = (
        given(*HELD, ReservationCommitted(R1, None, 2))
        .when(release())
        .then(ReservationReleased(R1, 3), (TOASTERS, ReservationReleased(R1, 2)))
    )
    assert book.inventory(KETTLES).levels == Levels(7, 0)
    assert reservation(book).state is ReservationState.RELEASED
    assert reservation(book).lines[KETTLES] == ReservedLine(5, committed=2, released=3, since=3)


def test_a_release_with_lines_gives_back_so_many_more() -> None:
    given(*HELD, ReservationReleased(R1, 4)).when(release({KETTLES: 1, TOASTERS: 1})).then(
        ReservationReleased(R1, 1), (TOASTERS, ReservationReleased(R1, 1))
    )


def test_a_release_does_not_need_the_units_to_be_on_hand() -> None:
    book = (
        given(*HELD, StockAdjusted(-9, counted=0))
        .when(release({KETTLES: 5}))
        .then(ReservationReleased(R1, 5))
    )
    assert book.inventory(KETTLES).levels == Levels(0, 0)


@pytest.mark.parametrize("ask", [commit, release])
def test_more_than_is_held_exceeds_the_reservation(ask: Ask) -> None:
    given(*HELD).when(ask({KETTLES: 6, TOASTERS: 1})).then_refused(
        ExceedsReservation([ShortLine(KETTLES, asked=6, available=5)], R1)
    )
    given(*HELD, ReservationCommitted(R1, None, 4)).when(ask({KETTLES: 2})).then_refused(
        ExceedsReservation([ShortLine(KETTLES, asked=2, available=1)], R1)
    )


@pytest.mark.parametrize("ask", [commit, release])
def test_a_line_that_is_not_in_it_exceeds_it(ask: Ask) -> None:
    given(*HELD).when(ask({KETTLES: 1, PORTO_KETTLES: 1})).then_refused(
        ExceedsReservation([ShortLine(PORTO_KETTLES, asked=1, available=0)], R1)
    )
    given(*HELD, ReservationReleased(R1, 5)).when(ask({KETTLES: 1})).then_refused(
        ExceedsReservation([ShortLine(KETTLES, asked=1, available=0)], R1)
    )


def test_committing_all_again_changes_nothing() -> None:
    given(*HELD, *COMMITTED).when(commit()).then()
    given(*HELD, *COMMITTED).when(commit(order=ORDER)).then()


@pytest.mark.parametrize("ends", [RELEASED, EXPIRED], ids=["released", "expired"])
def test_releasing_all_again_changes_nothing(ends: list[Happened]) -> None:
    given(*HELD, *ends).when(release()).then()


ANYTHING_ELSE: list[tuple[list[Happened], ReservationState, list[Command]]] = [
    (
        COMMITTED,
        ReservationState.COMMITTED,
        [commit({KETTLES: 1}), release(), release({KETTLES: 1}), extend(Never())],
    ),
    (
        RELEASED,
        ReservationState.RELEASED,
        [commit(), commit({KETTLES: 1}), release({KETTLES: 1}), extend(HALF_AN_HOUR)],
    ),
    (
        EXPIRED,
        ReservationState.EXPIRED,
        [commit(), commit({KETTLES: 1}), release({KETTLES: 1}), extend(Until(Instant(0)))],
    ),
]


@pytest.mark.parametrize(
    ("ends", "state", "commands"), ANYTHING_ELSE, ids=lambda value: str(value)[:9]
)
def test_anything_else_on_a_closed_reservation_is_refused_naming_its_state(
    ends: list[Happened], state: ReservationState, commands: list[Command]
) -> None:
    for command in commands:
        given(*HELD, *ends).when(command).then_refused(ReservationClosed(R1, state))


def test_the_state_is_what_became_of_the_last_units_held() -> None:
    first = (TOASTERS, ReservationReleased(R1, 2))
    book = given(*HELD, first).when(commit()).then(ReservationCommitted(R1, None, 5))
    assert reservation(book).state is ReservationState.COMMITTED
    given(*HELD, first, ReservationCommitted(R1, None, 5)).when(commit()).then()
    given(*HELD, first, ReservationCommitted(R1, None, 5)).when(release()).then_refused(
        ReservationClosed(R1, ReservationState.COMMITTED)
    )


@pytest.mark.parametrize(
    "command", [commit(), commit(1), release(), release(1), extend(Never())], ids=repr
)
def test_a_reservation_that_nobody_made_is_not_found(command: Command) -> None:
    given(StockAdded(5)).when(command).then_refused(ReservationNotFound(R1))
