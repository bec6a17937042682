"""Ring-fences over gRPC: units for one channel, and the events that say when stock is out."""

from contextlib import aclosing
from datetime import timedelta
from typing import Any, Final

import pytest
from grpc import StatusCode

from inventory_grpc.client import InsufficientStock, InvalidValue, InventoryClient, VersionConflict
from inventory_grpc_protos.v1 import commands_pb2 as pb
from inventory_grpc_protos.v1 import events_pb2, stock_pb2
from tests.support.caller import Caller, refused
from tests.support.engines import on_each_engine

pytestmark = on_each_engine

KETTLES: Final[dict[str, Any]] = {"product_id": "kettle", "store_id": "lisbon"}
VIP: Final[dict[str, Any]] = {**KETTLES, "channel": "vip"}


def shown(stock: stock_pb2.Stock | stock_pb2.Levels) -> tuple[int, int, int, dict[str, int]]:
    fences = {each.channel: each.units for each in stock.fences}
    assert stock.ring_fenced == sum(fences.values())
    return stock.on_hand, stock.reserved, stock.available, fences


async def test_units_are_set_aside_and_taken_back(client: InventoryClient) -> None:
    await client.add_stock(**KETTLES, quantity=10)
    fenced = await client.fence_stock(**VIP, delta=4, expected_version=1, reason="for members")
    assert (shown(fenced.stock), fenced.position) == ((10, 0, 6, {"vip": 4}), 2)
    with pytest.raises(InsufficientStock, match="7 requested, 6 available") as refusal:
        await client.fence_stock(**KETTLES, channel="web", delta=7)
    assert [(line.asked, line.available) for line in refusal.value.lines] == [(7, 6)]
    with pytest.raises(InsufficientStock, match="5 requested, 4 left in the fence"):
        await client.fence_stock(**VIP, delta=-5)
    with pytest.raises(VersionConflict) as conflict:
        await client.fence_stock(**VIP, delta=-5, expected_version=1)
    assert conflict.value.current.version == 2
    back = await client.fence_stock(**VIP, delta=-4)
    assert shown(back.stock) == (10, 0, 10, {})


async def test_a_removal_takes_nothing_that_is_set_aside_for_others(
    client: InventoryClient,
) -> None:
    await client.add_stock(**KETTLES, quantity=10)
    await client.fence_stock(**VIP, delta=4)
    with pytest.raises(InsufficientStock, match="7 requested, 6 available"):
        await client.remove_stock(**KETTLES, quantity=7)
    gone = await client.remove_stock(**VIP, quantity=7)
    assert shown(gone.stock) == (3, 0, 3, {})
    page = await client.list_events(event_types=["StockRemoved"])
    [event] = page.events
    assert event.stock_removed == events_pb2.StockRemoved(quantity=7, channel="vip", fenced=4)
    with pytest.raises(InvalidValue) as invalid:
        await client.remove_stock(**VIP, quantity=1, state="damaged")
    assert [each.field for each in invalid.value.violations] == ["channel"]


async def test_a_channel_is_told_what_it_can_have(client: InventoryClient) -> None:
    await client.add_stock(**KETTLES, quantity=10)
    await client.fence_stock(**VIP, delta=4)
    lines = [("kettle", "lisbon", 8)]
    anybody = await client.check_availability(lines=lines)
    assert [(line.available, line.shortfall) for line in anybody.lines] == [(6, 2)]
    assert not anybody.available
    vip = await client.check_availability(lines=lines, channel="vip", in_stock_only=True)
    [line] = vip.lines
    assert (line.available, line.shortfall, line.backorderable) == (10, 0, 0)
    assert vip.available
    await client.reserve_stock(
        lines=[("kettle", "lisbon", 6)], customer_id="ana", reservation_id="r1"
    )
    await client.adjust_stock(**KETTLES, delta=-3, reason="lost")
    hollow = await client.check_availability(lines=lines, channel="vip")
    assert [line.available for line in hollow.lines] == [1]
    own = await client.check_availability(lines=lines, reservation_id="r1")
    assert [line.available for line in own.lines] == [6]
    with pytest.raises(InvalidValue) as invalid:
        await client.check_availability(lines=lines, reservation_id="r1", channel="vip")
    assert [each.field for each in invalid.value.violations] == ["channel"]


