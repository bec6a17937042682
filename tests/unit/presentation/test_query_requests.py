"""Queries are answered, or every violation in their requests is named."""

from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.application.failures import PositionAhead
from inventory_grpc.application.queries.snapshot import Queries
from inventory_grpc.domain.refusals import InvalidValue, StockNotFound
from inventory_grpc.presentation import stock as stock_rows
from inventory_grpc.presentation.nouns import QUERY_ROWS
from inventory_grpc.presentation.stock import MAX_KEYS
from inventory_grpc.presentation.validation import MAX_VALUES
from inventory_grpc_protos.v1 import queries_pb2 as pb
from inventory_grpc_protos.v1.stock_pb2 import (
    RESERVATION_STATE_ACTIVE,
    RESERVATION_STATE_RELEASED,
    RESERVATION_STATE_UNSPECIFIED,
    StockKey,
)
from tests.support.engine import Engine
from tests.support.world import (
    BEN,
    KETTLES,
    NOON,
    ORDER,
    PORTO_KETTLES,
    SECOND,
    TOASTERS,
    add,
    commit,
    release,
    reserve,
)
from tests.unit.presentation.asking import called, fields, line

KETTLE: dict[str, Any] = {"product_id": "kettle", "store_id": "lisbon"}


ROWS = {row.name: row for row in QUERY_ROWS}


async def asking(queries: Queries, request: Message) -> Any:  # noqa: ANN401  of that query
    row = ROWS[type(request).__name__.removesuffix("Request")]
    return await row.answer(queries, request, called())


WRONG: list[tuple[Message, list[str]]] = [
    (pb.GetStockRequest(min_position=-1), ["min_position", "product_id", "store_id"]),
    (pb.GetStockRequest(**KETTLE, as_of_position=-1), ["as_of_position"]),
    (pb.GetStockRequest(**KETTLE, as_of_time=Timestamp(seconds=10**18)), ["as_of_time"]),
    (pb.GetStockRequest(**KETTLE, as_of_time=Timestamp(nanos=-5)), ["as_of_time"]),
    (pb.BatchGetStockRequest(), ["keys"]),
    (pb.BatchGetStockRequest(keys=[StockKey(**KETTLE)] * (MAX_KEYS + 1)), ["keys"]),
    (
        pb.BatchGetStockRequest(keys=[StockKey(**KETTLE), StockKey(product_id="a")]),
        ["keys[1].store_id"],
    ),
    (pb.CheckAvailabilityRequest(), ["lines"]),
    (pb.CheckAvailabilityRequest(lines=[line(0)]), ["lines[0].quantity"]),
    (pb.CheckAvailabilityRequest(lines=[line()], reservation_id="%"), ["reservation_id"]),
    (pb.GetProductInventoryRequest(), ["product_id"]),
    (
        pb.GetProductInventoryRequest(product_id="a", page_size=-1, page_token="b"),  # noqa: S106
        ["page_size", "page_token"],
    ),
    (
        pb.ListStockRequest(product_ids=["a", ""], store_ids=["%"]),
        ["product_ids[1]", "store_ids[0]"],
    ),
    (pb.ListStockRequest(product_ids=["a"] * (MAX_VALUES + 1)), ["product_ids"]),
    (pb.ListStockRequest(max_available=-1, min_position=-1), ["max_available", "min_position"]),
    (pb.GetReservationRequest(), ["reservation_id"]),
    (pb.ListReservationsRequest(states=[RESERVATION_STATE_UNSPECIFIED]), ["states[0]"]),
    (pb.ListReservationsRequest(states=[1, 99]), ["states[1]"]),  # type: ignore[list-item]
    (pb.ListReservationsRequest(states=[RESERVATION_STATE_ACTIVE] * 101), ["states"]),
    (
        pb.ListReservationsRequest(customer_id="%", order_id="%", product_id="%", store_id="%"),
        ["customer_id", "order_id", "product_id", "store_id"],
    ),
]


@pytest.mark.parametrize(
    ("request_", "where"),
    WRONG,
    ids=[f"{type(asked).__name__}-{where[0]}" for asked, where in WRONG],
)
async def test_every_violation_is_named_by_its_path(
    engine: Engine, request_: Message, where: list[str]
) -> None:
    with pytest.raises(InvalidValue) as refused:
        await asking(engine.queries, request_)
    assert fields(refused.value) == where


