"""No read costs more as the file grows: the steps of SQLite's virtual machine are counted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import apsw
import pytest

from inventory_grpc.application.access import Scope
from inventory_grpc.application.queries.at_risk import AtRiskQuery
from inventory_grpc.application.queries.events import MAX_STEPS, EventFilter, find_page
from inventory_grpc.application.queries.policy import PolicyByScope, PolicyQuery
from inventory_grpc.application.queries.reservation import ReservationQuery
from inventory_grpc.application.queries.stock import StockQuery
from inventory_grpc.domain.alerts import Alert
from inventory_grpc.domain.policy import PolicyScope
from inventory_grpc.domain.reservation import ReservationState
from inventory_grpc.domain.values import Instant, StoreId
from inventory_grpc.infrastructure.rows import bounds
from inventory_grpc.infrastructure.sqlite.connection import Database
from tests.support.opened import Opened, opened
from tests.support.terms import terms
from tests.support.world import (
    DAMAGED,
    KETTLES,
    TOASTERS,
    add,
    amend,
    change_by,
    move,
    policy,
    reserve,
    stock,
)

SCANNED: Final = 20
SHORT: Final = 2 * MAX_STEPS * SCANNED
LONG: Final = 6 * SHORT
"""Events of the hot stock: more than one page looks at, and many more."""

COUNTED: Final = 10
"""Every so many steps the machine says so."""

SCANS_OF_FEW: Final = {
    "SCAN json_each VIRTUAL TABLE INDEX 1:",
    "SCAN CONSTANT ROW",
    "SCAN policies USING INDEX policies_that_set",
}
"""The units by state of one stock, which has few; a condition that reads no table; and a page of
policies, which ends at its limit: the steps are counted elsewhere."""

POTS: Final = stock("pot", "porto")
"""Few reserve them, and many come in."""

Read = Callable[[Opened], Awaitable[object]]


def _page(matching: EventFilter, limit: int = 11, *, newest_first: bool = True) -> Read:
    def read(shop: Opened) -> Awaitable[object]:
        return find_page(shop.parts.event_log, matching, 0, 2**60, limit, newest_first=newest_first)

    return read


async def _stock_then(shop: Opened) -> object:
    return await (await shop.parts.queries.at_position(200)).get(KETTLES)


def _stocks(query: StockQuery) -> Read:
    return lambda shop: shop.parts.queries.latest().read(replace(query, limit=11))


def _reservations(query: ReservationQuery) -> Read:
    return lambda shop: shop.parts.queries.latest().read(replace(query, limit=11))


def _at_risk(query: AtRiskQuery) -> Read:
    return lambda shop: shop.parts.queries.latest().read(replace(query, limit=11))


def _policies(query: PolicyQuery) -> Read:
    return lambda shop: shop.parts.queries.latest().read(replace(query, limit=11))


def _latest(query: PolicyByScope) -> Read:
    return lambda shop: shop.parts.queries.latest().read(query)


HOT: Final = EventFilter(product_ids=frozenset({"kettle"}), store_ids=frozenset({"lisbon"}))
EXPIRED: Final = frozenset({ReservationState.EXPIRED})
REMOVED: Final = frozenset({"StockRemoved"})
BACK: Final = frozenset({Alert.BACK_IN_STOCK})

READS: Final[Mapping[str, Read]] = {
    "newest of a hot stock": _page(HOT),
    "oldest of a hot stock": _page(HOT, newest_first=False),
    "newest of a hot product": _page(EventFilter(product_ids=HOT.product_ids)),
    "newest of a hot store": _page(EventFilter(store_ids=HOT.store_ids)),
    "newest of everything": _page(EventFilter()),
    "a fact that never was": _page(EventFilter(event_types=REMOVED)),
    "a fact that never was, oldest first": _page(EventFilter(REMOVED), newest_first=False),
    "a fact that never was of a hot stock": _page(HOT._replace(event_types=REMOVED)),
    "a cold stock": _page(EventFilter(product_ids=frozenset({"toaster"}))),
    "a stock that nobody has": _page(EventFilter(product_ids=frozenset({"pan"}))),
    "a reservation": _page(EventFilter(reservation_ids=frozenset({"r1"}))),
    "many cold products": _page(EventFilter(product_ids=frozenset(f"p{n}" for n in range(40)))),
    "an alert": _page(EventFilter(alerts=BACK)),
    "an alert, oldest first": _page(EventFilter(alerts=BACK), newest_first=False),
    "an alert that never was": _page(EventFilter(alerts=frozenset({Alert.STOCK_LOW}))),
    "an alert in a hot store": _page(EventFilter(store_ids=HOT.store_ids, alerts=BACK)),
    "an alert of a hot stock": _page(HOT._replace(alerts=BACK)),
    "a page of alerts": lambda shop: shop.parts.event_log.page(
        0, 200, EventFilter(alerts=BACK), 256, 2**20
    ),
    "all stocks": _stocks(StockQuery()),
    "stocks of a product": _stocks(StockQuery(HOT.product_ids)),
    "stocks in a store": _stocks(StockQuery(store_ids=HOT.store_ids)),
    "stocks in two stores": _stocks(StockQuery(store_ids=HOT.store_ids | {"porto"})),
    "stocks of a product in two stores": _stocks(
        StockQuery(HOT.product_ids, HOT.store_ids | {"porto"})
    ),
    "stocks that are sold out": _stocks(StockQuery(max_available=0)),
    "sold out in two stores": _stocks(
        StockQuery(store_ids=HOT.store_ids | {"porto"}, max_available=0)
    ),
    "all reservations": _reservations(ReservationQuery()),
    "reservations of a customer": _reservations(ReservationQuery("ana")),
    "expired ones": _reservations(ReservationQuery(states=EXPIRED)),
    "expired ones of a customer": _reservations(ReservationQuery("ana", states=EXPIRED)),
    "reservations of a hot stock": _reservations(
        ReservationQuery(product_id="kettle", store_id="lisbon")
    ),
    "reservations of a hot product": _reservations(ReservationQuery(product_id="kettle")),
    "expired ones of a hot stock": _reservations(
        ReservationQuery(product_id="kettle", store_id="lisbon", states=EXPIRED)
    ),
    "reservations of a cold stock": _reservations(ReservationQuery(product_id="toaster")),
    "reservations of a stock with many deliveries": _reservations(
        ReservationQuery(product_id="pot")
    ),
    "reservations of nobody else's": _reservations(
        ReservationQuery(scope=Scope(frozenset({StoreId("faro")})))
    ),
    "the policy of a stock": _latest(PolicyByScope(PolicyScope.of("kettle", "lisbon"))),
    "the policy of all stocks": _latest(PolicyByScope(PolicyScope.of(None, None))),
    "policies": _policies(PolicyQuery()),
    "policies of a product": _policies(PolicyQuery("lid-0")),
    "policies in a store": _policies(PolicyQuery(store_id="porto")),
    "policies that are seen from a store": _policies(
        PolicyQuery(scope=Scope(frozenset({StoreId("faro")})))
    ),
    "a stock as of then": _stock_then,
    "the position at a time": lambda shop: shop.parts.event_log.position_before(Instant(1)),
}


MARKED: Final[Mapping[str, Read]] = {
    "stocks with a shortfall": _stocks(StockQuery(short=True)),
    "stocks in a store with a shortfall": _stocks(StockQuery(store_ids=HOT.store_ids, short=True)),
    "stocks that somebody waits for": _stocks(StockQuery(backordered=True)),
    "stocks that are low": _stocks(StockQuery(low_stock=True)),
    "reservations that wait": _reservations(ReservationQuery(backordered=True)),
    "reservations that wait for a product": _reservations(
        ReservationQuery(product_id="kettle", backordered=True)
    ),
    "promises at risk": _at_risk(AtRiskQuery()),
    "promises at risk of a customer": _at_risk(AtRiskQuery(customer_id="ben")),
}
"""Reads that find the few rows with a mark, and sort them."""


class Counted:
    """The connections that read the file: how many steps they took, for which statements."""

    def __init__(self) -> None:
        self.steps = 0
        self.statements: dict[str, Any] = {}

    def watched(self, connection: apsw.Connection) -> apsw.Connection:
        connection.set_progress_handler(self._count, COUNTED)
        connection.exec_trace = self._keep
        return connection

    def _count(self) -> bool:
        self.steps += COUNTED
        return False

    def _keep(self, _: object, sql: str, bindings: Any) -> bool:  # noqa: ANN401  as apsw has them
        self.statements[sql] = bindings
        return True

    async def of(self, read: Read, shop: Opened) -> int:
        """Return how many steps *read* takes."""
        before = self.steps
        await read(shop)
        return self.steps - before


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted, reader = Counted(), Database.reader
    monkeypatch.setattr(Database, "reader", lambda self: counted.watched(reader(self)))
    for name in ("EVENTS", "STOCKS", "RESERVATIONS", "LINES", "POLICIES"):
        monkeypatch.setattr(bounds, f"{name}_SCANNED", SCANNED)
    return counted


@pytest.fixture
async def shop(path: Path, counted: Counted) -> AsyncIterator[Opened]:
    assert not counted.steps
    async with opened(path) as shop:
        cold = [add(5, stock(f"p{number}", "porto")) for number in range(50)]
        await shop.answers(*(shop.ask(command) for command in (add(5, TOASTERS), *cold)))
        await shop.record(add(10_000))
        await shop.record(move(1, into=DAMAGED))
        await shop.answers(
            *(shop.ask(command) for command in (add(9, POTS), reserve({POTS: 1}, "p")))
        )
        await _go_on(shop, 0, SHORT)
        yield shop


async def _go_on(shop: Opened, first: int, end: int) -> None:
    """Have ana reserve kettles, pots come in, and stocks of kettles and of lids in Lisbon come up.

    Each of the lids has a policy.
    """
    asked = []
    for number in range(first, end):
        asked.append(shop.ask(reserve(1, f"r{number}")))
        if number % 8 == 0:
            asked.append(shop.ask(add(1, POTS)))
        if number % 4 == 0:
            asked.append(shop.ask(add(1, stock("kettle", f"store-{number}"))))
            asked.append(shop.ask(add(1, stock(f"lid-{number}", "lisbon"))))
            asked.append(shop.ask(policy(f"lid-{number}", "lisbon", safety_stock=0)))
    await asyncio.gather(*asked)


async def test_a_read_of_a_longer_history_takes_no_more_steps(
    shop: Opened, counted: Counted
) -> None:
    few = {name: await counted.of(read, shop) for name, read in READS.items()}
    await _go_on(shop, SHORT, LONG)
    many = {name: await counted.of(read, shop) for name, read in READS.items()}
    dearer = {name: (few[name], many[name]) for name in READS if many[name] > 1.3 * few[name] + 300}
    assert not dearer


async def test_marked_rows_are_found_in_few_steps_however_long_the_history_is(
    shop: Opened, counted: Counted
) -> None:
    await shop.record(terms(TOASTERS, limit=9, low_at=3))
    await shop.record(reserve({TOASTERS: 7}, "waits"))
    few = {name: await _with_a_shortfall(shop, counted, read) for name, read in MARKED.items()}
    await _go_on(shop, SHORT, LONG)
    many = {name: await _with_a_shortfall(shop, counted, read) for name, read in MARKED.items()}
    dearer = {name: (few[name], many[name]) for name in few if many[name] > 1.3 * few[name] + 300}
    assert not dearer


async def test_amended_promises_are_found_in_few_steps(shop: Opened, counted: Counted) -> None:
    cups = stock("cup", "lisbon")

    async def steps(first: int, end: int) -> int:
        """Return how many steps a page takes that ends before it has found any of ben's."""
        await shop.record(add(9_999, cups))
        for name in (f"c{number}" for number in range(first, end)):
            await shop.record(reserve({cups: 1}, name))
            await shop.record(amend({cups: 2}, name))
        await shop.record(change_by(-9_999, cups))
        return await counted.of(_at_risk(AtRiskQuery(customer_id="ben")), shop)

    few = await steps(0, 2 * SCANNED)
    assert await steps(2 * SCANNED, 12 * SCANNED) <= 1.3 * few + 300


async def _with_a_shortfall(shop: Opened, counted: Counted, read: Read) -> int:
    """Return how many steps *read* takes while most kettles are lost."""
    await shop.record(change_by(1 - 9_999))
    try:
        return await counted.of(read, shop)
    finally:
        await shop.record(change_by(9_998))


async def test_no_read_scans_a_table_or_sorts_what_it_found(
    shop: Opened, counted: Counted, path: Path
) -> None:
    counted.statements.clear()
    for read in READS.values():
        await read(shop)
    assert len(counted.statements) >= len(READS)
    with closing(Database(path).writer()) as connection:
        for sql, bindings in counted.statements.items():
            if sql.startswith("SELECT"):
                plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", bindings).fetchall()
                how = [str(step[3]) for step in plan]
                assert not [step for step in how if "TEMP B-TREE" in step], (sql, how)
                scans = [step for step in how if step.startswith("SCAN")]
                assert set(scans) <= SCANS_OF_FEW, (sql, how)
