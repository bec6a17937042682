"""Every rpc answers over gRPC as the contract says."""

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2

from inventory_grpc_protos.v1 import admin_pb2, commands_pb2, events_pb2, queries_pb2, stock_pb2
from tests.support.caller import Caller, adding, line, reserving
from tests.support.engines import on_each_engine

pytestmark = on_each_engine


def _levels(stock: stock_pb2.Stock) -> tuple[int, int, int, int, int]:
    return stock.on_hand, stock.reserved, stock.available, stock.shortfall, stock.version


async def test_a_delivery_a_count_and_a_removal(caller: Caller) -> None:
    added = await caller.commands.AddStock(adding(5, reason="delivery", reference="note 7"))
    assert (_levels(added.stock), added.position, added.replayed) == ((5, 0, 5, 0, 1), 1, False)
    assert added.stock.product_id == "kettle"
    assert abs(added.stock.update_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(seconds=10)
    counted = await caller.commands.AdjustStock(
        commands_pb2.AdjustStockRequest(
            product_id="kettle", store_id="lisbon", on_hand=4, expected_version=1, reason="count"
        )
    )
    assert _levels(counted.stock) == (4, 0, 4, 0, 2)
    broken = await caller.commands.AdjustStock(
        commands_pb2.AdjustStockRequest(
            product_id="kettle", store_id="lisbon", delta=-1, reason="broken"
        )
    )
    assert _levels(broken.stock) == (3, 0, 3, 0, 3)
    removed = await caller.commands.RemoveStock(
        commands_pb2.RemoveStockRequest(product_id="kettle", store_id="lisbon", quantity=1)
    )
    assert (_levels(removed.stock), removed.position) == ((2, 0, 2, 0, 4), 4)


async def test_a_cart_from_its_reservation_to_its_end(caller: Caller) -> None:
    for product in ("kettle", "toaster"):
        await caller.commands.AddStock(adding(5, product))
    reserved = await caller.commands.ReserveStock(
        reserving(line(1), line(2, "toaster"), line(1), name="cart-1", ttl=Duration(seconds=60))
    )
    held = reserved.reservation
    assert [(part.product_id, part.quantity, part.held) for part in held.lines] == [
        ("kettle", 2, 2),
        ("toaster", 2, 2),
    ]
    assert held.expire_time.ToMicroseconds() - held.create_time.ToMicroseconds() == 60_000_000
    assert [_levels(stock) for stock in reserved.stocks] == [(5, 2, 3, 0, 2), (5, 2, 3, 0, 2)]
    extended = await caller.commands.ExtendReservation(
        commands_pb2.ExtendReservationRequest(reservation_id="cart-1", never_expires=True)
    )
    assert not extended.reservation.HasField("expire_time")
    part = await caller.commands.CommitReservation(
        commands_pb2.CommitReservationRequest(
            reservation_id="cart-1", lines=[line(1)], order_id="order-1"
        )
    )
    assert part.reservation.order_id == "order-1"
    assert [_levels(stock) for stock in part.stocks] == [(4, 1, 3, 0, 4)]
    rest = await caller.commands.ReleaseReservation(
        commands_pb2.ReleaseReservationRequest(reservation_id="cart-1")
    )
    assert rest.reservation.state == stock_pb2.RESERVATION_STATE_RELEASED
    assert [(line.committed, line.released) for line in rest.reservation.lines] == [(1, 1), (0, 2)]


async def test_a_request_that_is_sent_again_gets_its_answer_again(caller: Caller) -> None:
    first = await caller.commands.AddStock(adding(5, request_id="delivery-1"))
    again = await caller.commands.AddStock(adding(5, request_id="delivery-1"))
    assert again.replayed
    again.replayed = False
    assert again == first
    made = await caller.commands.ReserveStock(reserving(line(1), request_id="r1"))
    assert made.reservation.reservation_id
    same = await caller.commands.ReserveStock(reserving(line(1), request_id="r1"))
    assert same.reservation == made.reservation


async def test_what_happened_earlier_is_recorded_with_its_time(caller: Caller) -> None:
    yesterday = Timestamp()
    yesterday.FromDatetime(datetime.now(UTC) - timedelta(days=1))
    await caller.commands.AddStock(
        adding(5, occur_time=yesterday, reason="delivery", reference="note 7", request_id="d1")
    )
    [event] = await caller.log()
    assert event.occur_time == yesterday
    assert (event.reason, event.reference, event.request_id) == ("delivery", "note 7", "d1")


async def test_questions_about_stock(caller: Caller) -> None:
    for store in ("lisbon", "porto"):
        await caller.commands.AddStock(adding(5, store=store))
    await caller.commands.ReserveStock(reserving(line(2), name="r1"))
    now = await caller.queries.GetStock(
        queries_pb2.GetStockRequest(product_id="kettle", store_id="lisbon", min_position=3)
    )
    assert (_levels(now.stock), now.as_of_position) == ((5, 2, 3, 0, 2), 3)
    then = await caller.queries.GetStock(
        queries_pb2.GetStockRequest(product_id="kettle", store_id="lisbon", as_of_position=2)
    )
    assert _levels(then.stock) == (5, 0, 5, 0, 1)
    at_time = await caller.queries.GetStock(
        queries_pb2.GetStockRequest(
            product_id="kettle", store_id="lisbon", as_of_time=then.stock.update_time
        )
    )
    assert at_time.stock == then.stock
    keys = [
        stock_pb2.StockKey(product_id=product, store_id="porto") for product in ("fork", "kettle")
    ]
    both = await caller.queries.BatchGetStock(queries_pb2.BatchGetStockRequest(keys=keys))
    assert (list(both.missing), [stock.store_id for stock in both.stocks]) == (keys[:1], ["porto"])
    product = await caller.queries.GetProductInventory(
        queries_pb2.GetProductInventoryRequest(product_id="kettle", page_size=1)
    )
    assert (_levels(product.total), product.stocks[0].store_id) == ((10, 2, 8, 0, 0), "lisbon")
    more = await caller.queries.GetProductInventory(
        queries_pb2.GetProductInventoryRequest(
            product_id="kettle", page_size=1, page_token=product.next_page_token
        )
    )
    assert [stock.store_id for stock in more.stocks] == ["porto"]
    assert not more.next_page_token
    low = await caller.queries.ListStock(
        queries_pb2.ListStockRequest(store_ids=["lisbon", "porto"], max_available=3)
    )
    assert [stock.store_id for stock in low.stocks] == ["lisbon"]


async def test_questions_about_carts(caller: Caller) -> None:
    await caller.commands.AddStock(adding(5))
    await caller.commands.ReserveStock(reserving(line(2), name="r1", order_id="o1"))
    await caller.commands.ReserveStock(reserving(line(1), name="r2"))
    checked = await caller.queries.CheckAvailability(
        queries_pb2.CheckAvailabilityRequest(lines=[line(4), line(1, "fork")])
    )
    assert [(one.requested, one.available, one.shortfall) for one in checked.lines] == [
        (4, 2, 2),
        (1, 0, 1),
    ]
    own = await caller.queries.CheckAvailability(
        queries_pb2.CheckAvailabilityRequest(lines=[line(4)], reservation_id="r1")
    )
    assert (checked.available, own.available) == (False, True)
    one = await caller.queries.GetReservation(
        queries_pb2.GetReservationRequest(reservation_id="r1")
    )
    assert one.reservation.order_id == "o1"
    everybody = await caller.queries.ListReservations(
        queries_pb2.ListReservationsRequest(
            customer_id="ana", states=[stock_pb2.RESERVATION_STATE_ACTIVE]
        )
    )
    assert [held.reservation_id for held in everybody.reservations] == ["r2", "r1"]


async def test_events_in_pages(caller: Caller) -> None:
    for number in range(5):
        await caller.commands.AddStock(adding(1, f"p{number}"))
    first = await caller.events.ListEvents(
        events_pb2.ListEventsRequest(newest_first=True, page_size=3)
    )
    rest = await caller.events.ListEvents(
        events_pb2.ListEventsRequest(
            newest_first=True, page_size=3, page_token=first.next_page_token
        )
    )
    positions = [event.position for event in (*first.events, *rest.events)]
    assert (positions, first.head_position, rest.next_page_token) == ([5, 4, 3, 2, 1], 5, "")
    assert [f"{event.position}" for event in first.events] == [
        event.event_id.rsplit("-", 1)[1] for event in first.events
    ]


async def test_what_the_server_says_of_itself(caller: Caller) -> None:
    await caller.commands.AddStock(adding(1))
    info = await caller.admin.GetServerInfo(admin_pb2.GetServerInfoRequest())
    assert (info.head_position, info.durability) == (1, admin_pb2.DURABILITY_FULL)
    assert info.writes == admin_pb2.WRITES_ACCEPTED
    assert info.circuit_breaker.state == admin_pb2.CIRCUIT_BREAKER_STATE_CLOSED
    assert info.version
    [event] = await caller.log()
    assert event.event_id == f"{info.log_id}-1"


@pytest.mark.parametrize("service", ["", "inventory.v1.InventoryCommands"])
async def test_every_service_is_healthy(caller: Caller, service: str) -> None:
    health = await caller.health.Check(health_pb2.HealthCheckRequest(service=service))
    assert health.status == health_pb2.HealthCheckResponse.SERVING
