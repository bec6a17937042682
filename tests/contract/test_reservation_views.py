"""Contract of stores on reservation queries: one state of the log, with its position."""

import random
from contextlib import suppress
from dataclasses import replace
from itertools import chain

import pytest

from inventory_grpc.application.ledger.atomic import AnyCommand, AtomicBatch, Part
from inventory_grpc.application.queries.reservation import ReservationQuery
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.reservation import ReservationState
from inventory_grpc.domain.values import OrderId, ReservationId, StockId
from inventory_grpc.infrastructure.rows import bounds
from tests.support.effort import SEED
from tests.support.history import reservation_in
from tests.support.scribe import Scribe
from tests.support.stores import Store
from tests.support.world import (
    ANA,
    BEN,
    KETTLES,
    MINUTE,
    ORDER,
    PORTO_KETTLES,
    R1,
    TOASTERS,
    add,
    amend,
    commit,
    release,
    reserve,
)


async def test_a_reservation_is_shown_as_it_is(store: Store) -> None:
    scribe = Scribe(store)
    assert (await store.views.latest.get(R1)) == (None, 0)
    await scribe.record(add(5), add(5, TOASTERS), reference="invoice 7")
    await scribe.record(reserve({TOASTERS: 2, KETTLES: 1}), reference="basket 3")
    scribe.clock.go_on(MINUTE)
    await scribe.record(commit({KETTLES: 1}, order=ORDER), release({TOASTERS: 1}))
    folded = await store.storage.observe(lambda t: reservation_in(t, R1))
    shown, as_of = await store.views.latest.get(R1)
    assert as_of == 6
    assert shown is not None
    assert folded is not None
    told = ("customer_id", "order_id", "reference", "create_time", "expire_time", "state", "lines")
    for name in told:
        assert getattr(shown, name) == getattr(folded, name), name
    assert shown.reservation_id == R1
    assert shown.reference == "basket 3"
    assert list(shown.lines) == [TOASTERS, KETTLES], "in the order of the lines"
    assert shown.held == 1


async def test_the_order_is_the_one_named_first_whoever_names_another_later(store: Store) -> None:
    other = OrderId("order-2")
    await Scribe(store).record(add(9), reserve(3), commit(1), commit(1, order=ORDER))
    await Scribe(store).record(commit(1, order=other), reserve(1, "r2", order=ORDER))
    await Scribe(store).record(commit(name="r2", order=other))
    for name in ("r1", "r2"):
        shown = (await store.views.latest.get(ReservationId(name))).value
        assert shown is not None
        assert shown.order_id == ORDER
    assert await listed(store, ReservationQuery(order_id=ORDER)) == ["r2", "r1"]
    assert await listed(store, ReservationQuery(order_id=other)) == []


async def test_reservations_are_listed_newest_first(store: Store) -> None:
    await Scribe(store).record(add(9), *(reserve(1, name) for name in ("b", "c", "a")))
    await Scribe(store).record(commit(name="b"))
    rows = (await store.views.latest.read(ReservationQuery())).value.rows
    assert [reservation.reservation_id for _, reservation in rows] == ["a", "c", "b"]
    assert rows[-1][1] == (await store.views.latest.get(ReservationId("b"))).value


async def listed(store: Store, query: ReservationQuery) -> list[str]:
    listing = (await store.views.latest.read(query)).value
    assert not listing.more
    return [reservation.reservation_id for _, reservation in listing.rows]


