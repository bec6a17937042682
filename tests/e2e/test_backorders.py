"""Backorders over gRPC: the worked examples 1 to 9 and 29, and the lists of what is due to whom.

The numbers of a stock are on hand, reserved, available, backordered, backorderable, shortfall.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from google.protobuf.duration_pb2 import Duration

from inventory_grpc.client import InsufficientStock, InventoryClient
from inventory_grpc_protos.v1.commands_pb2 import AmendReservationRequest, ReleaseReservationRequest
from inventory_grpc_protos.v1.events_pb2 import Alert, Event
from inventory_grpc_protos.v1.queries_pb2 import RISK_CAUSE_SHORT
from inventory_grpc_protos.v1.stock_pb2 import Levels, Stock
from tests.support.caller import Caller, adding, batch, line, reserving
from tests.support.engines import on_each_engine

pytestmark = on_each_engine

KETTLES: Final[dict[str, Any]] = {"product_id": "kettle", "store_id": "lisbon"}
PATIENCE_SECONDS: Final = 20.0
"""The time that a test waits for a fill."""


@pytest.fixture
async def client(address: str) -> AsyncIterator[InventoryClient]:
    async with InventoryClient(address) as client:
        yield client


def numbers(stock: Stock | Levels) -> tuple[int, ...]:
    return (
        stock.on_hand,
        stock.reserved,
        stock.available,
        stock.backordered,
        stock.backorderable,
        stock.shortfall,
    )


async def stock_now(client: InventoryClient) -> tuple[int, ...]:
    return numbers((await client.get_stock(**KETTLES)).stock)


async def reserve(client: InventoryClient, name: str, units: int) -> tuple[int, int]:
    """Reserve kettles; return how many are held, and how many of them wait."""
    response = await client.reserve_stock(
        lines=[("kettle", "lisbon", units)], customer_id="ana", reservation_id=name
    )
    [held] = response.reservation.lines
    return held.held, held.backordered


async def commit(client: InventoryClient, name: str, units: int) -> tuple[int, ...]:
    response = await client.commit_reservation(
        reservation_id=name, lines=[("kettle", "lisbon", units)]
    )
    return numbers(response.stocks[0])


def short(refused: pytest.ExceptionInfo[InsufficientStock]) -> list[tuple[int, int]]:
    return [(line.asked, line.available) for line in refused.value.lines]


async def fills(client: InventoryClient, number: int) -> list[Event]:
    """Wait for so many fills, and return them."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found = await client.list_events(event_types=["BackorderFilled"])
            if len(found.events) >= number:
                return list(found.events)
            await asyncio.sleep(0.01)


async def filled(client: InventoryClient, number: int) -> list[tuple[str, int]]:
    facts = [event.backorder_filled for event in await fills(client, number)]
    return [(fact.reservation_id, fact.quantity) for fact in facts]


async def test_safety_stock_is_not_promised_but_can_be_removed(client: InventoryClient) -> None:
    """Worked example 1."""
    await client.set_policy(safety_stock=3)
    await client.add_stock(**KETTLES, quantity=10)
    await reserve(client, "a", 7)
    assert await stock_now(client) == (10, 7, 0, 0, 0, 0)
    with pytest.raises(InsufficientStock) as refused:
        await reserve(client, "b", 1)
    assert short(refused) == [(1, 0)]
    removed = await client.remove_stock(**KETTLES, quantity=3)
    assert numbers(removed.stock) == (7, 7, 0, 0, 0, 0)
    with pytest.raises(InsufficientStock) as refused:
        await client.remove_stock(**KETTLES, quantity=1)
    assert short(refused) == [(1, 0)]


async def test_units_beyond_the_stock_wait_up_to_the_limit(client: InventoryClient) -> None:
    """Worked example 2."""
    await client.set_policy(safety_stock=3, backorder_limit=5)
    await client.add_stock(**KETTLES, quantity=10)
    with pytest.raises(InsufficientStock) as refused:
        await reserve(client, "a", 13)
    assert short(refused) == [(13, 12)]
    assert await reserve(client, "a", 12) == (12, 5)
    assert await stock_now(client) == (10, 12, 0, 5, 0, 0)


