"""Promises beyond the stock: the worked examples, on every engine.

The numbers of a stock are on hand, reserved, available, backordered, backorderable, shortfall.
"""

import pytest

from inventory_grpc.domain.alerts import Alert
from inventory_grpc.domain.reservation_facts import ReservationReleased
from inventory_grpc.domain.values import ReservationId, Until
from tests.support.backorder_shop import Shop
from tests.support.scribe import events_of
from tests.support.stores import Store
from tests.support.terms import terms
from tests.support.world import (
    KETTLES,
    MINUTE,
    TOASTERS,
    add,
    amend,
    change_by,
    commit,
    count,
    later,
    release,
    remove,
    reserve,
)


@pytest.fixture
def shop(store: Store) -> Shop:
    return Shop(store)


async def last_alerts(shop: Shop) -> tuple[Alert, ...]:
    return tuple((await events_of(shop.store))[-1].alerts)


async def test_example_1_safety_stock_is_not_promised_but_can_be_removed(shop: Shop) -> None:
    await shop.do(terms(safety=3), add(10), reserve(7, "a"))
    assert await shop.numbers() == (10, 7, 0, 0, 0, 0)
    assert await shop.refused(reserve(1, "b")) == (1, 0)
    await shop.do(remove(3))
    assert await shop.numbers() == (7, 7, 0, 0, 0, 0)
    assert await shop.refused(remove(1)) == (1, 0)


async def test_example_2_what_is_beyond_the_stock_waits_up_to_the_limit(shop: Shop) -> None:
    await shop.do(terms(safety=3, limit=5), add(10))
    assert await shop.refused(reserve(13, "a")) == (13, 12)
    await shop.do(reserve(12, "a"))
    assert await shop.numbers() == (10, 12, 0, 5, 0, 0)
    assert await shop.line("a") == (12, 5)


async def test_examples_3_and_4_goods_go_to_who_waits_longest(shop: Shop) -> None:
    await shop.do(terms(limit=10), reserve(4, "a"), reserve(3, "b"), add(5))
    assert await shop.numbers() == (5, 7, 0, 2, 8, 0)
    await shop.do(reserve(1, "c"))
    assert await shop.numbers() == (5, 8, 0, 3, 7, 0)
    assert await shop.line("c") == (1, 1)
    assert await shop.fill() == [("a", 4), ("b", 1)]
    assert await shop.refused(commit(3, "b")) == (3, 1)
    await shop.do(commit(4, "a"))
    assert (await shop.numbers())[:4] == (1, 4, 0, 3)
    await shop.do(commit(1, "b"))
    assert await shop.numbers() == (0, 3, 0, 3, 7, 0)


async def test_example_5_the_newest_promises_miss_what_is_lost(shop: Shop) -> None:
    await shop.do(add(10), reserve(5, "a"), reserve(3, "b"), count(6, expected=3))
    assert (await shop.numbers())[1:] == (8, 0, 0, 0, 2)
    assert await last_alerts(shop) == (Alert.OUT_OF_STOCK, Alert.PROMISES_AT_RISK)
    assert await shop.at_risk() == [("b", 2)]
    await shop.do(add(2))
    assert (await shop.levels()).shortfall == 0
    assert await last_alerts(shop) == (Alert.PROMISES_SAFE,)
    assert await shop.at_risk() == []


async def test_example_6_what_waits_misses_nothing_when_goods_are_lost(shop: Shop) -> None:
    await shop.do(terms(limit=5), add(5), reserve(5, "a"), reserve(3, "b"), change_by(-2))
    numbers = await shop.numbers()
    assert (numbers[0], numbers[3], numbers[5]) == (3, 3, 2)
    assert await shop.at_risk() == [("a", 2)]
    await shop.do(add(4))
    numbers = await shop.numbers()
    assert (numbers[0], numbers[3], numbers[5]) == (7, 1, 0)
    assert await shop.fill() == [("b", 2)]


async def test_example_7_a_lower_limit_takes_nothing_back(shop: Shop) -> None:
    await shop.do(terms(limit=5), reserve(3, "a"), terms(limit=0))
    assert (await shop.numbers())[3:] == (3, 0, 0)
    assert await shop.refused(reserve(1, "b")) == (1, 0)
    assert await shop.line("a") == (3, 3)


