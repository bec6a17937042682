"""A reservation is amended: it holds what the caller names, and only the difference is taken."""

from typing import Any

import pytest

from inventory_grpc.domain.catalogue import NotInCatalogue, Retired
from inventory_grpc.domain.levels import Terms
from inventory_grpc.domain.refusals import (
    CommandTooLarge,
    InsufficientStock,
    ReservationClosed,
    ReservationNotFound,
    ShortLine,
)
from inventory_grpc.domain.reservation import ReservationState, ReservedLine
from inventory_grpc.domain.reservation_facts import (
    BackorderFilled,
    ReservationCommitted,
    ReservationReleased,
    StockReserved,
)
from inventory_grpc.domain.stock import StockAdded, StockFenced, StockTermsChanged
from inventory_grpc.domain.values import MAX_LINES, Channel, Quantity, StockId
from tests.support.held import COMMITTED, EXPIRED, HALF_PAST, HELD, RELEASED, reservation
from tests.support.stories import Happened, given
from tests.support.world import (
    ANA,
    BEN,
    KETTLE,
    KETTLES,
    LISBON,
    ORDER,
    PORTO_KETTLES,
    R1,
    R2,
    TOASTERS,
    amend,
    stock,
)

WEB = Channel("web")


def more(
    units: int, *, backordered: int = 0, channel: Channel | None = None, fenced: int = 0
) -> StockReserved:
    return StockReserved(R1, ANA, None, units, HALF_PAST, backordered, channel, fenced)


def terms(**changed: Any) -> StockTermsChanged:  # noqa: ANN401  of any field
    return StockTermsChanged.to(Terms(**changed))


def test_only_the_difference_is_taken_or_given_back() -> None:
    book = (
        given(*HELD)
        .when(amend({KETTLES: 7, TOASTERS: 1}))
        .then(more(2), (TOASTERS, ReservationReleased(R1, 1)))
    )
    amended = reservation(book)
    assert amended.holds() == {KETTLES: 7, TOASTERS: 1}
    assert amended.lines[KETTLES][:4] == (7, 0, 0, 0)
    assert amended.lines[TOASTERS] == ReservedLine(2, released=1, since=4)
    assert amended.expire_time == HALF_PAST
    assert book.inventory(KETTLES).levels[:2] == (9, 7)


def test_what_it_holds_counts_as_its_own() -> None:
    """Worked example 11."""
    held: list[Happened] = [StockAdded(5), StockReserved(R1, ANA, None, 4, HALF_PAST)]
    given(*held).when(amend(6)).then_refused(InsufficientStock([ShortLine(KETTLES, 6, 5)]))
    book = given(*held).when(amend(5)).then(more(1))
    assert book.inventory(KETTLES).available == 0


def test_another_store_is_an_amendment_and_nothing_is_lost_when_it_is_short() -> None:
    """Worked example 10."""
    held: list[Happened] = [
        StockAdded(3),
        (PORTO_KETTLES, StockAdded(2)),
        StockReserved(R1, ANA, None, 3, HALF_PAST),
    ]
    to_porto = amend({PORTO_KETTLES: 3})
    given(*held).when(to_porto).then_refused(InsufficientStock([ShortLine(PORTO_KETTLES, 3, 2)]))
    book = (
        given(*held, (PORTO_KETTLES, StockAdded(1)))
        .when(to_porto)
        .then((PORTO_KETTLES, more(3)), ReservationReleased(R1, 3))
    )
    amended = reservation(book)
    assert amended.lines[KETTLES] == ReservedLine(3, released=3, since=3)
    assert amended.lines[PORTO_KETTLES] == ReservedLine(3, since=5)
    assert amended.state is ReservationState.ACTIVE


def test_named_stocks_are_changed_first_in_their_order_and_others_after_them() -> None:
    given(*HELD, (PORTO_KETTLES, StockAdded(9))).when(amend({PORTO_KETTLES: 1, TOASTERS: 3})).then(
        (PORTO_KETTLES, more(1)),
        (TOASTERS, more(1)),
        (KETTLES, ReservationReleased(R1, 5)),
    )