async def test_goods_go_to_the_oldest_line_that_waits(
    client: InventoryClient, caller: Caller
) -> None:
    """Worked examples 3 and 4."""
    await client.set_policy(**KETTLES, backorder_limit=10)
    assert await reserve(client, "a", 4) == (4, 4)
    assert await reserve(client, "b", 3) == (3, 3)
    # nothing comes between the commands of a batch, so no fill does
    await caller.commands.ExecuteBatch(batch(adding(5), reserving(line(1), name="c")))
    assert await filled(client, 2) == [("a", 4), ("b", 1)]
    log = await caller.log()
    # the terms, two reservations, the delivery, a reservation, two fills
    after = [numbers(event.after) for event in log if event.product_id == "kettle"]
    assert after[3] == (5, 7, 0, 2, 8, 0)
    assert after[4:] == [(5, 8, 0, 3, 7, 0)] * 3
    assert not any(event.request_id or event.actor or event.reason for event in log[-2:])
    with pytest.raises(InsufficientStock) as refused:
        await commit(client, "b", 3)
    assert short(refused) == [(3, 1)]
    assert await commit(client, "a", 4) == (1, 4, 0, 3, 7, 0)
    assert await commit(client, "b", 1) == (0, 3, 0, 3, 7, 0)


async def test_the_newest_promises_are_at_risk(client: InventoryClient) -> None:
    """Worked example 5."""
    await client.add_stock(**KETTLES, quantity=10)
    await reserve(client, "a", 5)
    await reserve(client, "b", 3)
    counted = await client.adjust_stock(**KETTLES, on_hand=6, unconditional=True, reason="count")
    assert numbers(counted.stock) == (6, 8, 0, 0, 0, 2)
    [row] = (await client.list_reservations_at_risk()).lines
    assert (row.reservation_id, row.customer_id, row.held, row.at_risk) == ("b", "ana", 3, 2)
    assert (row.product_id, row.store_id, row.cause) == ("kettle", "lisbon", RISK_CAUSE_SHORT)
    assert [stock.store_id for stock in (await client.list_stock(short=True)).stocks] == ["lisbon"]
    added = await client.add_stock(**KETTLES, quantity=2)
    assert added.stock.shortfall == 0
    assert not (await client.list_reservations_at_risk()).lines
    assert not (await client.list_stock(short=True)).stocks
    events = (await client.list_events(after_position=3)).events
    assert [list(event.alerts) for event in events] == [
        [Alert.ALERT_OUT_OF_STOCK, Alert.ALERT_PROMISES_AT_RISK],
        [Alert.ALERT_PROMISES_SAFE],
    ]


async def test_units_that_wait_are_not_at_risk(client: InventoryClient) -> None:
    """Worked example 6."""
    await client.set_policy(backorder_limit=5)
    await client.add_stock(**KETTLES, quantity=5)
    assert await reserve(client, "a", 5) == (5, 0)
    assert await reserve(client, "b", 3) == (3, 3)
    lost = await client.adjust_stock(**KETTLES, delta=-2, reason="broken")
    assert numbers(lost.stock) == (3, 8, 0, 3, 2, 2)
    rows = (await client.list_reservations_at_risk(customer_id="ana")).lines
    assert [(row.reservation_id, row.at_risk) for row in rows] == [("a", 2)]
    assert not (await client.list_reservations_at_risk(customer_id="ben")).lines
    added = await client.add_stock(**KETTLES, quantity=4)
    assert numbers(added.stock) == (7, 8, 0, 1, 4, 0)
    assert await filled(client, 1) == [("b", 2)]


async def test_a_lower_limit_takes_nothing_back(client: InventoryClient) -> None:
    """Worked example 7."""
    await client.set_policy(**KETTLES, backorder_limit=5)
    assert await reserve(client, "a", 3) == (3, 3)
    await client.set_policy(**KETTLES, backorder_limit=0)
    with pytest.raises(InsufficientStock) as refused:
        await reserve(client, "b", 1)
    assert short(refused) == [(1, 0)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await stock_now(client))[4]:  # noqa: ASYNC110  the walk sets no event of ours
            await asyncio.sleep(0.01)
    assert await stock_now(client) == (0, 3, 0, 3, 0, 0)


async def test_units_that_wait_are_given_back_first(client: InventoryClient) -> None:
    """Worked example 8."""
    await client.set_policy(backorder_limit=5)
    await client.add_stock(**KETTLES, quantity=2)
    assert await reserve(client, "a", 5) == (5, 3)
    released = await client.release_reservation(reservation_id="a", lines=[("kettle", "lisbon", 4)])
    [held] = released.reservation.lines
    assert (held.held, held.backordered) == (1, 0)
    assert numbers(released.stocks[0]) == (2, 1, 1, 0, 5, 0)
    [event] = (await client.list_events(event_types=["ReservationReleased"])).events
    assert (event.reservation_released.quantity, event.reservation_released.backordered) == (4, 3)


async def amend(client: InventoryClient, name: str, units: int) -> None:
    await client.amend_reservation(reservation_id=name, lines=[("kettle", "lisbon", units)])


