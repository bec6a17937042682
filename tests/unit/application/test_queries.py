"""Every answer reflects the log at one position, at least as new as was asked for."""

import pytest

from inventory_grpc.application.failures import PositionAhead
from inventory_grpc.application.queries.reservation import ReservationQuery, find_reservation
from inventory_grpc.application.queries.stock import (
    Availability,
    ProductInventoryById,
    StockQuery,
    StocksById,
    availability,
    find_product_inventory,
    find_stock,
)
from inventory_grpc.domain import stock as stock_module
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.promises import Asked
from inventory_grpc.domain.refusals import LevelTooHigh, ReservationNotFound, StockNotFound
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import MAX_TOTAL, Instant, ReservationId
from tests.support.engine import Engine
from tests.support.scribe import Scribe
from tests.support.terms import terms
from tests.support.world import (
    KETTLES,
    MINUTE,
    NOON,
    PORTO_KETTLES,
    R1,
    R2,
    TOASTERS,
    VIP,
    add,
    cart,
    count,
    fence,
    later,
    release,
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
    assert (
        await find_product_inventory(
            engine.queries.latest(), ProductInventoryById("kettle", limit=10)
        )
    ).value.total.on_hand == MAX_TOTAL
    await engine.record(add(1, PORTO_KETTLES))
    with pytest.raises(LevelTooHigh):
        await find_product_inventory(
            engine.queries.latest(), ProductInventoryById("kettle", limit=10)
        )


async def test_a_stock_without_history_is_not_found(shop: Engine) -> None:
    with pytest.raises(StockNotFound):
        await find_stock(shop.queries.latest(), PORTO_KETTLES)
    with pytest.raises(StockNotFound):
        await find_stock(shop.queries.latest(3), PORTO_KETTLES)


async def test_what_was_not_found_is_found_when_it_is_there(shop: Engine) -> None:
    with pytest.raises(StockNotFound):
        await find_stock(shop.queries.latest(), PORTO_KETTLES)
    await shop.record(add(1, PORTO_KETTLES))
    assert (await shop.queries.latest().get(PORTO_KETTLES)).value.levels == Levels(1, 0)


async def test_a_position_beyond_the_log_is_refused_by_every_query(shop: Engine) -> None:
    queries, ahead = shop.queries, 4
    with pytest.raises(PositionAhead) as refused:
        await find_stock(queries.latest(ahead), KETTLES)
    assert refused.value.facts() == {"position": "4", "head_position": "3"}
    for query in (
        queries.at_position(1, ahead),
        queries.at_position(ahead),
        queries.at_time(NOON, ahead),
        find_reservation(queries.latest(ahead), R1),
        availability(queries.latest(ahead), cart(1)),
        find_product_inventory(queries.latest(ahead), ProductInventoryById("kettle", limit=10)),
        queries.latest(ahead).read(StocksById([KETTLES])),
        queries.latest(ahead).read(StockQuery(limit=10)),
        queries.latest(ahead).read(ReservationQuery(limit=10)),
    ):
        with pytest.raises(PositionAhead):
            await query


async def test_every_query_says_as_of_which_position_it_is(shop: Engine) -> None:
    queries = shop.queries
    assert (await queries.latest(3).get(KETTLES)) == (NOW, 3)
    assert (await queries.latest(3).get(R1)).as_of == 3
    assert (await queries.latest(3).read(StocksById([KETTLES]))).as_of == 3
    assert (await availability(queries.latest(3), cart(1))).as_of == 3
    assert (
        await find_product_inventory(queries.latest(3), ProductInventoryById("kettle", limit=10))
    ).as_of == 3
    assert (await queries.latest(3).read(StockQuery(limit=10))).as_of == 3
    assert (await queries.latest(3).read(ReservationQuery(limit=10))).as_of == 3


async def test_after_an_answer_from_storage_none_from_the_cache_is_older(shop: Engine) -> None:
    answer = await shop.stocks.get(TOASTERS)
    assert (answer.stock.on_hand, answer.as_of_position) == (4, 3)
    # another process; this one has yet to hear of it
    await Scribe(shop.store).record(add(1), add(1, TOASTERS))
    assert (await shop.stocks.get(TOASTERS)).as_of_position == 3, "from the cache"
    assert (await shop.queries.latest().read(StocksById([KETTLES]))).as_of == 5
    answer = await shop.stocks.get(TOASTERS)
    assert (answer.stock.on_hand, answer.as_of_position) == (5, 5)


async def test_after_a_look_at_a_position_none_from_the_cache_is_older(shop: Engine) -> None:
    await shop.stocks.get(TOASTERS)
    await Scribe(shop.store).record(add(1, TOASTERS))  # another process, as above
    await find_stock(await shop.queries.at_position(4), TOASTERS)
    answer = await shop.stocks.get(TOASTERS)
    assert (answer.stock.on_hand, answer.as_of_position) == (5, 4)
    await Scribe(shop.store).record(add(1, TOASTERS))
    await find_stock(await shop.queries.at_time(later(100 * MINUTE)), TOASTERS)
    answer = await shop.stocks.get(TOASTERS)
    assert (answer.stock.on_hand, answer.as_of_position) == (6, 5)


async def test_a_stock_is_shown_as_it_was_at_a_position(shop: Engine) -> None:
    for position, expected in ((1, AT_NOON), (2, AT_NOON), (3, NOW)):
        reading = await find_stock(await shop.queries.at_position(position), KETTLES)
        assert reading == (expected, position)
    with pytest.raises(StockNotFound):
        await find_stock(await shop.queries.at_position(0), KETTLES)
    with pytest.raises(StockNotFound):
        await find_stock(await shop.queries.at_position(1), TOASTERS)


async def test_a_stock_is_shown_as_it_was_at_a_time(shop: Engine) -> None:
    for time, expected in (
        (NOON, AT_NOON),
        (Instant(later(MINUTE) - 1), AT_NOON),
        (later(MINUTE), NOW),
        (later(100 * MINUTE), NOW),
    ):
        assert (await find_stock(await shop.queries.at_time(time), KETTLES)).value == expected
    with pytest.raises(StockNotFound):
        await find_stock(await shop.queries.at_time(Instant(NOON - 1)), KETTLES)


async def test_of_several_stocks_those_with_a_history_are_shown(shop: Engine) -> None:
    reading = await shop.queries.latest().read(StocksById([PORTO_KETTLES, KETTLES]))
    assert reading.value.stocks == {KETTLES: NOW}


async def test_a_reservation_that_nobody_made_is_not_found(shop: Engine) -> None:
    assert (await shop.queries.latest().get(R1)).value.holds() == {KETTLES: 3}
    with pytest.raises(ReservationNotFound):
        await find_reservation(shop.queries.latest(), R2)
    with pytest.raises(ReservationNotFound):
        await availability(shop.queries.latest(), cart(1), R2)


async def test_every_line_of_a_cart_is_told_in_order(shop: Engine) -> None:
    wanted = cart({PORTO_KETTLES: 1, KETTLES: 3, TOASTERS: 4})
    lines = (await availability(shop.queries.latest(), wanted)).value
    assert lines == [
        Availability(PORTO_KETTLES, requested=1, available=0),
        Availability(KETTLES, requested=3, available=2),
        Availability(TOASTERS, requested=4, available=4),
    ]
    assert [line.shortfall for line in lines] == [1, 1, 0]


async def test_a_channel_can_have_what_is_left_in_its_fence(shop: Engine) -> None:
    await shop.record(fence(1))
    asked = Asked(VIP)
    (line,) = (await availability(shop.queries.latest(), cart(3), asked=asked)).value
    assert (line.available, line.shortfall) == (2, 1)
    (line,) = (await availability(shop.queries.latest(), cart(3))).value
    assert (line.available, line.shortfall) == (1, 2)
    (line,) = (await availability(shop.queries.latest(), cart(5), R1, asked=asked)).value
    assert (line.available, line.shortfall) == (4, 1), "the reservation has no channel"
    await shop.record(reserve(2, R2, asked=asked))
    (line,) = (await availability(shop.queries.latest(), cart(2), R2)).value
    assert (line.available, line.shortfall) == (2, 0)
    await shop.record(release(name=R2))
    await shop.record(reserve(1, "r3", asked=asked))
    (line,) = (await availability(shop.queries.latest(), cart(2), ReservationId("r3"))).value
    assert (line.available, line.shortfall) == (2, 0)


async def test_what_can_be_backordered_is_told_beside_what_is_there(shop: Engine) -> None:
    await shop.record(terms(safety=1, limit=4))
    (line,) = (await availability(shop.queries.latest(), cart(6))).value
    assert line == Availability(KETTLES, requested=6, available=1, backorderable=4)
    assert line.shortfall == 1
    there = Asked(in_stock_only=True)
    (line,) = (await availability(shop.queries.latest(), cart(6), asked=there)).value
    assert line == Availability(KETTLES, requested=6, available=1)
    (line,) = (await availability(shop.queries.latest(), cart(8), R1)).value
    assert line == Availability(KETTLES, requested=8, available=4, backorderable=4)


async def test_of_what_is_retired_a_reservation_keeps_what_it_holds(shop: Engine) -> None:
    await shop.record(terms(limit=4, product_retired=True))
    (line,) = (await availability(shop.queries.latest(), cart(1))).value
    assert line == Availability(KETTLES, requested=1, available=0)
    (line,) = (await availability(shop.queries.latest(), cart(4), R1)).value
    assert line == Availability(KETTLES, requested=4, available=3)


async def test_the_holds_of_ones_own_reservation_do_not_count_against_it(shop: Engine) -> None:
    (line,) = (await availability(shop.queries.latest(), cart(5), R1)).value
    assert line == Availability(KETTLES, requested=5, available=5)
    await shop.record(count(1, expected=None))
    (line,) = (await availability(shop.queries.latest(), cart(5), R1)).value
    assert line == Availability(KETTLES, requested=5, available=3)
