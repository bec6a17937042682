"""Of a cart of which not everything can be had, a part is reserved if the caller says so."""

from typing import Any

import pytest

from inventory_grpc.domain.catalogue import Retired
from inventory_grpc.domain.levels import Terms
from inventory_grpc.domain.promises import Asked, Mode
from inventory_grpc.domain.refusals import (
    InsufficientStock,
    LevelTooHigh,
    ReservationClosed,
    ReservationExists,
    ShortLine,
)
from inventory_grpc.domain.reservation import ReservationState
from inventory_grpc.domain.reservation_facts import ReservationCommitted, StockReserved
from inventory_grpc.domain.stock import StockAdded, StockFenced, StockTermsChanged
from inventory_grpc.domain.values import MAX_LEVEL, Channel
from tests.support.stories import Happened, given
from tests.support.world import (
    ANA,
    BEN,
    KETTLE,
    KETTLES,
    MINUTE,
    PORTO_KETTLES,
    R1,
    R2,
    TOASTERS,
    later,
    reserve,
)

HALF_PAST = later(30 * MINUTE)
WEB, VIP = Channel("web"), Channel("vip")
LINES = Asked(mode=Mode.PARTIAL_LINES)
QUANTITY = Asked(mode=Mode.PARTIAL_QUANTITY)
IN_STOCK = Asked(in_stock_only=True)
BOTH: list[Happened] = [StockAdded(3), (TOASTERS, StockAdded(2))]
CART = {KETTLES: 4, TOASTERS: 2}


def held(
    units: int, backordered: int = 0, channel: Channel | None = None, fenced: int = 0
) -> StockReserved:
    return StockReserved(R1, ANA, None, units, HALF_PAST, backordered, channel, fenced)


def terms(**changed: Any) -> StockTermsChanged:  # noqa: ANN401  of any field
    return StockTermsChanged.to(Terms(**changed))


def test_each_mode_takes_its_part_of_a_cart() -> None:
    """Worked example 32."""
    given(*BOTH).when(reserve(CART)).then_refused(InsufficientStock([ShortLine(KETTLES, 4, 3)]))
    given(*BOTH).when(reserve(CART, asked=LINES)).then((TOASTERS, held(2)))
    given(*BOTH).when(reserve(CART, asked=QUANTITY)).then(held(3), (TOASTERS, held(2)))


@pytest.mark.parametrize("asked", [LINES, QUANTITY])
def test_a_cart_that_can_be_had_is_reserved_whole(asked: Asked) -> None:
    given(*BOTH).when(reserve({KETTLES: 3, TOASTERS: 2}, asked=asked)).then(
        held(3), (TOASTERS, held(2))
    )


@pytest.mark.parametrize("asked", [LINES, QUANTITY])
def test_where_nothing_can_be_had_it_is_refused_with_every_line(asked: Asked) -> None:
    short = [ShortLine(PORTO_KETTLES, 1, 0), ShortLine(TOASTERS, 2, 0)]
    given(StockAdded(3)).when(reserve({PORTO_KETTLES: 1, TOASTERS: 2}, asked=asked)).then_refused(
        InsufficientStock(short)
    )


def test_of_lines_that_cannot_be_met_whole_it_says_what_there_was() -> None:
    given(*BOTH).when(reserve({KETTLES: 4, TOASTERS: 3}, asked=LINES)).then_refused(
        InsufficientStock([ShortLine(KETTLES, 4, 3), ShortLine(TOASTERS, 3, 2)])
    )


@pytest.mark.parametrize("asked", [LINES, QUANTITY])
def test_of_what_is_retired_a_partial_cart_just_has_nothing(asked: Asked) -> None:
    story = given(*BOTH, terms(product_retired=True))
    story.when(reserve({KETTLES: 1, TOASTERS: 2}, asked=asked)).then((TOASTERS, held(2)))
    story.when(reserve(1, R2)).then_refused(Retired(KETTLE))
    story.when(reserve(1, R2, asked=asked)).then_refused(
        InsufficientStock([ShortLine(KETTLES, 1, 0)])
    )