async def test_example_8_what_waits_is_given_back_first(shop: Shop) -> None:
    await shop.do(terms(limit=5), add(2), reserve(5, "a"), release(4, "a"))
    last = (await events_of(shop.store))[-1].fact
    assert last == ReservationReleased(ReservationId("a"), 4, 3)
    assert await shop.line("a") == (1, 0)
    assert (await shop.numbers())[:3] == (2, 1, 1)


async def test_example_9_who_asks_for_more_gives_up_the_place(shop: Shop) -> None:
    await shop.do(terms(limit=9), reserve(2, "a"), reserve(2, "b"), amend(3, "a"), add(2))
    assert await shop.fill() == [("b", 2)]
    assert (await shop.numbers())[1:4] == (5, 0, 3)


async def test_example_9_instead_but_keeps_the_goods_that_came_in_before(shop: Shop) -> None:
    await shop.do(terms(limit=9), reserve(2, "a"), reserve(2, "b"), add(2), amend(3, "a"))
    assert await shop.fills() == [("a", 2)]
    assert await shop.line("a") == (3, 1)
    assert (await shop.numbers())[1:4] == (5, 0, 3)
    await shop.do(add(3))
    assert await shop.fill() == [("b", 2), ("a", 1)]


async def test_example_29_an_overdue_hold_is_let_go_before_a_unit_waits(shop: Shop) -> None:
    await shop.do(terms(limit=5), add(2), reserve(2, "over"))
    shop.scribe.clock.go_on(30 * MINUTE)
    await shop.do(reserve(2, "new"))
    assert (await shop.reservation("over")).held == 0
    assert await shop.line("new") == (2, 0)
    assert await shop.numbers() == (2, 2, 0, 0, 5, 0)


async def test_what_an_overdue_hold_lets_go_of_is_for_who_waits_longer(shop: Shop) -> None:
    await shop.do(terms(limit=5), add(2), reserve(2, "over"))
    await shop.do(reserve(1, "older", expiration=Until(later(60 * MINUTE))))
    shop.scribe.clock.go_on(30 * MINUTE)
    await shop.do(reserve(2, "new"))
    assert await shop.line("new") == (2, 1)
    assert await shop.fill() == [("older", 1)]


async def test_a_commit_has_its_fill_recorded_first_and_nobody_elses_is_late(shop: Shop) -> None:
    await shop.do(terms(limit=9), reserve(2, "a"), reserve(2, "b"), add(3), commit(name="a"))
    assert await shop.fills() == [("a", 2), ("b", 1)]
    assert await shop.numbers() == (1, 2, 0, 1, 8, 0)
    assert await shop.refused(commit(name="b")) == (2, 1)


async def test_a_refused_command_leaves_no_fill_behind(shop: Shop) -> None:
    await shop.do(terms(limit=9), reserve(2, "a"), reserve(2, "b"), add(3))
    assert await shop.refused(commit(name="b")) == (2, 1)
    assert await shop.fills() == []


async def test_what_is_lost_at_once_was_promised_to_the_first_who_waited(shop: Shop) -> None:
    await shop.do(terms(limit=9, safety=1), reserve(2, "a"), add(3), change_by(-1))
    assert await shop.fills() == [("a", 2)]
    assert await shop.numbers() == (2, 2, 0, 0, 9, 0)


async def test_a_version_that_a_caller_has_read_holds_though_fills_come_first(shop: Shop) -> None:
    await shop.do(terms(limit=9), reserve(2, "a"), add(2))
    outcome = await shop.do(change_by(-1, expected=3))
    assert await shop.fills() == [("a", 2)]
    assert outcome.streams[0].version == 5


async def test_nothing_waits_in_a_stock_without_a_limit(shop: Shop) -> None:
    await shop.do(add(2), reserve({KETTLES: 1}, "a"), terms(TOASTERS, limit=5))
    assert await shop.refused(reserve(2, "b")) == (2, 1)
    await shop.do(reserve({KETTLES: 1, TOASTERS: 2}, "c"))
    assert (await shop.line("c"), await shop.line("c", TOASTERS)) == ((1, 0), (2, 2))


async def test_a_reservation_that_waits_expires_like_any_other(shop: Shop) -> None:
    await shop.do(terms(limit=5), add(1), reserve(3, "a"))
    shop.scribe.clock.go_on(30 * MINUTE)
    await shop.scribe.expire_due()
    assert await shop.numbers() == (1, 0, 1, 0, 5, 0)
    assert (await shop.reservation("a")).lines[KETTLES].backordered == 0
