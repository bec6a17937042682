"""Contract of stores on promises at risk, and on the lists of marked stocks and of who waits."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from inventory_grpc.application.queries.at_risk import AtRisk, AtRiskQuery, RiskKey
from inventory_grpc.application.queries.reservation import ReservationQuery
from inventory_grpc.application.queries.stock import StockQuery
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.values import OrderId, StockId
from inventory_grpc.infrastructure.rows import bounds
from tests.support.backorder_shop import Shop
from tests.support.effort import SEED
from tests.support.histories import player
from tests.support.stores import Store
from tests.support.terms import terms
from tests.support.world import (
    ANA,
    BEN,
    KETTLES,
    PORTO_KETTLES,
    TOASTERS,
    add,
    amend,
    change_by,
    commit,
    count,
    release,
    reserve,
    stock,
)

MOST_PAGES = 2_000


@pytest.fixture
def shop(store: Store) -> Shop:
    return Shop(store)


async def listed(shop: Shop, query: AtRiskQuery | None = None) -> Sequence[AtRisk]:
    """Return the rows of all pages."""
    query, rows = query or AtRiskQuery(), list[AtRisk]()
    for _ in range(MOST_PAGES):
        page = (await shop.store.views.latest.read(query)).value
        assert len(page.rows) <= query.limit
        rows += page.rows
        if page.after is None:
            return rows
        query = replace(query, after=page.after)
    raise AssertionError("the pages do not end")


async def missed(shop: Shop, query: AtRiskQuery | None = None) -> list[tuple[str, StockId, int]]:
    rows = await listed(shop, query)
    return [(row.reservation_id, row.stock_id, row.at_risk) for row in rows]


async def lost(shop: Shop) -> None:
    """Have kettles reserved by Ana, Ben and Ana, toasters by Ben, and lose most of them."""
    await shop.do(*(add(9, stock_id) for stock_id in (KETTLES, PORTO_KETTLES, TOASTERS)))
    await shop.do(
        reserve(2, "a"),
        reserve({KETTLES: 3, TOASTERS: 4}, "b", customer=BEN, order=OrderId("o-b")),
        reserve({PORTO_KETTLES: 1, KETTLES: 4}, "c"),
    )
    await shop.do(
        count(3, expected_on_hand=9),
        count(2, TOASTERS, expected_on_hand=9),
        count(0, PORTO_KETTLES, expected_on_hand=9),
    )


async def test_nothing_is_at_risk_while_everything_is_there(shop: Shop) -> None:
    assert await listed(shop) == []
    await shop.do(add(5), reserve(5, "a"))
    assert await listed(shop) == []


async def test_rows_are_by_product_and_store_and_the_newest_line_is_first(shop: Shop) -> None:
    await lost(shop)
    assert await listed(shop) == [
        AtRisk(name, customer, order, stock_id, held, units)  # type: ignore[arg-type]
        for name, customer, order, stock_id, held, units in (
            ("c", ANA, None, KETTLES, 4, 4),
            ("b", BEN, "o-b", KETTLES, 3, 2),
            ("c", ANA, None, PORTO_KETTLES, 1, 1),
            ("b", BEN, "o-b", TOASTERS, 4, 2),
        )
    ]


async def test_a_filter_hides_rows_and_changes_none(shop: Shop) -> None:
    await lost(shop)
    ben = [("b", KETTLES, 2), ("b", TOASTERS, 2)]
    assert await missed(shop, AtRiskQuery(customer_id="ben")) == ben
    assert await missed(shop, AtRiskQuery(customer_id="nobody")) == []
    lisbon = AtRiskQuery(store_ids=frozenset({"lisbon"}))
    assert await missed(shop, lisbon) == [("c", KETTLES, 4), *ben]
    both = replace(lisbon, product_ids=frozenset({"toaster"}))
    assert await missed(shop, both) == [("b", TOASTERS, 2)]
    assert await missed(shop, AtRiskQuery(product_ids=frozenset({"pan"}))) == []


async def test_units_that_wait_and_units_that_have_left_are_not_at_risk(shop: Shop) -> None:
    await shop.do(terms(limit=9), add(6), reserve(3, "a"), reserve(2, "b"), reserve(4, "c"))
    assert await shop.line("c") == (4, 3)
    await shop.do(commit(1, "b"), release(1, "a"), change_by(-4))
    assert await shop.fills() == [("c", 1)], "of what was released"
    assert (await shop.levels()).shortfall == 4
    assert await missed(shop) == [("c", KETTLES, 2), ("b", KETTLES, 1), ("a", KETTLES, 1)]


async def test_a_line_is_as_new_as_its_last_units(shop: Shop) -> None:
    await shop.do(add(9), add(9, TOASTERS), reserve({TOASTERS: 1}, "a"))
    await shop.do(reserve(2, "b"), reserve(2, "c"), reserve(2, "d"))
    await shop.do(amend({TOASTERS: 1, KETTLES: 2}, "a"), amend(3, "b"), change_by(-9))
    lines = [("b", 3), ("a", 2), ("d", 2), ("c", 2)]
    assert await missed(shop) == [(name, KETTLES, units) for name, units in lines]
    await shop.do(add(5))
    assert await missed(shop) == [("b", KETTLES, 3), ("a", KETTLES, 1)]


async def test_a_line_that_grew_is_listed_once_and_before_the_lines_between(shop: Shop) -> None:
    await shop.do(add(9), reserve(2, "a"), reserve(2, "b"), reserve(2, "c"))
    await shop.do(amend(3, "b"), change_by(-6))
    assert await missed(shop) == [("b", KETTLES, 3), ("c", KETTLES, 1)]
    await shop.do(change_by(-2))
    assert await missed(shop) == [("b", KETTLES, 3), ("c", KETTLES, 2), ("a", KETTLES, 1)]


async def test_a_line_is_as_new_as_its_part_of_an_atomic_batch(shop: Shop) -> None:
    await shop.do(add(9), add(9, TOASTERS))
    parts = reserve(1, "a"), reserve({TOASTERS: 1}, "b"), amend({KETTLES: 1, TOASTERS: 1}, "a")
    await player(shop.store, shop.scribe.clock).play_together(*parts)
    await shop.do(change_by(-9, TOASTERS))
    assert await missed(shop, AtRiskQuery(limit=1)) == [("a", TOASTERS, 1), ("b", TOASTERS, 1)]


async def test_a_line_that_asks_for_less_stays_as_old(shop: Shop) -> None:
    await shop.do(add(9), reserve(3, "a"), reserve(3, "b"), amend(1, "a"), change_by(-6))
    assert await missed(shop) == [("b", KETTLES, 1)]


@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize(("lines", "stocks"), [(1, 1), (2, 2), (9, 1), (9, 2), (9, 9)])
async def test_pages_together_are_the_list_however_little_each_scans(
    shop: Shop, limit: int, lines: int, stocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lost(shop)
    whole = await listed(shop)
    monkeypatch.setattr(bounds, "LINES_SCANNED", lines)
    monkeypatch.setattr(bounds, "STOCKS_SCANNED", stocks)
    assert await listed(shop, AtRiskQuery(limit=limit)) == whole
    ben = [row for row in whole if row.customer_id == BEN]
    assert await listed(shop, AtRiskQuery(customer_id="ben", limit=limit)) == ben


async def test_a_place_that_no_page_had_shows_no_other_stock(shop: Shop) -> None:
    await lost(shop)
    elsewhere = RiskKey("kettle", "lisbon", 2**63 - 1, 0)
    porto = AtRiskQuery(store_ids=frozenset({"porto"}), after=elsewhere)
    assert await missed(shop, porto) == [("c", PORTO_KETTLES, 1)]
    toasters = AtRiskQuery(product_ids=frozenset({"toaster"}), after=elsewhere)
    assert await missed(shop, toasters) == [("b", TOASTERS, 2)]
    assert await missed(shop, AtRiskQuery(after=RiskKey("pan", "faro", 1, 1))) == [
        ("b", TOASTERS, 2)
    ]


async def test_the_units_at_risk_are_the_shortfall_whatever_happened(shop: Shop) -> None:
    chance = random.Random(SEED)
    await shop.do(terms(limit=6, safety=2), terms(TOASTERS, limit=3))
    await shop.do(add(20), add(20, TOASTERS))
    seen = 0
    for number in range(120):
        name = f"r{chance.randrange(max(0, number - 20), number + 1)}"
        wanted = {KETTLES: chance.randint(1, 4), TOASTERS: chance.randint(1, 3)}
        commands: list[Command] = [
            reserve(wanted, f"r{number}"),
            reserve(wanted, f"r{number}"),
            amend(wanted, name),
            add(chance.randint(1, 4)),
            add(chance.randint(1, 4), TOASTERS),
            change_by(-chance.randint(1, 6), chance.choice([KETTLES, TOASTERS])),
            commit({KETTLES: 1}, name),
            release({TOASTERS: 1}, name),
        ]
        command = chance.choice(commands)
        try:
            await shop.do(command)
        except Refusal:
            continue
        rows = await listed(shop)
        for stock_id in (KETTLES, TOASTERS):
            at_risk_of_it = sum(row.at_risk for row in rows if row.stock_id == stock_id)
            shortfall = (await shop.levels(stock_id)).shortfall
            assert at_risk_of_it == shortfall
            seen += shortfall > 0
    assert seen > 10


FARO = stock("kettle", "faro")


@pytest.mark.parametrize("max_scanned", [1, 2, 20_000])
async def test_marked_stocks_are_listed_however_many_there_are(
    shop: Shop, max_scanned: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.do(*(add(5, stock_id) for stock_id in (TOASTERS, PORTO_KETTLES, KETTLES)))
    await shop.do(terms(FARO, limit=5, low_at=1), terms(TOASTERS, limit=5, low_at=4))
    await shop.do(reserve({FARO: 2, TOASTERS: 6, KETTLES: 5}, "a"), change_by(-1))
    await shop.do(change_by(-1, TOASTERS), add(2, FARO))
    monkeypatch.setattr(bounds, "STOCKS_SCANNED", max_scanned)

    async def found(query: StockQuery) -> list[StockId]:
        stocks: list[StockId] = []
        for _ in range(MOST_PAGES):
            page = (await shop.store.views.latest.read(query)).value
            stocks += [row.stock_id for row in page.rows]
            if page.after is None:
                return stocks
            query = replace(query, after=page.after)
        raise AssertionError("the pages do not end")

    for limit in (1, 100):
        query = StockQuery(limit=limit)
        assert await found(replace(query, short=True)) == [KETTLES, TOASTERS]
        assert await found(replace(query, backordered=True)) == [TOASTERS], "goods came to Faro"
        assert await found(replace(query, low_stock=True)) == [FARO, TOASTERS]
        assert await found(replace(query, low_stock=True, short=True)) == [TOASTERS]
        lisbon = replace(query, short=True, store_ids=frozenset({"lisbon"}))
        assert await found(lisbon) == [KETTLES, TOASTERS]
        kettles = replace(lisbon, product_ids=frozenset({"kettle", "pan"}))
        assert await found(kettles) == [KETTLES]
        assert await found(replace(kettles, store_ids=frozenset({"porto"}))) == []
        assert await found(replace(query, low_stock=True, max_available=0)) == [FARO, TOASTERS]


@pytest.mark.parametrize("max_scanned", [1, 2, 10_000])
async def test_reservations_that_wait_are_listed(
    shop: Shop, max_scanned: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.do(terms(limit=9), terms(TOASTERS, limit=9), add(1))
    await shop.do(
        reserve(1, "there"),
        reserve({KETTLES: 1, TOASTERS: 1}, "both"),
        reserve(1, "kettle", customer=BEN),
        reserve({TOASTERS: 1}, "toaster"),
    )
    monkeypatch.setattr(bounds, "RESERVATIONS_SCANNED", max_scanned)

    async def found(query: ReservationQuery) -> list[str]:
        names: list[str] = []
        for _ in range(MOST_PAGES):
            page = (await shop.store.views.latest.read(query)).value
            names += [reservation.reservation_id for _, reservation in page.rows]
            if page.after is None:
                return names
            query = replace(query, before=page.after)
        raise AssertionError("the pages do not end")

    waiting = ReservationQuery(backordered=True, limit=2)
    assert await found(waiting) == ["toaster", "kettle", "both"]
    assert await found(replace(waiting, product_id="kettle")) == ["kettle", "both"]
    assert await found(replace(waiting, customer_id="ben")) == ["kettle"]
    await shop.do(add(1))
    assert await found(replace(waiting, product_id="kettle")) == ["kettle", "both"]
    await shop.fill()
    assert await found(replace(waiting, product_id="kettle")) == ["kettle"]
    assert await found(replace(waiting, store_id="lisbon")) == ["toaster", "kettle", "both"]


async def test_a_rare_mark_is_found_at_once_among_many(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [stock(f"a{number}", "lisbon") for number in range(9)]
    await shop.do(*(add(1, stock_id) for stock_id in others), terms(limit=1, low_at=1))
    await shop.do(add(1), reserve(1, "a"), change_by(-1), reserve(1, "b"))
    monkeypatch.setattr(bounds, "STOCKS_SCANNED", 2)
    for query in (StockQuery(short=True), StockQuery(backordered=True), StockQuery(low_stock=True)):
        page = (await shop.store.views.latest.read(query)).value
        assert ([row.stock_id for row in page.rows], page.after) == ([KETTLES], None)


async def test_a_reservation_that_waits_is_found_at_once_among_many(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.do(terms(limit=1), add(9, TOASTERS), reserve(1, "waits"))
    await shop.do(*(reserve({TOASTERS: 1}, f"r{number}") for number in range(9)))
    monkeypatch.setattr(bounds, "RESERVATIONS_SCANNED", 2)
    page = (await shop.store.views.latest.read(ReservationQuery(backordered=True))).value
    assert [row.reservation_id for _, row in page.rows] == ["waits"]
    assert page.after is None