def test_what_waits_is_a_part_that_can_be_had_unless_that_is_excluded() -> None:
    story = given(terms(backorder_limit=5), *BOTH)
    story.when(reserve({KETTLES: 9, TOASTERS: 9}, asked=QUANTITY)).then(
        held(8, 5), (TOASTERS, held(2))
    )
    lines = reserve({KETTLES: 8, TOASTERS: 9}, asked=LINES)
    given(terms(backorder_limit=5), *BOTH).when(lines).then(held(8, 5))
    asked = QUANTITY._replace(in_stock_only=True)
    given(terms(backorder_limit=5), *BOTH).when(reserve({KETTLES: 9}, asked=asked)).then(held(3))


def test_in_stock_only_backorders_nothing() -> None:
    story = given(terms(backorder_limit=5), StockAdded(3))
    story.when(reserve(4, asked=IN_STOCK)).then_refused(
        InsufficientStock([ShortLine(KETTLES, 4, 3)])
    )
    story.when(reserve(9)).then_refused(InsufficientStock([ShortLine(KETTLES, 9, 8)]))
    story.when(reserve(3, asked=IN_STOCK)).then(held(3))


def test_a_channel_takes_from_its_fence_first_and_others_cannot() -> None:
    story = given(StockAdded(5), StockFenced(VIP, 3))
    story.when(reserve(5)).then_refused(InsufficientStock([ShortLine(KETTLES, 5, 2)]))
    story.when(reserve(3, asked=Asked(WEB))).then_refused(
        InsufficientStock([ShortLine(KETTLES, 3, 2)])
    )
    story.when(reserve(2, asked=Asked(VIP))).then(held(2, 0, VIP, 2))
    given(StockAdded(5), StockFenced(VIP, 3)).when(reserve(9, asked=Asked(VIP, mode=Mode(2)))).then(
        held(5, 0, VIP, 3)
    )


def test_a_channel_without_a_fence_is_a_name() -> None:
    book = given(*BOTH).when(reserve(3, asked=Asked(WEB))).then(held(3, 0, WEB))
    reservation = book.reservation(R1)
    assert reservation is not None
    assert reservation.channel == WEB


def test_a_partial_reservation_is_repeated_by_what_was_asked_for() -> None:
    """The same if every line that was promised was asked for, at no less."""
    story = given(held(3), (TOASTERS, held(2)))
    story.when(reserve(CART, asked=QUANTITY)).then()
    story.when(reserve({KETTLES: 3, TOASTERS: 2, PORTO_KETTLES: 9}, asked=LINES)).then()
    story.when(reserve({KETTLES: 3, TOASTERS: 2})).then()
    for other in ({KETTLES: 2, TOASTERS: 2}, {KETTLES: 4}):
        story.when(reserve(other, asked=QUANTITY)).then_refused(ReservationExists(R1))
    story.when(reserve(CART)).then_refused(ReservationExists(R1))
    story.when(reserve(CART, customer=BEN, asked=QUANTITY)).then_refused(ReservationExists(R1))


def test_the_channel_is_compared_and_in_stock_only_is_not() -> None:
    story = given(StockAdded(5), held(3, 0, WEB))
    story.when(reserve(3, asked=Asked(WEB, in_stock_only=True))).then()
    for channel in (None, VIP):
        story.when(reserve(3, asked=Asked(channel))).then_refused(ReservationExists(R1))


def test_a_partial_reservation_that_is_used_in_part_is_closed() -> None:
    given(*BOTH, held(3), ReservationCommitted(R1, None, 1)).when(
        reserve(CART, asked=QUANTITY)
    ).then_refused(ReservationClosed(R1, ReservationState.ACTIVE))


def test_no_more_can_be_reserved_than_can_be_counted() -> None:
    story = given(
        terms(backorder_limit=MAX_LEVEL),
        StockAdded(MAX_LEVEL),
        StockReserved(R2, BEN, None, MAX_LEVEL - 2, None),
    )
    story.when(reserve(3)).then_refused(LevelTooHigh(KETTLES, MAX_LEVEL + 1, "reserved"))
    story.when(reserve(2)).then(held(2))


def test_no_more_can_be_reserved_out_of_a_fence_than_can_be_counted() -> None:
    story = given(
        terms(backorder_limit=MAX_LEVEL),
        StockAdded(3),
        StockFenced(VIP, 3),
        StockReserved(R2, BEN, None, MAX_LEVEL - 2, None, MAX_LEVEL - 2),
    )
    asked = Asked(VIP)
    story.when(reserve(3, asked=asked)).then_refused(
        LevelTooHigh(KETTLES, MAX_LEVEL + 1, "reserved")
    )
    story.when(reserve(2, asked=asked)).then(held(2, 0, VIP, 2))
