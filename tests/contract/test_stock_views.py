"""Contract of stores on stock queries: one state of the log, with its position."""

from dataclasses import replace
from itertools import chain

import pytest

from inventory_grpc.application.access import Scope
from inventory_grpc.application.ports import Listing
from inventory_grpc.application.queries.stock import (
    ProductInventory,
    ProductInventoryById,
    RecentlyMoved,
    StockKey,
    StockQuery,
    StocksById,
)
from inventory_grpc.domain import stock as stock_module
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.levels import FenceUnits, Levels, Particulars, ShownLevels, StateUnits
from inventory_grpc.domain.promises import Asked
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import StockId
from inventory_grpc.infrastructure.rows import bounds
from tests.support.history import stock_in
from tests.support.scribe import Scribe
from tests.support.stores import Store
from tests.support.world import (
    DAMAGED,
    KETTLES,
    MINUTE,
    NOON,
    PORTO_KETTLES,
    R1,
    R2,
    RETURNED,
    TOASTERS,
    VIP,
    WEB,
    add,
    commit,
    count,
    fence,
    later,
    move,
    put,
    release,
    remove,
    reserve,
    stock,
)

FARO_KETTLES = stock("kettle", "faro")


def levels(stocks: Listing[Inventory, StockKey]) -> list[tuple[StockId, Levels]]:
    return [(row.stock_id, row.levels) for row in stocks.rows]


async def test_a_stock_is_shown_as_after_its_last_event(store: Store) -> None:
    scribe = Scribe(store)
    assert (await store.views.latest.get(KETTLES)) == (None, 0)
    await scribe.record(add(5))
    scribe.clock.go_on(MINUTE)
    await scribe.record(reserve(2), add(1, TOASTERS))
    shown = Inventory(KETTLES, Levels(5, 2), 2, later(MINUTE))
    assert (await store.views.latest.get(KETTLES)) == (shown, 3)
    assert (await store.views.latest.get(PORTO_KETTLES)) == (None, 3)


async def test_what_was_counted_below_what_is_promised_is_shown(store: Store) -> None:
    await Scribe(store).record(add(5), reserve(4), count(1, expected=2))
    shown = (await store.views.latest.get(KETTLES)).value
    assert shown is not None
    assert (shown.levels.available, shown.levels.shortfall) == (0, 3)


async def test_several_stocks_and_a_reservation_are_shown_at_one_position(store: Store) -> None:
    await Scribe(store).record(add(5), add(6, TOASTERS), reserve({KETTLES: 2, TOASTERS: 1}))
    (stocks, own, _), as_of = await store.views.latest.read(
        StocksById([TOASTERS, PORTO_KETTLES, KETTLES], R1)
    )
    assert as_of == 4
    assert stocks == {
        KETTLES: Inventory(KETTLES, Levels(5, 2), 2, NOON),
        TOASTERS: Inventory(TOASTERS, Levels(6, 1), 2, NOON),
    }
    assert own == (await store.views.latest.get(R1)).value
    assert (await store.views.latest.read(StocksById([KETTLES]))).value.reservation is None
    assert (await store.views.latest.read(StocksById([KETTLES], R2))).value.reservation is None
    assert (await store.views.latest.read(StocksById([]))).value.stocks == {}


async def test_a_thousand_stocks_can_be_asked_for(store: Store) -> None:
    await Scribe(store).record(add(5))
    others = [stock(f"product-{number}", "lisbon") for number in range(999)]
    stocks = (await store.views.latest.read(StocksById([*others, KETTLES]))).value.stocks
    assert list(stocks) == [KETTLES]


async def test_a_stock_is_shown_as_it_was_at_any_position(store: Store) -> None:
    scribe = Scribe(store)
    await scribe.record(add(5), add(1, TOASTERS))
    scribe.clock.go_on(MINUTE)
    await scribe.record(reserve({TOASTERS: 1, KETTLES: 2}), commit())
    readings = [await store.views.at(at).get(KETTLES) for at in range(7)]
    added = Inventory(KETTLES, Levels(5, 0), 1, NOON)
    reserved = Inventory(KETTLES, Levels(5, 2), 2, later(MINUTE))
    committed = Inventory(KETTLES, Levels(3, 0), 3, later(MINUTE))
    assert [reading.value for reading in readings] == [
        None,
        added,
        added,
        added,
        reserved,
        reserved,
        committed,
    ]
    assert [reading.as_of for reading in readings] == list(range(7))
    assert (await store.views.at(6).get(PORTO_KETTLES)).value is None