def test_what_is_so_already_records_nothing() -> None:
    given(*HELD).when(amend({TOASTERS: 2, KETTLES: 5})).then()


def test_what_was_committed_stays_committed() -> None:
    book = (
        given(*HELD, ReservationCommitted(R1, None, 4))
        .when(amend({KETTLES: 3, TOASTERS: 2}))
        .then(more(2))
    )
    assert reservation(book).lines[KETTLES][:4] == (7, 4, 0, 0)
    gone = (
        given(*HELD, ReservationCommitted(R1, None, 4))
        .when(amend({TOASTERS: 2}))
        .then(ReservationReleased(R1, 1))
    )
    assert reservation(gone).lines[KETTLES][:4] == (5, 4, 1, 0)


def test_what_was_committed_can_be_reserved_again() -> None:
    given(*HELD, ReservationCommitted(R1, None, 5)).when(amend({KETTLES: 1, TOASTERS: 2})).then(
        more(1)
    )


def test_customer_order_and_expiry_stay_those_of_the_reservation() -> None:
    reserved = StockReserved(R1, BEN, ORDER, 1, None)
    given(StockAdded(5), reserved).when(amend(2)).then(reserved)


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (COMMITTED, ReservationState.COMMITTED),
        (RELEASED, ReservationState.RELEASED),
        (EXPIRED, ReservationState.EXPIRED),
    ],
)
def test_one_that_holds_nothing_is_closed(end: list[Happened], state: ReservationState) -> None:
    given(*HELD, *end).when(amend(1)).then_refused(ReservationClosed(R1, state))


def test_one_that_nobody_made_is_not_found() -> None:
    given(StockAdded(5)).when(amend(1)).then_refused(ReservationNotFound(R1))


def test_a_line_beyond_what_is_in_stock_waits_unless_that_is_excluded() -> None:
    held: list[Happened] = [terms(backorder_limit=3), *HELD]
    book = given(*held).when(amend({KETTLES: 11, TOASTERS: 2})).then(more(6, backordered=2))
    assert reservation(book).lines[KETTLES].backordered == 2
    given(*held).when(amend({KETTLES: 13, TOASTERS: 2})).then_refused(
        InsufficientStock([ShortLine(KETTLES, 13, 12)])
    )
    given(*held).when(amend({KETTLES: 10, TOASTERS: 2}, in_stock_only=True)).then_refused(
        InsufficientStock([ShortLine(KETTLES, 10, 9)])
    )


def test_a_line_that_grows_is_the_youngest_and_one_that_shrinks_keeps_its_place() -> None:
    """Worked example 9, as far as it is the amendment's."""
    waiting: list[Happened] = [
        terms(backorder_limit=9),
        StockReserved(R1, ANA, None, 2, HALF_PAST, 2),
        StockReserved(R2, BEN, None, 2, HALF_PAST, 2),
    ]
    grown = given(*waiting).when(amend(3)).then(more(1, backordered=1))
    assert reservation(grown).waiting(KETTLES) == (3, 4)
    shrunk = given(*waiting).when(amend(1)).then(ReservationReleased(R1, 1, 1))
    assert reservation(shrunk).waiting(KETTLES) == (1, 2)
    filled = given(*waiting, StockAdded(2), BackorderFilled(R1, 2)).when(amend(3))
    book = filled.then(more(1, backordered=1))
    assert reservation(book).waiting(KETTLES) == (1, 6)
    assert book.inventory(KETTLES).levels.backordered == 3


def test_units_that_wait_are_given_back_before_others() -> None:
    """Worked example 8, by amending."""
    given(
        terms(backorder_limit=5), StockAdded(2), StockReserved(R1, ANA, None, 5, HALF_PAST, 3)
    ).when(amend(1)).then(ReservationReleased(R1, 4, 3))


