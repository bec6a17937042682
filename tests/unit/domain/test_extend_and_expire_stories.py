"""A reservation is extended, or it expires."""

import pytest

from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import (
    InvalidValue,
    Violation,
)
from inventory_grpc.domain.reservation import ReservationState, ReservedLine
from inventory_grpc.domain.reservation_facts import (
    ReservationCommitted,
    ReservationExpired,
    ReservationExtended,
    ReservationReleased,
    StockReserved,
)
from inventory_grpc.domain.stock import StockAdded
from inventory_grpc.domain.values import Instant, Never, Ttl, Until
from tests.support.held import COMMITTED, EXPIRED, HALF_PAST, HELD, RELEASED, reservation
from tests.support.stories import Happened, MemoryBook, given
from tests.support.world import (
    ANA,
    DAY,
    KETTLES,
    MINUTE,
    NOON,
    ORDER,
    R1,
    SECOND,
    TOASTERS,
    extend,
    later,
)


def test_extending_sets_the_time_asked_for_on_every_line_still_held() -> None:
    for expiration, at in (
        (Ttl(MINUTE), later(10 * MINUTE + MINUTE)),
        (Until(later(DAY)), later(DAY)),
        (Until(later(11 * MINUTE)), later(11 * MINUTE)),
        (Never(), None),
    ):
        book = (
            given(*HELD, ReservationCommitted(R1, None, 2))
            .when(extend(expiration), at=later(10 * MINUTE))
            .then(
                ReservationExtended(R1, 3, at),
                (TOASTERS, ReservationExtended(R1, 2, at)),
            )
        )
        assert reservation(book).expire_time == at
        assert book.inventory(KETTLES).levels == Levels(7, 3)


def test_a_line_that_holds_nothing_is_left_out_of_an_extension() -> None:
    given(*HELD, ReservationReleased(R1, 5)).when(extend(Never())).then(
        (TOASTERS, ReservationExtended(R1, 2, None))
    )


def test_extending_to_the_time_it_has_changes_nothing() -> None:
    given(*HELD).when(extend(Until(HALF_PAST))).then()
    given(StockAdded(5), StockReserved(R1, ANA, None, 5, None)).when(extend(Never())).then()


@pytest.mark.parametrize("ahead", [-DAY, 0, SECOND - 1, 30 * DAY + 1])
def test_it_cannot_be_kept_until_a_time_too_soon_or_too_late(ahead: int) -> None:
    problem = (
        "must be from 1 second to 30 days ahead of the server's time, which is 2026-03-02T12:00:00Z"
    )
    given(*HELD).when(extend(Until(later(ahead)))).then_refused(
        InvalidValue([Violation("expire_time", problem)])
    )


def test_a_hold_counts_strictly_before_its_time() -> None:
    held = reservation(given(*HELD).book)
    assert not held.is_due(Instant(HALF_PAST - 1))
    assert held.is_due(HALF_PAST)
    assert held.is_due(Instant(HALF_PAST + 1))


@pytest.mark.parametrize("ends", [COMMITTED, RELEASED, EXPIRED], ids=["c", "r", "e"])
def test_what_holds_nothing_is_never_due(ends: list[Happened]) -> None:
    assert not reservation(given(*HELD, *ends).book).is_due(later(DAY))


def test_what_never_ends_is_never_due() -> None:
    story = given(StockAdded(5), StockReserved(R1, ANA, None, 5, None))
    assert not reservation(story.book).is_due(later(10_000 * DAY))


def test_an_expiry_lets_go_of_all_that_is_still_held_and_of_nothing_else() -> None:
    story = given(*HELD, ReservationCommitted(R1, None, 4))
    movements = reservation(story.book).expire()
    assert movements == [
        (KETTLES, ReservationExpired(R1, 1)),
        (TOASTERS, ReservationExpired(R1, 2)),
    ]
    for movement in movements:
        story.book.record(movement)
    over = reservation(story.book)
    assert over.state is ReservationState.EXPIRED
    assert over.lines[KETTLES] == ReservedLine(5, committed=4, expired=1, since=3)
    assert story.book.inventory(KETTLES).levels == Levels(5, 0)
    assert over.expire() == []


def test_every_unit_is_held_or_has_met_one_of_three_ends() -> None:
    line = ReservedLine(10, committed=1, released=2, expired=3)
    assert line.held == 4


def test_a_reservation_is_untouched_while_all_of_it_is_held() -> None:
    assert reservation(given(*HELD).book).is_untouched()
    assert not reservation(given(*HELD, ReservationReleased(R1, 1)).book).is_untouched()


def test_it_remembers_who_and_when_and_the_reference_of_the_call_that_made_it() -> None:
    book = MemoryBook(NOON)
    book.record((KETTLES, StockAdded(5)), Cause(reference="a delivery"))
    book.now = later(MINUTE)
    made = (KETTLES, StockReserved(R1, ANA, ORDER, 5, HALF_PAST))
    book.record(made, Cause(reference="basket 3"))
    book.record((KETTLES, ReservationReleased(R1, 1)), Cause(reference="a return"))
    held = reservation(book)
    assert (held.customer_id, held.order_id, held.reference) == (ANA, ORDER, "basket 3")
    assert (held.create_time, held.expire_time) == (later(MINUTE), HALF_PAST)
    assert held.position == 3


def test_a_reservation_once_read_stays_what_it_was() -> None:
    book = given(*HELD).book
    before = reservation(book)
    book.record((KETTLES, ReservationReleased(R1, 5)))
    assert before.holds() == {KETTLES: 5, TOASTERS: 2}
    assert reservation(book).holds() == {TOASTERS: 2}