async def test_an_abandoned_cart_does_not_drain_the_fence(client: InventoryClient) -> None:
    """Worked example 13 of the contract."""
    about: dict[str, Any] = {"customer_id": "ana", "channel": "vip"}
    await client.add_stock(**KETTLES, quantity=10)
    await client.fence_stock(**VIP, delta=4)
    cart = await client.reserve_stock(
        **about, lines=[("kettle", "lisbon", 3)], ttl=timedelta(seconds=1)
    )
    assert [shown(stock) for stock in cart.stocks] == [(10, 3, 6, {"vip": 1})]
    assert cart.reservation.channel == "vip"
    async with aclosing(client.events(event_types=["ReservationExpired"])) as events:
        expired = await anext(events)
    assert (shown(expired.after), expired.reservation_expired.fenced) == ((10, 0, 6, {"vip": 4}), 3)
    cart = await client.reserve_stock(**about, lines=[("kettle", "lisbon", 6)], reservation_id="r2")
    assert [shown(stock) for stock in cart.stocks] == [(10, 6, 4, {})]
    part = await client.release_reservation(reservation_id="r2", lines=[("kettle", "lisbon", 3)])
    assert [shown(stock) for stock in part.stocks] == [(10, 3, 6, {"vip": 1})]
    sold = await client.commit_reservation(reservation_id="r2", lines=[("kettle", "lisbon", 3)])
    assert [shown(stock) for stock in sold.stocks] == [(7, 0, 6, {"vip": 1})]
    reserved, released, committed = (await client.list_events(reservation_ids=["r2"])).events
    assert reserved.stock_reserved.fenced == 4
    assert released.reservation_released.fenced == 1
    assert committed.reservation_committed.fenced == 3


async def test_lost_goods_leave_the_fence_hollow(client: InventoryClient) -> None:
    """The first half of worked example 14 of the contract."""
    await _six_of_ten_are_promised_beside_the_fence(client)
    lost = await client.adjust_stock(**KETTLES, delta=-3, reason="lost")
    assert (shown(lost.stock), lost.stock.shortfall) == ((7, 6, 0, {"vip": 4}), 0)
    about: dict[str, Any] = {"customer_id": "ana", "channel": "vip"}
    with pytest.raises(InsufficientStock, match="2 requested, 1 available"):
        await client.reserve_stock(**about, lines=[("kettle", "lisbon", 2)])
    one = await client.reserve_stock(**about, lines=[("kettle", "lisbon", 1)])
    assert [shown(stock) for stock in one.stocks] == [(7, 7, 0, {"vip": 3})]


async def test_what_waits_takes_nothing_from_a_fence(client: InventoryClient) -> None:
    """The second half of worked example 14 of the contract."""
    await _six_of_ten_are_promised_beside_the_fence(client)
    await client.set_policy(**KETTLES, backorder_limit=9)
    cart = await client.reserve_stock(lines=[("kettle", "lisbon", 4)], customer_id="ben")
    (stock,) = cart.stocks
    assert (shown(stock), stock.backordered, stock.backorderable) == ((10, 10, 0, {"vip": 4}), 4, 5)
    about: dict[str, Any] = {"customer_id": "ana", "channel": "vip", "in_stock_only": True}
    with pytest.raises(InsufficientStock, match="5 requested, 4 available"):
        await client.reserve_stock(**about, lines=[("kettle", "lisbon", 5)])
    vip = await client.reserve_stock(**about, lines=[("kettle", "lisbon", 4)])
    assert [shown(stock) for stock in vip.stocks] == [(10, 14, 0, {})]
    assert vip.stocks[0].shortfall == 0


async def _six_of_ten_are_promised_beside_the_fence(client: InventoryClient) -> None:
    await client.add_stock(**KETTLES, quantity=10)
    await client.fence_stock(**VIP, delta=4)
    await client.reserve_stock(lines=[("kettle", "lisbon", 6)], customer_id="ben")


async def test_complaint_15_a_cart_gets_what_the_page_says(client: InventoryClient) -> None:
    """One rule says what is available to pages and to carts, for each channel."""
    await client.add_stock(**KETTLES, quantity=10)
    await client.fence_stock(**VIP, delta=4)
    await client.reserve_stock(lines=[("kettle", "lisbon", 5)], customer_id="ben")
    stock = (await client.get_stock(**KETTLES)).stock
    for channel, there in (("", 1), ("web", 1), ("vip", 5)):
        told = await client.check_availability(lines=[("kettle", "lisbon", 9)], channel=channel)
        assert [line.available for line in told.lines] == [there]
        assert channel == "vip" or there == stock.available
        about: dict[str, Any] = {"customer_id": "ana", "channel": channel}
        with pytest.raises(InsufficientStock) as refusal:
            await client.reserve_stock(**about, lines=[("kettle", "lisbon", there + 1)])
        assert [line.available for line in refusal.value.lines] == [there]
        tried = await client.reserve_stock(
            **about, lines=[("kettle", "lisbon", there)], dry_run=True
        )
        assert tried.stocks[0].reserved == 5 + there