def test_units_for_a_channel_come_from_its_fence_and_go_back_there() -> None:
    fenced: list[Happened] = [
        StockAdded(5),
        StockFenced(WEB, 3),
        StockReserved(R1, ANA, None, 1, HALF_PAST, 0, WEB, 1),
    ]
    book = given(*fenced).when(amend(4)).then(more(3, channel=WEB, fenced=2))
    assert book.inventory(KETTLES).levels.fence(WEB) == 0
    book = (
        given(*fenced, more(3, channel=WEB, fenced=2))
        .when(amend(2))
        .then(ReservationReleased(R1, 2, 0, WEB, 1))
    )
    assert book.inventory(KETTLES).levels.fence(WEB) == 1


@pytest.mark.parametrize(
    ("retired", "key"), [("product_retired", KETTLE), ("store_retired", LISBON)]
)
def test_of_what_is_retired_nothing_is_added_and_all_can_be_given_back(
    retired: str, key: object
) -> None:
    held: list[Happened] = [*HELD, terms(**{retired: True})]
    given(*held).when(amend({KETTLES: 6, TOASTERS: 2})).then_refused(Retired(key))  # type: ignore[arg-type]
    given(*held).when(amend({KETTLES: 4, TOASTERS: 2})).then(ReservationReleased(R1, 1))
    given(*held).when(amend({KETTLES: 5, TOASTERS: 3})).then((TOASTERS, more(1)))


def test_retired_is_named_before_what_is_short() -> None:
    given(*HELD, terms(product_retired=True)).when(amend({TOASTERS: 99, KETTLES: 6})).then_refused(
        Retired(KETTLE)
    )


def test_a_stock_without_history_needs_the_catalogue_to_be_added() -> None:
    story = given(*HELD)
    story.book.needs_catalogue = True
    story.when(amend({PORTO_KETTLES: 1})).then_refused(NotInCatalogue(KETTLE))
    story.when(amend({KETTLES: 4})).then(
        ReservationReleased(R1, 1), (TOASTERS, ReservationReleased(R1, 2))
    )


def numbered(first: int, count: int) -> list[StockId]:
    return [stock(f"kettle-{number}", "lisbon") for number in range(first, first + count)]


def full(ended: int = 0) -> list[Happened]:
    """Return the facts of a reservation with as many lines as one may have."""
    happened: list[Happened] = [
        (stock_id, fact)
        for stock_id in numbered(0, MAX_LINES)
        for fact in (StockAdded(2), StockReserved(R1, ANA, None, 1, HALF_PAST))
    ]
    happened += [(stock_id, ReservationReleased(R1, 1)) for stock_id in numbered(0, ended)]
    return happened


def test_it_has_at_most_500_lines_with_those_that_ended() -> None:
    [another] = numbered(MAX_LINES, 1)
    too_large = CommandTooLarge(MAX_LINES + 1, MAX_LINES, "lines")
    story = given(*full(ended=499), (another, StockAdded(2)))
    story.when(amend({another: 1})).then_refused(too_large)
    story.when(amend({another: 3})).then_refused(InsufficientStock([ShortLine(another, 3, 2)]))
    again, last = numbered(0, 1)[0], numbered(499, 1)[0]
    book = story.when(amend({again: 1})).then((again, more(1)), (last, ReservationReleased(R1, 1)))
    assert len(reservation(book).lines) == MAX_LINES


def test_all_500_lines_can_change_at_once() -> None:
    wanted = dict.fromkeys(numbered(0, MAX_LINES), 2)
    book = given(*full()).when(amend(wanted)).then(*((stock_id, more(1)) for stock_id in wanted))
    assert reservation(book).held == 2 * MAX_LINES


def test_it_reads_the_stocks_that_it_names() -> None:
    command = amend({PORTO_KETTLES: 1, KETTLES: 2})
    assert list(command.touches) == [R1, PORTO_KETTLES, KETTLES]
    assert command.cart == {PORTO_KETTLES: Quantity(1), KETTLES: Quantity(2)}