async def test_reservation_filters_are_anded(store: Store) -> None:
    await Scribe(store).record(
        add(9),
        add(9, TOASTERS),
        add(9, PORTO_KETTLES),
        reserve({KETTLES: 1}, "k", order=ORDER),
        reserve({TOASTERS: 1, PORTO_KETTLES: 1}, "tp", customer=BEN),
        reserve({KETTLES: 2, TOASTERS: 1}, "kt"),
        release(name="k"),
        commit({KETTLES: 2}, "kt", order=OrderId("order-2")),
    )
    active, released = ReservationState.ACTIVE, ReservationState.RELEASED
    assert await listed(store, ReservationQuery(customer_id="ana")) == ["kt", "k"]
    assert await listed(store, ReservationQuery(customer_id="eve")) == []
    assert await listed(store, ReservationQuery(order_id=ORDER)) == ["k"]
    assert await listed(store, ReservationQuery(order_id="order-2")) == ["kt"]
    assert await listed(store, ReservationQuery(states=frozenset({active}))) == ["kt", "tp"]
    assert await listed(store, ReservationQuery(states=frozenset({active, released}))) == [
        "kt",
        "tp",
        "k",
    ]
    assert await listed(store, ReservationQuery("ana", states=frozenset({released}))) == ["k"]
    assert await listed(store, ReservationQuery(product_id="toaster")) == ["kt", "tp"]
    assert await listed(store, ReservationQuery(store_id="porto")) == ["tp"]
    assert await listed(store, ReservationQuery(product_id="kettle", store_id="lisbon")) == [
        "kt",
        "k",
    ]


async def test_a_product_and_a_store_are_asked_of_the_same_line(store: Store) -> None:
    await Scribe(store).record(
        add(9, TOASTERS), add(9, PORTO_KETTLES), reserve({TOASTERS: 1, PORTO_KETTLES: 1})
    )
    assert await listed(store, ReservationQuery(product_id="kettle", store_id="lisbon")) == []
    assert await listed(store, ReservationQuery(product_id="kettle", store_id="porto")) == ["r1"]


async def _pages(store: Store, query: ReservationQuery, limit: int) -> list[list[str]]:
    """Return the reservations of all pages."""
    pages, more = list[list[str]](), True
    while more:
        page = (await store.views.latest.read(replace(query, limit=limit))).value
        pages.append([reservation.reservation_id for _, reservation in page.rows])
        query, more = replace(query, before=page.after), page.more
    return pages


NAMES = [f"r{number}" for number in range(7)]
RELEASED = frozenset({ReservationState.RELEASED})
PAGED_BY: list[tuple[ReservationQuery, list[str]]] = [
    (ReservationQuery(), NAMES[::-1]),
    (ReservationQuery(states=RELEASED), NAMES[::2][::-1]),
    (ReservationQuery("ana", states=RELEASED), NAMES[::2][::-1]),
    (ReservationQuery(product_id="kettle", store_id="lisbon"), NAMES[::-1]),
    (ReservationQuery(store_id="lisbon", states=RELEASED), NAMES[::2][::-1]),
    (ReservationQuery(product_id="toaster"), NAMES[::3][::-1]),
]


async def _reserve(store: Store) -> None:
    await Scribe(store).record(add(20), add(20, TOASTERS))
    for number, name in enumerate(NAMES):
        cart = {KETTLES: 1} if number % 3 else {KETTLES: 1, TOASTERS: 1}
        await Scribe(store).record(reserve(cart, name))
    await Scribe(store).record(*(release(name=name) for name in NAMES[::2]))


async def test_pages_of_reservations_leave_nothing_out_and_say_when_they_end(
    store: Store,
) -> None:
    await _reserve(store)
    for limit in (1, 2, 4, 7, 8):
        for query, wanted in PAGED_BY:
            pages = await _pages(store, query, limit)
            assert list(chain.from_iterable(pages)) == wanted
            assert all(1 <= len(page) <= limit for page in pages)


@pytest.mark.parametrize("max_scanned", [1, 2, 5])
@pytest.mark.parametrize("sources", [100, 1])
async def test_pages_of_reservations_are_complete_also_where_few_are_looked_at(
    store: Store, monkeypatch: pytest.MonkeyPatch, max_scanned: int, sources: int
) -> None:
    monkeypatch.setattr(bounds, "RESERVATIONS_SCANNED", max_scanned)
    monkeypatch.setattr(bounds, "RESERVATION_SOURCES", sources)
    await _reserve(store)
    for query, wanted in PAGED_BY:
        pages = await _pages(store, query, 3)
        assert list(chain.from_iterable(pages)) == wanted
        assert all(len(page) <= 3 for page in pages)