async def test_units_are_moved_between_fences_in_one_batch_or_not_at_all(caller: Caller) -> None:
    await caller.commands.AddStock(pb.AddStockRequest(**KETTLES, quantity=10))
    await caller.commands.FenceStock(pb.FenceStockRequest(**VIP, delta=4))
    back = pb.Command(fence_stock=pb.FenceStockRequest(**VIP, delta=-3))
    web = pb.FenceStockRequest(**KETTLES, channel="web", delta=3)
    moved = pb.ExecuteBatchRequest(atomic=True, commands=[back, pb.Command(fence_stock=web)])
    await caller.commands.ExecuteBatch(moved)
    web.delta = 8
    again = pb.ExecuteBatchRequest(
        atomic=True,
        commands=[
            pb.Command(fence_stock=pb.FenceStockRequest(**VIP, delta=-1)),
            pb.Command(fence_stock=web),
        ],
    )
    answer = await refused(caller.commands.ExecuteBatch(again))
    assert (answer.code, answer.reason) == (StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK")
    assert answer.facts["command_index"] == "1"
    events = await caller.log()
    assert shown(events[-1].after) == (10, 0, 6, {"vip": 1, "web": 3})
    assert [event.stock_fenced for event in events[1:]] == [
        events_pb2.StockFenced(channel="vip", delta=4),
        events_pb2.StockFenced(channel="vip", delta=-3),
        events_pb2.StockFenced(channel="web", delta=3),
    ]


async def test_a_fence_is_tried_repeated_and_undone(client: InventoryClient) -> None:
    await client.add_stock(**KETTLES, quantity=10)
    tried = await client.fence_stock(**VIP, delta=4, dry_run=True)
    assert (shown(tried.stock), tried.position) == ((10, 0, 6, {"vip": 4}), 1)
    first = await client.fence_stock(**VIP, delta=4, request_id="q1")
    again = await client.fence_stock(**VIP, delta=4, request_id="q1")
    assert (again.replayed, again.stock) == (True, first.stock)
    undone = await client.reverse_event(reversed_position=2, reason="a mistake")
    assert shown(undone.stock) == (10, 0, 10, {})
    [event] = (await client.list_events(after_position=2)).events
    assert (event.reverses, event.stock_fenced.delta) == (2, -4)


async def test_a_count_is_no_reason_to_keep_a_fence(client: InventoryClient) -> None:
    await client.add_stock(**KETTLES, quantity=10)
    await client.fence_stock(**VIP, delta=4)
    await client.adjust_stock(**KETTLES, on_hand=9, unconditional=True, reason="count")
    undone = await client.reverse_event(reversed_position=2, reason="a mistake")
    assert shown(undone.stock) == (9, 0, 9, {})


async def test_a_product_shows_the_sums_of_all_its_fences(client: InventoryClient) -> None:
    porto: dict[str, Any] = {"product_id": "kettle", "store_id": "porto"}
    for where, units in ((KETTLES, 4), (porto, 2)):
        await client.add_stock(**where, quantity=10)
        await client.fence_stock(**where, channel="vip", delta=units)
    await client.fence_stock(**porto, channel="web", delta=1)
    product = await client.get_product_inventory(product_id="kettle")
    assert shown(product.total) == (20, 0, 13, {"vip": 6, "web": 1})
    assert not product.total.HasField("update_time")
    assert [shown(stock) for stock in product.stocks] == [
        (10, 0, 6, {"vip": 4}),
        (10, 0, 7, {"vip": 2, "web": 1}),
    ]


async def test_alerts_are_found_by_lists_and_followers(client: InventoryClient) -> None:
    await client.add_stock(**KETTLES, quantity=4)
    await client.fence_stock(**VIP, delta=3)
    await client.reserve_stock(lines=[("kettle", "lisbon", 1)], customer_id="ana")
    await client.adjust_stock(**KETTLES, delta=-4, reason="lost")
    await client.add_stock(product_id="toaster", store_id="lisbon", quantity=1)
    await client.add_stock(**KETTLES, quantity=9)
    out = await client.list_events(alerts=["OUT_OF_STOCK"])
    assert [event.position for event in out.events] == [3]
    some = await client.list_events(alerts=["BACK_IN_STOCK", "PROMISES_AT_RISK"])
    assert [event.position for event in some.events] == [1, 4, 5, 6]
    some = await client.list_events(alerts=["BACK_IN_STOCK"], product_ids=["kettle"])
    assert [event.position for event in some.events] == [1, 6]
    assert [*some.events[1].alerts] == [
        events_pb2.ALERT_BACK_IN_STOCK,
        events_pb2.ALERT_PROMISES_SAFE,
    ]
    following = client.subscribe(alerts=["PROMISES_AT_RISK"], stop_at_head=True)
    async with aclosing(following) as batches:
        seen = [event.position async for batch in batches for event in batch.events]
    assert seen == [4]
    with pytest.raises(ValueError, match="'SOLD' is not an alert"):
        await client.list_events(alerts=["SOLD"])  # type: ignore[list-item]
