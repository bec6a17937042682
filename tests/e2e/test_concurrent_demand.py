"""Concurrent demand for one product sells exactly the units there are.

The numbers are those of the list of complaints that the contract was written from.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from inventory_grpc_protos.v1 import queries_pb2
from inventory_grpc_protos.v1.commands_pb2 import (
    CommitReservationRequest,
    FenceStockRequest,
    PutProductRequest,
    ReleaseReservationRequest,
    RemoveStockRequest,
    RetireProductRequest,
)
from inventory_grpc_protos.v1.stock_pb2 import Stock
from tests.support.caller import Caller, adding, calling, line, refusal, refused, reserving
from tests.support.engines import on_each_engine
from tests.support.model import Model
from tests.support.opened import checked

pytestmark = on_each_engine

KETTLES: dict[str, Any] = {"product_id": "kettle", "store_id": "lisbon"}


async def _now(caller: Caller) -> Stock:
    return (await caller.queries.GetStock(queries_pb2.GetStockRequest(**KETTLES))).stock


async def _done(call: Awaitable[object]) -> str:
    """Return the reason of the refusal, or nothing if there was none."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return refusal(error).reason
    return ""


async def _attempt(caller: Caller, number: int) -> str:
    request = reserving(line(1), name=f"cart-{number}", request_id=f"attempt-{number}")
    try:
        response = await caller.commands.ReserveStock(request, timeout=30)
    except grpc.aio.AioRpcError as error:
        return refusal(error).reason or f"{error.code()} {error.details()}"
    assert response.stocks[0].reserved <= 500
    return "reserved"


@pytest.mark.parametrize("connections", [1, 20])
async def test_complaint_5_2_000_concurrent_attempts_on_500_units_are_500_reservations(
    address: str, connections: int
) -> None:
    """At the launch of a phone, systems that read before they write lose updates."""
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(calling(address)) for _ in range(connections)]
        await callers[0].commands.AddStock(adding(500))
        answers = await asyncio.gather(
            *(_attempt(callers[number % connections], number) for number in range(2_000))
        )
        assert Counter(answers) == {"reserved": 500, "INSUFFICIENT_STOCK": 1_500}
        stock = await _now(callers[0])
        log = await callers[0].log()
    assert (stock.available, stock.reserved) == (0, 500)
    model = Model(event.SerializeToString() for event in log)
    assert len(model.promises) == 500


async def test_complaint_2_one_of_two_gets_the_last_unit_and_is_counted(address: str) -> None:
    """Elsewhere both win, and the count of reserved units loses one."""
    async with calling(address) as ana, calling(address) as ben:
        for sold in range(1, 51):
            await ana.commands.AddStock(adding(1))
            answers = await asyncio.gather(
                *(
                    _done(caller.commands.ReserveStock(reserving(line(1), name=f"{name}-{sold}")))
                    for name, caller in (("ana", ana), ("ben", ben))
                )
            )
            assert sorted(answers) == ["", "INSUFFICIENT_STOCK"]
            stock = await _now(ana)
            assert (stock.on_hand, stock.reserved, stock.available) == (sold, sold, 0)


async def test_complaint_4_every_paid_order_has_its_units_and_nothing_is_to_be_repaired(
    address: str, database: str | Path
) -> None:
    """Elsewhere one order in some thousands has no units, and users write repair scripts."""
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(calling(address)) for _ in range(4)]
        await callers[0].commands.AddStock(adding(100))

        async def check_out(number: int) -> str:
            commands, name = callers[number % 4].commands, f"cart-{number}"
            reserve = reserving(line(1 + number % 3), name=name)
            if reason := await _done(commands.ReserveStock(reserve)):
                return reason
            await commands.CommitReservation(CommitReservationRequest(reservation_id=name))
            return "paid"

        answers = await asyncio.gather(*(check_out(number) for number in range(200)))
        stock, log = await _now(callers[0]), await callers[0].log()
    assert set(answers) == {"paid", "INSUFFICIENT_STOCK"}
    sold = [event.reservation_committed for event in log if event.HasField("reservation_committed")]
    wanted = {f"cart-{number}": 1 + number % 3 for number in range(200)}
    paid = {f"cart-{number}" for number, answer in enumerate(answers) if answer == "paid"}
    assert {one.reservation_id: one.quantity for one in sold} == {
        name: wanted[name] for name in paid
    }
    assert (stock.on_hand, stock.reserved) == (100 - sum(one.quantity for one in sold), 0)
    checked(database)


