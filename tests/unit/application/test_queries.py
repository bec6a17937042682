"""Every answer is the log at one position, at least as new as was asked for."""

import pytest

from inventory_grpc.application.failures import PositionAhead
from inventory_grpc.application.queries import Availability
from inventory_grpc.application.reading import ReservationQuery, StockQuery
from inventory_grpc.domain import stock as stock_module
from inventory_grpc.domain.event import Levels
from inventory_grpc.domain.refusals import LevelTooHigh, ReservationNotFound, StockNotFound
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import MAX_TOTAL, Instant
from tests.support.engine import Engine
from tests.support.scribe import Scribe
from tests.support.world import (
    KETTLES,
    MINUTE,
    NOON,
    PORTO_KETTLES,
    R1,
    R2,
    TOASTERS,
    add,
    cart,
    count,
    later,
    reserve,
)


@pytest.fixture
async def shop(engine: Engine) -> Engine:
    """Five kettles at noon, three of them reserved a minute later; toasters in between."""
    await engine.record(add(5))
    await engine.record(add(4, TOASTERS))
    engine.clock.go_on(MINUTE)
    await engine.record(reserve(3))
    return engine


AT_NOON = Inventory(KETTLES, Levels(5, 0), 1, NOON)
NOW = Inventory(KETTLES, Levels(5, 3), 2, later(MINUTE))


async def test_a_sum_that_does_not_fit_into_an_answer_is_refused_and_the_highest_is_told(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock_module, "MAX_LEVEL", MAX_TOTAL)
    await engine.record(count(MAX_TOTAL, expected=0))
    assert (await engine.queries.product("kettle", "", 10, 0)).value.on_hand == MAX_TOTAL
    await engine.record(add(1, PORTO_KETTLES))
    with pytest.raises(LevelTooHigh):
        await engine.queries.product("kettle", "", 10, 0)


async def test_a_stock_without_history_is_not_found(shop: Engine) -> None:
    with pytest.raises(StockNotFound):
        shop.queries.stock(PORTO_KETTLES, 0)
    with pytest.raises(StockNotFound):
        shop.queries.stock(PORTO_KETTLES, 3)


async def test_what_was_not_found_is_found_when_it_is_there(shop: Engine) -> None:
    with pytest.raises(StockNotFound):
        shop.queries.stock(PORTO_KETTLES, 0)
    await shop.record(add(1, PORTO_KETTLES))
    assert shop.queries.stock(PORTO_KETTLES, 0).value.levels == Levels(1, 0)


async def test_a_position_beyond_the_log_is_refused_by_every_query(shop: Engine) -> None:
    queries, ahead = shop.queries, 4
    with pytest.raises(PositionAhead) as refused:
        queries.stock(KETTLES, ahead)
    assert refused.value.facts() == {"position": "4", "head_position": "3"}
    with pytest.raises(PositionAhead):
        queries.reservation(R1, ahead)
    for query in (
        queries.stock_at_position(KETTLES, 1, ahead),
        queries.stock_at_position(KETTLES, ahead, 0),
        queries.stock_at_time(KETTLES, NOON, ahead),
        queries.stocks([KETTLES], ahead),
        queries.availability(cart(1), None, ahead),
        queries.product("kettle", "", 10, ahead),
        queries.list_stock(StockQuery(), 10, ahead),
        queries.list_reservations(ReservationQuery(), 10, ahead),
    ):
        with pytest.raises(PositionAhead):
            await query


async def test_every_query_says_as_of_which_position_it_is(shop: Engine) -> None:
    queries = shop.queries
    assert queries.stock(KETTLES, 3) == (NOW, 3)
    assert queries.reservation(R1, 3).as_of == 3
    assert (await queries.stocks([KETTLES], 3)).as_of == 3
    assert (await queries.availability(cart(1), None, 3)).as_of == 3
    assert (await queries.product("kettle", "", 10, 3)).as_of == 3
    assert (await queries.list_stock(StockQuery(), 10, 3)).as_of == 3
    assert (await queries.list_reservations(ReservationQuery(), 10, 3)).as_of == 3


async def test_after_an_answer_from_storage_none_from_the_cache_is_older(shop: Engine) -> None:
    assert shop.queries.stock(TOASTERS, 0) == (Inventory(TOASTERS, Levels(4, 0), 1, NOON), 3)
    # another process; this one has yet to hear of it
    await Scribe(shop.store).record(add(1), add(1, TOASTERS))
    assert (await shop.queries.stocks([KETTLES], 0)).as_of == 5
    reading = shop.queries.stock(TOASTERS, 0)
    assert (reading.value.levels, reading.as_of) == (Levels(5, 0), 5)


async def test_a_stock_is_shown_as_it_was_at_a_position(shop: Engine) -> None:
    for position, expected in ((1, AT_NOON), (2, AT_NOON), (3, NOW)):
        reading = await shop.queries.stock_at_position(KETTLES, position, 0)
        assert reading == (expected, position)
    with pytest.raises(StockNotFound):
        await shop.queries.stock_at_position(KETTLES, 0, 0)
    with pytest.raises(StockNotFound):
        await shop.queries.stock_at_position(TOASTERS, 1, 0)


async def test_a_stock_is_shown_as_it_was_at_a_time(shop: Engine) -> None:
    for time, expected in (
        (NOON, AT_NOON),
        (Instant(later(MINUTE) - 1), AT_NOON),
        (later(MINUTE), NOW),
        (later(100 * MINUTE), NOW),
    ):
        assert (await shop.queries.stock_at_time(KETTLES, time, 0)).value == expected
    with pytest.raises(StockNotFound):
        await shop.queries.stock_at_time(KETTLES, Instant(NOON - 1), 0)


async def test_of_several_stocks_those_with_a_history_are_shown(shop: Engine) -> None:
    reading = await shop.queries.stocks([PORTO_KETTLES, KETTLES], 0)
    assert reading.value == {KETTLES: NOW}


async def test_a_reservation_that_nobody_made_is_not_found(shop: Engine) -> None:
    assert shop.queries.reservation(R1, 0).value.holds() == {KETTLES: 3}
    with pytest.raises(ReservationNotFound):
        shop.queries.reservation(R2, 0)
    with pytest.raises(ReservationNotFound):
        await shop.queries.availability(cart(1), R2, 0)


async def test_every_line_of_a_cart_is_told_in_order(shop: Engine) -> None:
    wanted = cart({PORTO_KETTLES: 1, KETTLES: 3, TOASTERS: 4})
    lines = (await shop.queries.availability(wanted, None, 0)).value
    assert lines == [
        Availability(PORTO_KETTLES, requested=1, available=0),
        Availability(KETTLES, requested=3, available=2),
        Availability(TOASTERS, requested=4, available=4),
    ]
    assert [line.shortfall for line in lines] == [1, 1, 0]


async def test_the_holds_of_ones_own_reservation_do_not_count_against_it(shop: Engine) -> None:
    (line,) = (await shop.queries.availability(cart(5), R1, 0)).value
    assert line == Availability(KETTLES, requested=5, available=5)
    await shop.record(count(1, expected=None))
    (line,) = (await shop.queries.availability(cart(5), R1, 0)).value
    assert line == Availability(KETTLES, requested=5, available=1)