def together(*commands: Command) -> AtomicBatch:
    return AtomicBatch(
        [Part(command, Cause(part=part + 1)) for part, command in enumerate(commands)]
    )


@pytest.mark.parametrize("max_scanned", [1, 2, 10_000])
async def test_a_line_that_was_added_later_has_the_place_of_its_reservation(
    store: Store, monkeypatch: pytest.MonkeyPatch, max_scanned: int
) -> None:
    monkeypatch.setattr(bounds, "RESERVATIONS_SCANNED", max_scanned)
    await Scribe(store).record(
        add(9),
        add(9, TOASTERS),
        reserve({TOASTERS: 1}, "old"),
        together(
            reserve({TOASTERS: 1}, "a"),
            reserve({KETTLES: 1}, "b"),
            amend({TOASTERS: 1, KETTLES: 1}, "a"),
        ),
        reserve({KETTLES: 1}, "new"),
        amend({TOASTERS: 1, KETTLES: 1}, "old"),
    )
    kettles = ReservationQuery(product_id="kettle", store_id="lisbon")
    for limit in (1, 2, 5):
        pages = await _pages(store, kettles, limit)
        assert list(chain.from_iterable(pages)) == ["new", "b", "a", "old"]


@pytest.mark.parametrize("max_scanned", [1, 3, 10_000])
async def test_the_reservations_of_a_stock_are_those_with_a_line_of_it_whatever_happened(
    store: Store, monkeypatch: pytest.MonkeyPatch, max_scanned: int
) -> None:
    shelves = (KETTLES, TOASTERS, PORTO_KETTLES)
    scribe, chance = Scribe(store), random.Random(SEED)
    await scribe.record(*(add(1_000, stock_id) for stock_id in shelves))
    for number in range(60):
        carts = [
            {stock_id: 1 for stock_id in shelves if chance.random() < share} or {KETTLES: 2}
            for share in (0.5, 0.5, 0.9)
        ]
        earlier = f"r{chance.randrange(max(0, number - 9), number + 1)}"
        new = reserve(carts[0], f"r{number}", customer=chance.choice([ANA, BEN]))
        parts: list[Command] = [
            new,
            reserve(carts[1], f"other-{number}"),
            amend(carts[2], f"r{number}"),
        ]
        later: list[Command] = [amend(carts[2], earlier), release(name=earlier), add(1)]
        begun: list[AnyCommand] = [new, new, together(*parts), together(new, parts[2])]
        for command in (chance.choice(begun), chance.choice(later)):
            with suppress(Refusal):
                await scribe.record(command)
    everything = (await store.views.latest.read(ReservationQuery(limit=1_000))).value.rows
    monkeypatch.setattr(bounds, "RESERVATIONS_SCANNED", max_scanned)
    queries = [
        ReservationQuery(customer_id, product_id=product_id, store_id=store_id)
        for product_id, store_id in (*KETTLES_ANYWHERE, *shelves)
        for customer_id in ("", "ben")
    ]
    for query in queries:
        wanted = [
            reservation.reservation_id
            for _, reservation in everything
            if query.customer_id in {"", reservation.customer_id}
            and any(_is_named(stock_id, query) for stock_id in reservation.lines)
        ]
        assert len(wanted) > 9
        for limit in (1, 7, 100):
            pages = await _pages(store, query, limit)
            assert list(chain.from_iterable(pages)) == wanted


KETTLES_ANYWHERE = [("kettle", ""), ("", "lisbon")]


def _is_named(stock_id: StockId, query: ReservationQuery) -> bool:
    return query.product_id in {"", stock_id.product_id} and query.store_id in {
        "",
        stock_id.store_id,
    }
