"""Units in states over gRPC: what is damaged is on hand, and nobody can reserve it."""

from pathlib import Path
from typing import Any

import pytest

from inventory_grpc.client import InsufficientStock, InvalidValue, InventoryClient, VersionConflict
from inventory_grpc.server import serve
from inventory_grpc.settings import Settings
from inventory_grpc_protos.v1 import events_pb2, queries_pb2, stock_pb2
from tests.support.caller import calling
from tests.support.engines import on_each_engine

pytestmark = on_each_engine

KETTLES: dict[str, Any] = {"product_id": "kettle", "store_id": "lisbon"}


def shown(stock: stock_pb2.Stock | stock_pb2.Levels) -> tuple[int, int, int, int, dict[str, int]]:
    states = {each.state: each.units for each in stock.states}
    return stock.on_hand, stock.reserved, stock.available, stock.shortfall, states


async def test_a_return_is_looked_at_and_sold_again_or_thrown_away(client: InventoryClient) -> None:
    await client.add_stock(**KETTLES, quantity=5)
    back = await client.add_stock(**KETTLES, quantity=3, state="returned")
    assert shown(back.stock) == (8, 0, 5, 0, {"returned": 3})
    good = await client.move_stock(**KETTLES, quantity=1, from_state="returned")
    assert shown(good.stock) == (8, 0, 6, 0, {"returned": 2})
    bad = await client.move_stock(
        **KETTLES, quantity=2, from_state="returned", to_state="damaged", expected_version=3
    )
    assert (shown(bad.stock), bad.position) == ((8, 0, 6, 0, {"damaged": 2}), 4)
    gone = await client.remove_stock(**KETTLES, quantity=2, state="damaged")
    assert shown(gone.stock) == (6, 0, 6, 0, {})


async def test_a_reserved_kettle_breaks_and_the_shortfall_says_so(client: InventoryClient) -> None:
    await client.add_stock(**KETTLES, quantity=5)
    await client.reserve_stock(
        lines=[("kettle", "lisbon", 4)], customer_id="ana", reservation_id="r1"
    )
    broken = await client.move_stock(**KETTLES, quantity=3, to_state="damaged", reason="fell")
    assert shown(broken.stock) == (5, 4, 0, 2, {"damaged": 3})
    with pytest.raises(InsufficientStock) as refused:
        await client.commit_reservation(reservation_id="r1")
    assert [(line.asked, line.available) for line in refused.value.lines] == [(4, 2)]
    assert "4 requested, 2 sellable" in str(refused.value)
    part = await client.commit_reservation(reservation_id="r1", lines=[("kettle", "lisbon", 2)])
    assert [shown(stock) for stock in part.stocks] == [(3, 2, 0, 2, {"damaged": 3})]


async def test_a_count_is_of_one_state_or_of_all(client: InventoryClient) -> None:
    await client.add_stock(**KETTLES, quantity=10)
    await client.move_stock(**KETTLES, quantity=4, to_state="quarantine")
    about = {**KETTLES, "reason": "count"}
    every = await client.adjust_stock(**about, on_hand=9, expected_version=2)
    assert shown(every.stock) == (9, 0, 5, 0, {"quarantine": 4})
    some = await client.adjust_stock(**about, on_hand=1, state="quarantine", expected_version=3)
    assert shown(some.stock) == (6, 0, 5, 0, {"quarantine": 1})
    shelf = await client.adjust_stock(**about, on_hand=7, state="sellable", expected_version=4)
    assert shown(shelf.stock) == (8, 0, 7, 0, {"quarantine": 1})
    with pytest.raises(InsufficientStock) as refused:
        await client.adjust_stock(**about, on_hand=0, expected_version=5)
    assert [(line.asked, line.available) for line in refused.value.lines] == [(8, 7)]