async def test_a_product_is_summed_over_all_stores_on_every_page(store: Store) -> None:
    await Scribe(store).record(
        add(5, PORTO_KETTLES),
        reserve({PORTO_KETTLES: 4}),
        count(1, PORTO_KETTLES, expected=2),
        add(7, KETTLES),
        reserve({KETTLES: 2}, "r2"),
        add(3, FARO_KETTLES),
        add(100, TOASTERS),
    )
    seen, after, more = list[StockId](), "", True
    while more:
        product, as_of = await store.views.latest.read(
            ProductInventoryById("kettle", after, limit=1)
        )
        assert as_of == 7
        assert product.total[:4] == (11, 6, 8, 3), "levels are summed as shown, store by store"
        (row,), rest = product.stocks
        more = rest is not None
        seen.append(row.stock_id)
        after = row.stock_id.store_id
    assert seen == [FARO_KETTLES, KETTLES, PORTO_KETTLES]


async def test_states_of_a_product_are_summed_by_name(store: Store) -> None:
    await Scribe(store).record(
        add(7, KETTLES),
        move(3, KETTLES, into=DAMAGED),
        add(2, KETTLES, state=RETURNED),
        add(5, PORTO_KETTLES),
        move(4, PORTO_KETTLES, into=RETURNED),
        reserve({PORTO_KETTLES: 1}),
        move(1, PORTO_KETTLES, into=DAMAGED),
        add(1, FARO_KETTLES),
        add(9, TOASTERS, state=DAMAGED),
    )
    product = (await store.views.latest.read(ProductInventoryById("kettle", limit=10))).value
    assert product.total[:4] == (15, 1, 5, 1)
    assert product.total.states == (StateUnits(DAMAGED, 4), StateUnits(RETURNED, 6))
    there = [stock.levels.states for stock in product.stocks.rows]
    assert there == [
        (),
        (StateUnits(DAMAGED, 3), StateUnits(RETURNED, 2)),
        (StateUnits(DAMAGED, 1), StateUnits(RETURNED, 4)),
    ]
    only = Scope(frozenset({FARO_KETTLES.store_id}))
    query = ProductInventoryById("kettle", scope=only, limit=10)
    assert (await store.views.latest.read(query)).value.total.states == ()


async def test_states_are_those_of_any_position(store: Store) -> None:
    """By the row of the stock, by its event, and by a fold."""
    damaged = (StateUnits(DAMAGED, 2),)
    expected = [
        Inventory(KETTLES, Levels(5, 0), 1, NOON),
        Inventory(KETTLES, Levels(5, 0, Particulars(damaged)), 2, NOON),
        Inventory(KETTLES, Levels(4, 0, Particulars((StateUnits(DAMAGED, 1),))), 3, NOON),
        Inventory(KETTLES, Levels(4, 0), 4, NOON),
    ]
    commands: list[Command] = [
        add(5),
        move(2, into=DAMAGED),
        remove(1, state=DAMAGED),
        move(1, out_of=DAMAGED),
    ]
    for command, shown in zip(commands, expected, strict=True):
        assert (await Scribe(store).record(command)).streams == [shown]
        assert (await store.views.latest.get(KETTLES)).value == shown
        assert (await store.views.latest.read(RecentlyMoved(1))).value.rows == [shown]
        stocks, *_ = (await store.views.latest.read(StocksById([KETTLES]))).value
        assert stocks == {KETTLES: shown}
        assert (await store.views.latest.read(StockQuery())).value.rows == [shown]
        assert await store.storage.observe(lambda t: stock_in(t, KETTLES)) == shown
    past = [(await store.views.at(position).get(KETTLES)).value for position in range(1, 5)]
    assert [_shown(stock) for stock in past] == [_shown(stock) for stock in expected]


def _shown(stock: Inventory | None) -> object:
    return stock and stock._replace(levels=stock.levels.shown)  # type: ignore[arg-type]


async def test_fences_of_a_product_are_summed_by_channel(store: Store) -> None:
    await Scribe(store).record(
        add(7, KETTLES),
        fence(3, KETTLES),
        fence(1, KETTLES, channel=WEB),
        reserve({KETTLES: 2}, asked=Asked(VIP)),
        add(5, PORTO_KETTLES),
        fence(4, PORTO_KETTLES),
        add(1, FARO_KETTLES),
        add(9, TOASTERS),
        fence(9, TOASTERS),
    )
    product = (await store.views.latest.read(ProductInventoryById("kettle", limit=10))).value
    assert product.total == ShownLevels(
        on_hand=13,
        reserved=2,
        available=5,
        shortfall=0,
        ring_fenced=6,
        fences=(FenceUnits(VIP, 5), FenceUnits(WEB, 1)),
    )
    only = Scope(frozenset({FARO_KETTLES.store_id}))
    query = ProductInventoryById("kettle", scope=only, limit=10)
    assert (await store.views.latest.read(query)).value.total == ShownLevels(1, 0, 1, 0)