async def test_a_line_that_grows_gives_up_its_place(client: InventoryClient) -> None:
    """Worked example 9."""
    await client.set_policy(backorder_limit=9)
    await reserve(client, "a", 2)
    await reserve(client, "b", 2)
    await amend(client, "a", 3)
    added = await client.add_stock(**KETTLES, quantity=2)
    assert numbers(added.stock) == (2, 5, 0, 3, 6, 0)
    assert await filled(client, 1) == [("b", 2)]
    assert await stock_now(client) == (2, 5, 0, 3, 6, 0)


async def test_a_line_that_grows_keeps_the_goods_that_came_in_before(
    client: InventoryClient, caller: Caller
) -> None:
    """Worked example 9, the other way round."""
    await client.set_policy(backorder_limit=9)
    await reserve(client, "a", 2)
    await reserve(client, "b", 2)
    more = AmendReservationRequest(reservation_id="a", lines=[line(3)])
    await caller.commands.ExecuteBatch(batch(adding(2), more))
    assert await filled(client, 1) == [("a", 2)]
    [held] = (await client.get_reservation(reservation_id="a")).reservation.lines
    assert (held.held, held.backordered) == (3, 1)
    assert await stock_now(client) == (2, 5, 0, 3, 6, 0)
    await client.add_stock(**KETTLES, quantity=3)
    assert await filled(client, 3) == [("a", 2), ("b", 2), ("a", 1)]


async def test_an_overdue_hold_is_let_go_before_a_unit_waits(
    client: InventoryClient, caller: Caller
) -> None:
    """Worked example 29."""
    await client.set_policy(backorder_limit=5)
    await client.add_stock(**KETTLES, quantity=2)
    hold = reserving(line(2), name="over", ttl=Duration(seconds=1))
    await caller.commands.ReserveStock(hold)
    new: dict[str, Any] = {"lines": [("kettle", "lisbon", 2)], "customer_id": "ben"}
    waiting = 2
    async with asyncio.timeout(PATIENCE_SECONDS):
        while waiting:
            tried = await client.reserve_stock(**new, dry_run=True)
            waiting = tried.reservation.lines[0].backordered
            assert waiting in {0, 2}
    reserved = await client.reserve_stock(**new)
    assert not reserved.reservation.lines[0].backordered
    over = (await client.get_reservation(reservation_id="over")).reservation
    assert over.lines[0].expired == 2
    assert await stock_now(client) == (2, 2, 0, 0, 5, 0)


async def test_it_is_listed_who_waits_and_for_what(client: InventoryClient, caller: Caller) -> None:
    await client.set_policy(product_id="kettle", backorder_limit=5)
    await client.add_stock(**KETTLES, quantity=1)
    await client.add_stock(product_id="toaster", store_id="lisbon", quantity=9)
    await caller.commands.ReserveStock(reserving(line(2), line(1, "toaster"), name="a"))
    await caller.commands.ReserveStock(reserving(line(1, "toaster"), name="b"))
    await caller.commands.ReserveStock(reserving(line(1, store="porto"), name="c"))
    stocks = (await client.list_stock(backordered=True)).stocks
    assert [(each.product_id, each.store_id) for each in stocks] == [
        ("kettle", "lisbon"),
        ("kettle", "porto"),
    ]

    async def waiting(product_id: str = "", store_id: str = "") -> list[str]:
        found = await client.list_reservations(
            product_id=product_id, store_id=store_id, backordered=True
        )
        return [each.reservation_id for each in found.reservations]

    assert await waiting() == ["c", "a"]
    assert await waiting(store_id="lisbon") == ["a"]
    assert await waiting(product_id="toaster") == []
    await caller.commands.ReleaseReservation(ReleaseReservationRequest(reservation_id="a"))
    assert await waiting() == ["c"]


async def test_stocks_that_are_low_are_listed(client: InventoryClient) -> None:
    await client.set_policy(low_stock_at=3)
    await client.add_stock(**KETTLES, quantity=4)
    await client.add_stock(product_id="kettle", store_id="porto", quantity=3)
    low = (await client.list_stock(low_stock=True)).stocks
    assert [(stock.store_id, stock.low_stock) for stock in low] == [("porto", True)]


async def test_pages_of_promises_at_risk_follow_each_other(client: InventoryClient) -> None:
    await client.add_stock(**KETTLES, quantity=6)
    for name in ("a", "b", "c"):
        await reserve(client, name, 2)
    await client.adjust_stock(**KETTLES, delta=-5, reason="broken")
    seen, token = list[tuple[str, int]](), ""
    for _ in range(3):
        page = await client.list_reservations_at_risk(page_size=1, page_token=token)
        seen += [(row.reservation_id, row.at_risk) for row in page.lines]
        token = page.next_page_token
    assert (seen, token) == ([("c", 2), ("b", 2), ("a", 1)], "")