async def test_every_refusal_has_its_reason(client: InventoryClient) -> None:
    await client.add_stock(**KETTLES, quantity=2)
    with pytest.raises(InsufficientStock, match="3 requested, 2 sellable"):
        await client.move_stock(**KETTLES, quantity=3, to_state="damaged")
    with pytest.raises(InsufficientStock, match="1 requested, 0 damaged"):
        await client.remove_stock(**KETTLES, quantity=1, state="damaged")
    with pytest.raises(VersionConflict) as conflict:
        await client.move_stock(**KETTLES, quantity=1, to_state="damaged", expected_version=7)
    assert conflict.value.current.version == 1
    for state in ("lost", "damaged/box"):
        with pytest.raises(InvalidValue) as invalid:
            await client.add_stock(**KETTLES, quantity=1, state=state)
        assert [one.field for one in invalid.value.violations] == ["state"]


async def test_every_query_and_event_shows_the_states(address: str) -> None:
    async with InventoryClient(address) as client, calling(address) as caller:
        await client.add_stock(**KETTLES, quantity=5)
        await client.add_stock(product_id="kettle", store_id="porto", quantity=1, state="damaged")
        await client.move_stock(**KETTLES, quantity=2, to_state="damaged")
        await client.reserve_stock(
            lines=[("kettle", "lisbon", 1)], customer_id="ana", reservation_id="r1"
        )
        lisbon = (5, 1, 2, 0, {"damaged": 2})
        porto = (1, 0, 0, 0, {"damaged": 1})
        queries = caller.queries
        one = await queries.GetStock(queries_pb2.GetStockRequest(**KETTLES))
        assert shown(one.stock) == lisbon
        past = await queries.GetStock(queries_pb2.GetStockRequest(**KETTLES, as_of_position=3))
        assert shown(past.stock) == (5, 0, 3, 0, {"damaged": 2})
        keys = [stock_pb2.StockKey(**KETTLES)]
        several = await queries.BatchGetStock(queries_pb2.BatchGetStockRequest(keys=keys))
        assert [shown(stock) for stock in several.stocks] == [lisbon]
        few = await queries.ListStock(queries_pb2.ListStockRequest(max_available=1))
        assert [shown(stock) for stock in few.stocks] == [porto]
        product = await queries.GetProductInventory(
            queries_pb2.GetProductInventoryRequest(product_id="kettle")
        )
        assert shown(product.total) == (6, 1, 2, 0, {"damaged": 3})
        assert [shown(stock) for stock in product.stocks] == [lisbon, porto]
        line = stock_pb2.Line(**KETTLES, quantity=4)
        asked = await queries.CheckAvailability(
            queries_pb2.CheckAvailabilityRequest(lines=[line], reservation_id="r1")
        )
        assert [(each.available, each.shortfall) for each in asked.lines] == [(3, 1)]
        events = (await caller.events.ListEvents(events_pb2.ListEventsRequest())).events
        assert [shown(event.after) for event in events] == [
            (5, 0, 5, 0, {}),
            porto,
            (5, 0, 3, 0, {"damaged": 2}),
            lisbon,
        ]
        assert events[2].stock_moved == events_pb2.StockMoved(quantity=2, to_state="damaged")


async def test_states_of_ones_own_come_with_the_settings_and_units_stay_when_they_go(
    database: str | Path,
) -> None:
    settings = Settings(listen="127.0.0.1:0", database=database, states="on_display")
    async with serve.serving(settings) as served, InventoryClient(served.address) as client:
        await client.add_stock(**KETTLES, quantity=3, state="on_display", request_id="first")
    settings = Settings(listen="127.0.0.1:0", database=database)
    async with serve.serving(settings) as served, InventoryClient(served.address) as client:
        again = await client.add_stock(
            **KETTLES, quantity=3, state="on_display", request_id="first"
        )
        assert (again.replayed, shown(again.stock)) == (True, (3, 0, 0, 0, {"on_display": 3}))
        with pytest.raises(InvalidValue, match="on_display is not a state"):
            await client.add_stock(**KETTLES, quantity=1, state="on_display")
        sold = await client.move_stock(**KETTLES, quantity=3, from_state="on_display")
        assert shown(sold.stock) == (3, 0, 3, 0, {})