async def test_a_stock_is_shown_as_it_is_and_as_it_was(engine: Engine) -> None:
    queries = engine.queries
    await engine.record(add(5))
    await engine.go_on(SECOND)
    await engine.record(add(2))
    now = await asking(queries, pb.GetStockRequest(**KETTLE, min_position=2))
    assert (now.stock.on_hand, now.stock.version, now.as_of_position) == (7, 2, 2)
    for moment in ({"as_of_position": 1}, {"as_of_time": Timestamp(seconds=NOON // SECOND)}):
        then = await asking(queries, pb.GetStockRequest(**KETTLE, **moment))
        assert then.stock.on_hand == 5


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ({"as_of_position": 0}, "kettle in lisbon has no history at the requested time"),
        ({"as_of_time": Timestamp()}, "kettle in lisbon has no history at the requested time"),
        ({}, "kettle in lisbon has no history"),
    ],
    ids=["position", "time", "now"],
)
async def test_a_stock_without_history_is_not_found_and_a_moment_named_if_it_was_asked_for(
    engine: Engine, moment: dict[str, Any], words: str
) -> None:
    if moment:
        await engine.record(add(5))
    with pytest.raises(StockNotFound) as refused:
        await asking(engine.queries, pb.GetStockRequest(**KETTLE, **moment))
    assert str(refused.value) == words


async def test_a_read_that_needs_a_position_beyond_the_head_is_refused(engine: Engine) -> None:
    with pytest.raises(PositionAhead):
        await asking(engine.queries, pb.GetStockRequest(**KETTLE, min_position=1))


async def test_a_batch_is_answered_in_the_order_asked_each_key_as_often_as_asked(
    engine: Engine,
) -> None:
    await engine.record(add(5))
    await engine.record(add(1, PORTO_KETTLES))
    keys = [
        StockKey(product_id=product, store_id=store)
        for product, store in (PORTO_KETTLES, TOASTERS, KETTLES, PORTO_KETTLES)
    ]
    response = await asking(engine.queries, pb.BatchGetStockRequest(keys=keys))
    assert [(stock.store_id, stock.on_hand) for stock in response.stocks] == [
        ("porto", 1),
        ("lisbon", 5),
        ("porto", 1),
    ]
    assert list(response.missing) == [keys[1]]


async def test_a_batch_that_no_message_holds_is_refused(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.record(add(5))
    request = pb.BatchGetStockRequest(keys=[StockKey(**KETTLE)] * 9)
    size = (await asking(engine.queries, request)).ByteSize()
    monkeypatch.setattr(stock_rows, "MAX_ANSWER_BYTES", size)
    await asking(engine.queries, request)
    monkeypatch.setattr(stock_rows, "MAX_ANSWER_BYTES", size - 1)
    with pytest.raises(InvalidValue) as refused:
        await asking(engine.queries, request)
    assert fields(refused.value) == ["keys"]


async def test_a_cart_is_available_only_if_all_of_it_is(engine: Engine) -> None:
    await engine.record(add(5))
    await engine.record(reserve(4, "r1"))
    queries = engine.queries
    lines = [line(1), line(2, "toaster"), line(1)]
    short = await asking(queries, pb.CheckAvailabilityRequest(lines=lines))
    assert not short.available
    assert [(found.requested, found.available, found.shortfall) for found in short.lines] == [
        (2, 1, 1),
        (2, 0, 2),
    ]
    own = pb.CheckAvailabilityRequest(lines=[line(5)], reservation_id="r1")
    assert (await asking(queries, own)).available


async def test_a_product_is_summed_over_all_stores_on_every_page(engine: Engine) -> None:
    await engine.record(add(5))
    await engine.record(add(2, PORTO_KETTLES))
    await engine.record(reserve(1))
    queries = engine.queries
    first = await asking(queries, pb.GetProductInventoryRequest(product_id="kettle", page_size=1))
    second = await asking(
        queries,
        pb.GetProductInventoryRequest(product_id="kettle", page_token=first.next_page_token),
    )
    assert [stock.store_id for stock in (*first.stocks, *second.stocks)] == ["lisbon", "porto"]
    assert first.next_page_token
    assert not second.next_page_token
    assert first.total == second.total
    assert (first.total.on_hand, first.total.reserved, first.total.available) == (7, 1, 6)
    assert (first.total.product_id, first.total.store_id, first.total.version) == ("kettle", "", 0)


async def test_a_list_of_stocks_goes_on_where_it_ended(engine: Engine) -> None:
    for stock_id in (TOASTERS, PORTO_KETTLES, KETTLES):
        await engine.record(add(5, stock_id))
    request, found = pb.ListStockRequest(page_size=1), []
    while True:
        response = await asking(engine.queries, request)
        found += [(stock.product_id, stock.store_id) for stock in response.stocks]
        if not response.next_page_token:
            break
        request.page_token = response.next_page_token
    assert found == [KETTLES, PORTO_KETTLES, TOASTERS]


async def test_reservations_are_listed_newest_first_and_filtered(engine: Engine) -> None:
    await engine.record(add(9))
    await engine.record(reserve(1, "r1", order=ORDER))
    await engine.record(reserve(1, "r2", customer=BEN))
    await engine.record(reserve(1, "r3"))
    await engine.record(commit(name="r1"))
    await engine.record(release(name="r3"))

    async def listed(**wanted: Any) -> list[str]:  # noqa: ANN401
        request = pb.ListReservationsRequest(page_size=1, **wanted)
        found: list[str] = []
        while True:
            response = await asking(engine.queries, request)
            found += [reservation.reservation_id for reservation in response.reservations]
            if not response.next_page_token:
                return found
            request.page_token = response.next_page_token

    assert await listed() == ["r3", "r2", "r1"]
    assert await listed(customer_id="ana") == ["r3", "r1"]
    assert await listed(order_id="order-1") == ["r1"]
    assert await listed(states=[RESERVATION_STATE_ACTIVE, RESERVATION_STATE_RELEASED]) == [
        "r3",
        "r2",
    ]
    assert await listed(product_id="kettle", store_id="porto") == []


async def test_one_reservation_is_shown_by_its_id(engine: Engine) -> None:
    await engine.record(add(9))
    await engine.record(reserve(2))
    response = await asking(engine.queries, pb.GetReservationRequest(reservation_id="r1"))
    assert response.reservation.lines[0].held == 2
    assert response.as_of_position == 2
