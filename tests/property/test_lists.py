"""A database lists what a scan of the log lists, by every filter and in pages of every size."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from inventory_grpc.application.access import EVERYWHERE, Scope
from inventory_grpc.application.queries.at_risk import AtRiskQuery
from inventory_grpc.application.queries.events import EventFilter, find_page
from inventory_grpc.application.queries.policy import PolicyQuery
from inventory_grpc.application.queries.reservation import ReservationQuery
from inventory_grpc.application.queries.stock import StockQuery
from inventory_grpc.domain.alerts import Alert
from inventory_grpc.domain.event import SubjectKey
from inventory_grpc.domain.policy import PolicyScope
from inventory_grpc.domain.product import ProductKey
from inventory_grpc.domain.reservation import Reservation, ReservationState
from inventory_grpc.domain.store import StoreKey
from inventory_grpc.domain.values import ProductId, ReservationId, StoreId
from inventory_grpc.infrastructure.rows import bounds
from tests.support.any_command import STOCKS
from tests.support.clock import ManualClock
from tests.support.effort import runs
from tests.support.engines import on_each_engine
from tests.support.histories import Step, assert_reached, histories, new, player
from tests.support.stores import Store, in_memory
from tests.support.world import count

pytestmark = on_each_engine

SCANNED = (
    "EVENTS_SCANNED",
    "LINES_SCANNED",
    "POLICIES_SCANNED",
    "RESERVATIONS_SCANNED",
    "STOCKS_SCANNED",
)
PRODUCTS = [ProductId("kettle"), ProductId("toaster")]
STORES = [StoreId("lisbon"), StoreId("porto")]
NAMES = [ReservationId(name) for name in ("r1", "waits", "vip")]
SUBJECTS: Sequence[SubjectKey] = [
    *(PolicyScope.of(product, store) for product in (None, "kettle") for store in (None, *STORES)),
    *map(ProductKey, PRODUCTS),
    *map(StoreKey, STORES),
]
MOST_PAGES = 5_000


class Chance:
    """Choices of filters."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def some(self, values: Sequence[Any]) -> frozenset[Any]:
        """Return none of *values* in two of three cases, and otherwise one or two."""
        return frozenset(self.random.sample(values, self.random.choice((0, 0, 0, 0, 1, 2))))

    def one(self, *values: Any) -> Any:  # noqa: ANN401  of any type
        return self.random.choice(values)

    def yes(self) -> bool:
        return self.random.random() < 0.4

    def lists(self) -> Sequence[Any]:
        """Return a query of each list."""
        products, stores, limit = self.some(PRODUCTS), self.some(STORES), self.one(1, 2, 100)
        scope = self.one(EVERYWHERE, Scope(frozenset(STORES[:1])))
        return [
            AtRiskQuery(products, stores, self.one("", "ana", "ben"), limit=limit),
            StockQuery(
                products,
                stores,
                self.one(None, 0, 2),
                low_stock=self.yes(),
                short=self.yes(),
                backordered=self.yes(),
                limit=limit,
            ),
            PolicyQuery(self.one("", "kettle"), self.one("", "lisbon"), None, scope, limit),
            ReservationQuery(
                self.one("", "ana"),
                self.one("", "order-1"),
                self.some([*ReservationState]),
                self.one("", "kettle"),
                self.one("", "porto"),
                self.yes(),
                scope=scope,
                limit=limit,
            ),
        ]

    def events(self) -> EventFilter:
        matching = EventFilter(
            self.some(["StockReserved", "StockTermsChanged", "BackorderFilled", "PolicyChanged"]),
            self.some(PRODUCTS),
            self.some(STORES),
            self.some(NAMES),
            self.some(SUBJECTS),
            self.some([*Alert]),
        )
        if matching.store_ids or self.yes():
            return matching
        return matching._replace(stores=frozenset({"porto", "faro"}))


async def listed(store: Store, query: Any) -> list[Any]:  # noqa: ANN401  of a list
    rows: list[Any] = []
    for _ in range(MOST_PAGES):
        page = (await store.views.latest.read(query)).value
        rows += map(comparable, page.rows)
        if page.after is None:
            return rows
        is_downwards = isinstance(query, ReservationQuery)
        query = replace(query, **{"before" if is_downwards else "after": page.after})
    raise AssertionError("the pages do not end")


def comparable(row: Any) -> object:  # noqa: ANN401  of a list
    """Return *row*; of a reservation only what a caller sees."""
    if isinstance(row, tuple) and isinstance(row[-1], Reservation):
        number, one = row
        about = one.reservation_id, one.customer_id, one.order_id, one.channel
        return number, about, one.state, one.expire_time, [*one.lines.items()]
    return row


async def found(store: Store, matching: EventFilter, limit: int, *, newest: bool) -> list[int]:
    positions: list[int] = []
    after, before = 0, 2**60
    for _ in range(MOST_PAGES):
        page = await find_page(store.event_log, matching, after, before, limit, newest_first=newest)
        positions += [position for position, _ in page.rows]
        if page.done:
            return positions
        after, before = (after, page.searched) if newest else (page.searched, before)
    raise AssertionError("the pages do not end")


async def played(history: list[Step], chance: Chance, *stores: Store) -> None:
    """Do the same in all *stores*; at the end goods are lost, so that promises are at risk."""
    left = [count(chance.one(0, 1, 9), stock_id) for stock_id in STOCKS]
    keeps_up = [chance.yes() for _ in history]
    for store in stores:
        writer = player(store, ManualClock())
        for (pause, command), is_kept in zip(history, keeps_up, strict=True):
            writer.clock.go_on(pause)
            await writer.play(command)
            if is_kept:
                await writer.keep_up()
        await writer.play(*left)


async def compare(stores: Sequence[Store], chance: Chance, reached: Counter[str]) -> None:
    """See that all *stores* give the same lists, however much is scanned for each page."""
    for name in SCANNED:
        patch.object(bounds, name, chance.one(1, 7, 10_000)).start()
    for query in chance.lists():
        first, *others = [await listed(store, query) for store in stores]
        assert others == [first], query
        reached[type(query).__name__] += bool(first)
    matching, limit, newest = chance.events(), chance.one(1, 5, 100), chance.yes()
    first, *others = [await found(store, matching, limit, newest=newest) for store in stores]
    assert others == [first], matching
    reached["events"] += bool(first)


def test_a_database_lists_what_a_scan_of_the_log_lists() -> None:
    reached = Counter[str]()

    async def story(history: list[Step], chance: Chance) -> None:
        async with new("durable") as tables:
            stores = tables, in_memory()
            await played(history, chance, *stores)
            for _ in range(8):
                await compare(stores, chance, reached)

    @settings(
        max_examples=runs(least=12, ci=30, deep=200),
        deadline=None,
        phases=set(Phase) - {Phase.shrink},
    )
    @given(history=histories, seed=st.integers(0, 2**32))
    def law(history: list[Step], seed: int) -> None:
        try:
            asyncio.run(story(history, Chance(seed)))
        finally:
            patch.stopall()

    law()
    kinds = ("AtRiskQuery", "StockQuery", "PolicyQuery", "ReservationQuery", "events")
    assert_reached(reached, *kinds)