async def test_fences_are_those_of_any_position(store: Store) -> None:
    """By the row of the stock, by its event, and by a fold."""
    expected = [
        ShownLevels(5, 0, 5, 0),
        ShownLevels(5, 0, 2, 0, ring_fenced=3, fences=(FenceUnits(VIP, 3),)),
        ShownLevels(5, 2, 2, 0, ring_fenced=1, fences=(FenceUnits(VIP, 1),)),
        ShownLevels(5, 0, 2, 0, ring_fenced=3, fences=(FenceUnits(VIP, 3),)),
        ShownLevels(1, 0, 1, 0),
    ]
    commands: list[Command] = [
        add(5),
        fence(3),
        reserve(2, asked=Asked(VIP)),
        release(),
        remove(4, channel=VIP),
    ]
    for command, shown in zip(commands, expected, strict=True):
        assert (await Scribe(store).record(command)).streams[0].levels.shown == shown
        [stock] = (await store.views.latest.read(StockQuery())).value.rows
        assert stock.levels.shown == shown
        assert await store.storage.observe(lambda t: stock_in(t, KETTLES)) == stock
    past = [(await store.views.at(position).get(KETTLES)).value for position in range(1, 6)]
    assert [stock.levels.shown for stock in past if stock] == expected


async def test_sums_that_do_not_fit_into_64_bits_are_exact(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand stores at the highest level are as good as three at a higher one."""
    monkeypatch.setattr(stock_module, "MAX_LEVEL", 2**62)
    scribe = Scribe(store)
    for stock_id in (KETTLES, PORTO_KETTLES, FARO_KETTLES):
        await scribe.record(count(2**62, stock_id, expected=0))
    await scribe.record(reserve(5), count(2, expected=2))
    (total, stocks), _ = await store.views.latest.read(ProductInventoryById("kettle", limit=10))
    assert total[:4] == (2**63 + 2, 5, 2**63, 3)
    assert len(stocks.rows) == 3


async def test_a_product_that_nobody_has_is_an_empty_one(store: Store) -> None:
    await Scribe(store).record(add(1, TOASTERS))
    nothing = ProductInventory(ShownLevels(0, 0, 0, 0), Listing([], None))
    product = (await store.views.latest.read(ProductInventoryById("kettle", limit=10))).value
    assert product._replace(stocks=Listing(list(product.stocks.rows), product.stocks.after)) == (
        nothing
    )


async def test_stocks_are_listed_by_product_then_store(store: Store) -> None:
    await Scribe(store).record(
        add(1, TOASTERS), add(2, PORTO_KETTLES), add(3, KETTLES), add(4, FARO_KETTLES)
    )
    listing = (await store.views.latest.read(StockQuery())).value
    assert levels(listing) == [
        (FARO_KETTLES, Levels(4, 0)),
        (KETTLES, Levels(3, 0)),
        (PORTO_KETTLES, Levels(2, 0)),
        (TOASTERS, Levels(1, 0)),
    ]
    assert not listing.more


async def test_ids_are_in_the_order_of_their_bytes(store: Store) -> None:
    names = ["B", "a", "a-", "a.", "a/b", "a1", "aa", "a_", "b", "Z", "_", "0", "10", "9"]
    await Scribe(store).record(*(add(1, stock("kettle", name)) for name in names))
    listing = (await store.views.latest.read(StockQuery())).value
    assert [row.stock_id.store_id for row in listing.rows] == sorted(names)
    product = (
        await store.views.latest.read(ProductInventoryById("kettle", "a/b", limit=100))
    ).value
    assert [row.stock_id.store_id for row in product.stocks.rows] == [
        name for name in sorted(names) if name > "a/b"
    ]


async def test_stock_filters_are_and_between_and_or_within(store: Store) -> None:
    await Scribe(store).record(
        add(1, TOASTERS), add(2, PORTO_KETTLES), add(3, KETTLES), add(4, FARO_KETTLES)
    )

    async def listed(query: StockQuery) -> list[StockId]:
        listing = (await store.views.latest.read(query)).value
        assert not listing.more
        return [row.stock_id for row in listing.rows]

    kettle, toaster = frozenset({"kettle"}), frozenset({"toaster"})
    assert await listed(StockQuery(kettle)) == [FARO_KETTLES, KETTLES, PORTO_KETTLES]
    assert await listed(StockQuery(kettle | toaster, frozenset({"lisbon"}))) == [KETTLES, TOASTERS]
    assert await listed(StockQuery(store_ids=frozenset({"porto", "faro"}))) == [
        FARO_KETTLES,
        PORTO_KETTLES,
    ]
    assert await listed(StockQuery(kettle, max_available=3)) == [KETTLES, PORTO_KETTLES]
    assert await listed(StockQuery(max_available=0)) == []
    assert await listed(StockQuery(frozenset({"nobody-has-it"}))) == []


async def test_the_most_that_may_be_available_counts_what_is_promised(store: Store) -> None:
    await Scribe(store).record(
        add(9), reserve(7), add(9, TOASTERS), reserve({TOASTERS: 9}, "r2"), add(3, PORTO_KETTLES)
    )
    await Scribe(store).record(count(5, TOASTERS, expected=2))
    listing = (await store.views.latest.read(StockQuery(max_available=2))).value
    assert [row.stock_id for row in listing.rows] == [KETTLES, TOASTERS]
    listing = (await store.views.latest.read(StockQuery(max_available=0))).value
    assert [row.stock_id for row in listing.rows] == [TOASTERS]


async def test_the_most_that_may_be_available_counts_sellable_units(store: Store) -> None:
    await Scribe(store).record(
        add(9), move(7, into=DAMAGED), add(3, TOASTERS, state=RETURNED), add(3, PORTO_KETTLES)
    )
    listing = (await store.views.latest.read(StockQuery(max_available=2))).value
    assert [row.stock_id for row in listing.rows] == [KETTLES, TOASTERS]
    listing = (await store.views.latest.read(StockQuery(max_available=1))).value
    assert [row.stock_id for row in listing.rows] == [TOASTERS]


async def _pages(store: Store, query: StockQuery, limit: int) -> list[list[StockId]]:
    """Return the stocks of all pages."""
    pages, more = list[list[StockId]](), True
    while more:
        page = (await store.views.latest.read(replace(query, limit=limit))).value
        pages.append([row.stock_id for row in page.rows])
        query, more = replace(query, after=page.after), page.more
    return pages


PAGED = [stock(f"p{number % 3}", f"s{number}") for number in range(9)]
PAGED_BY: list[tuple[StockQuery, list[StockId]]] = [
    (StockQuery(), sorted(PAGED)),
    (StockQuery(frozenset({"p1"})), sorted(s for s in PAGED if s[0] == "p1")),
    (StockQuery(frozenset({"p1", "p2"}), frozenset({"s1", "s5"})), [PAGED[1], PAGED[5]]),
    (StockQuery(store_ids=frozenset({"s1", "s5", "s8"})), sorted(PAGED[n] for n in (1, 5, 8))),
    (StockQuery(max_available=0), []),
]


async def test_pages_of_stocks_leave_nothing_out_and_say_when_they_end(store: Store) -> None:
    await Scribe(store).record(*(add(1, stock_id) for stock_id in PAGED))
    for limit in (1, 2, 3, 9, 10):
        for query, wanted in PAGED_BY:
            pages = await _pages(store, query, limit)
            assert list(chain.from_iterable(pages)) == wanted
            assert all(1 <= len(page) <= limit for page in pages) or not wanted


@pytest.mark.parametrize("max_scanned", [1, 2, 5])
async def test_pages_of_stocks_are_complete_also_where_few_are_looked_at(
    store: Store, monkeypatch: pytest.MonkeyPatch, max_scanned: int
) -> None:
    monkeypatch.setattr(bounds, "STOCKS_SCANNED", max_scanned)
    await Scribe(store).record(*(add(1, stock_id) for stock_id in PAGED))
    for query, wanted in PAGED_BY:
        pages = await _pages(store, query, 4)
        assert list(chain.from_iterable(pages)) == wanted
        assert all(len(page) <= 4 for page in pages)


async def test_the_stocks_of_the_last_events_are_read_page_by_page(store: Store) -> None:
    assert (await store.views.latest.read(RecentlyMoved(10))) == (Listing([], None), 0)
    await Scribe(store).record(
        put("kettle"), add(1, TOASTERS), add(2, PORTO_KETTLES), add(3, KETTLES)
    )
    await Scribe(store).record(reserve({PORTO_KETTLES: 1}), add(1, TOASTERS))
    pages, before = list[object](), None
    while True:
        (rows, before), as_of = await store.views.latest.read(RecentlyMoved(2, before))
        assert as_of == 6
        pages.append({row.stock_id: row.levels for row in rows})
        if before is None:
            break
    assert pages == [
        {PORTO_KETTLES: Levels(2, 1), TOASTERS: Levels(2, 0)},
        {PORTO_KETTLES: Levels(2, 1), KETTLES: Levels(3, 0)},
        {TOASTERS: Levels(2, 0)},
    ]
    rows, before = (await store.views.latest.read(RecentlyMoved(100))).value
    assert ({row.stock_id for row in rows}, before) == ({TOASTERS, PORTO_KETTLES, KETTLES}, None)