async def test_complaint_6_all_kinds_of_demand_are_decided_by_one_ledger(address: str) -> None:
    """Elsewhere each kind of order checks alone, and two of them get the same units."""
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(calling(address)) for _ in range(4)]
        await callers[0].commands.AddStock(adding(100))
        removing = RemoveStockRequest(**KETTLES, quantity=2)
        fencing = FenceStockRequest(**KETTLES, channel="web", delta=2)

        async def demand(number: int) -> str:
            commands = callers[number % 4].commands
            match number % 3:
                case 0:
                    return await _done(
                        commands.ReserveStock(reserving(line(2), name=f"cart-{number}"))
                    )
                case 1:
                    return await _done(commands.RemoveStock(removing))
                case _:
                    return await _done(commands.FenceStock(fencing))

        answers = Counter(await asyncio.gather(*(demand(number) for number in range(300))))
        stock = await _now(callers[0])
    assert answers == {"": 50, "INSUFFICIENT_STOCK": 250}
    [fence] = stock.fences
    assert (stock.available, stock.on_hand) == (0, stock.reserved + fence.units)


async def test_complaint_7_no_command_makes_reserved_negative_or_other_than_the_holds(
    caller: Caller,
) -> None:
    await caller.commands.AddStock(adding(9))
    await caller.commands.ReserveStock(reserving(line(4), name="r1"))
    release = ReleaseReservationRequest(reservation_id="r1")
    too_much = ReleaseReservationRequest(reservation_id="r1", lines=[line(5)])
    assert (
        await refused(caller.commands.ReleaseReservation(too_much))
    ).reason == "EXCEEDS_RESERVATION"
    again = [await _done(caller.commands.ReleaseReservation(release)) for _ in range(3)]
    assert again == ["", "", ""]
    await caller.commands.ReserveStock(reserving(line(3), name="r2"))
    held = [
        one.held
        for name in ("r1", "r2")
        for one in (
            await caller.queries.GetReservation(
                queries_pb2.GetReservationRequest(reservation_id=name)
            )
        ).reservation.lines
    ]
    assert held == [0, 3]
    assert (await _now(caller)).reserved == sum(held)


async def test_complaint_16_a_product_that_returns_inherits_no_minus(caller: Caller) -> None:
    """Elsewhere a deleted product leaves its holds behind, and the one made anew inherits them."""
    await caller.commands.PutProduct(PutProductRequest(product_id="kettle"))
    await caller.commands.AddStock(adding(5))
    await caller.commands.ReserveStock(reserving(line(2), name="r1"))
    await caller.commands.RetireProduct(RetireProductRequest(product_id="kettle"))
    await caller.commands.ReleaseReservation(ReleaseReservationRequest(reservation_id="r1"))
    await caller.commands.RemoveStock(RemoveStockRequest(**KETTLES, quantity=5))
    restored = RetireProductRequest(product_id="kettle", restore=True)
    await caller.commands.RetireProduct(restored)
    await caller.commands.AddStock(adding(5))
    stock = await _now(caller)
    assert (stock.on_hand, stock.reserved, stock.available) == (5, 0, 5)
    found = await caller.queries.ListReservations(
        queries_pb2.ListReservationsRequest(product_id="kettle", store_id="lisbon")
    )
    assert [sum(one.held for one in r.lines) for r in found.reservations] == [0]
