"""Carts of which not everything can be had, over gRPC.

The numbers are those of the worked examples, and of the list of complaints that the contract was
written from.
"""

from typing import Any, Final

import pytest
from grpc import StatusCode

from inventory_grpc.client import InsufficientStock, InvalidValue, InventoryClient
from inventory_grpc_protos.v1 import commands_pb2 as pb
from inventory_grpc_protos.v1.errors_pb2 import ShortLines
from inventory_grpc_protos.v1.policies_pb2 import Policy
from inventory_grpc_protos.v1.stock_pb2 import Line, Reservation
from tests.support.caller import Caller, Refused, adding, line, refused, reserving
from tests.support.engines import on_each_engine

pytestmark = on_each_engine

CART: Final = [line(4), line(2, "pan")]
LINES: Final = pb.RESERVE_MODE_PARTIAL_LINES
QUANTITY: Final = pb.RESERVE_MODE_PARTIAL_QUANTITY


@pytest.fixture
async def caller(caller: Caller) -> Caller:
    """Have 3 kettles and 2 pans."""
    await caller.commands.AddStock(adding(3))
    await caller.commands.AddStock(adding(2, "pan"))
    return caller


async def reserved(caller: Caller, *lines: Line, **more: Any) -> Reservation:  # noqa: ANN401
    return (await caller.commands.ReserveStock(reserving(*lines, **more))).reservation


def held(reservation: Reservation) -> list[tuple[str, int]]:
    return [(one.product_id, one.held) for one in reservation.lines]


def short(seen: Refused) -> list[tuple[str, int, int]]:
    assert (seen.code, seen.reason) == (StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK")
    return [(one.product_id, one.asked, one.available) for one in seen.details[ShortLines].lines]


async def test_each_mode_takes_its_part(caller: Caller) -> None:
    """Worked example 32; dry runs, so that each has the same stock."""
    whole = await refused(caller.commands.ReserveStock(reserving(*CART)))
    assert short(whole) == [("kettle", 4, 3)]
    lines = await reserved(caller, *CART, mode=LINES, dry_run=True)
    assert held(lines) == [("pan", 2)]
    quantity = await reserved(caller, *CART, mode=QUANTITY, dry_run=True)
    assert held(quantity) == [("kettle", 3), ("pan", 2)]
    done = await caller.commands.ReserveStock(reserving(*CART, name="r1", mode=QUANTITY))
    assert [(one.product_id, one.available) for one in done.stocks] == [("kettle", 0), ("pan", 0)]


async def test_complaint_3_success_is_never_less_than_was_asked_for_unless_the_caller_says_so(
    caller: Caller,
) -> None:
    """A paid order is not silently under-allocated: without a mode, it is refused and named."""
    assert short(await refused(caller.commands.ReserveStock(reserving(*CART)))) == [
        ("kettle", 4, 3)
    ]
    assert len(await caller.log()) == 2
    part = await reserved(caller, *CART, mode=QUANTITY)
    assert held(part) == [("kettle", 3), ("pan", 2)]


async def test_complaint_22_a_refusal_names_every_short_line(caller: Caller) -> None:
    """Each with what was asked for, what there is, and the difference."""
    wanted = [line(4), line(9, "pan"), line(1, "cup")]
    expected = [("kettle", 4, 3), ("pan", 9, 2), ("cup", 1, 0)]
    seen = await refused(caller.commands.ReserveStock(reserving(*wanted)))
    assert short(seen) == expected
    assert [one.shortfall for one in seen.details[ShortLines].lines] == [1, 7, 1]
    seen = await refused(caller.commands.ReserveStock(reserving(*wanted, mode=LINES)))
    assert short(seen) == expected


@pytest.mark.parametrize("mode", [LINES, QUANTITY])
async def test_where_nothing_can_be_had_there_is_no_reservation(
    caller: Caller, mode: pb.ReserveMode.ValueType
) -> None:
    seen = await refused(caller.commands.ReserveStock(reserving(line(1, "cup"), mode=mode)))
    assert short(seen) == [("cup", 1, 0)]
    assert len(await caller.log()) == 2


async def test_sent_again_it_finds_the_reservation(caller: Caller) -> None:
    part = reserving(*CART, name="r1", mode=QUANTITY, channel="web")
    first = await caller.commands.ReserveStock(part)
    await caller.commands.AddStock(adding(5))
    again = await caller.commands.ReserveStock(part)
    assert again.reservation == first.reservation
    assert len(await caller.log()) == 5
    for other in (
        reserving(line(2), line(2, "pan"), name="r1", mode=QUANTITY, channel="web"),
        reserving(*CART, name="r1", mode=QUANTITY),
        reserving(*CART, name="r1", channel="web"),
    ):
        seen = await refused(caller.commands.ReserveStock(other))
        assert (seen.code, seen.reason) == (StatusCode.ALREADY_EXISTS, "RESERVATION_EXISTS")


async def test_what_waits_can_be_had_unless_the_caller_takes_only_what_is_in_stock(
    caller: Caller,
) -> None:
    await caller.commands.SetPolicy(
        pb.SetPolicyRequest(product_id="kettle", policy=Policy(backorder_limit=5))
    )
    only = reserving(line(4), in_stock_only=True)
    assert short(await refused(caller.commands.ReserveStock(only))) == [("kettle", 4, 3)]
    part = await reserved(caller, line(4), mode=QUANTITY, in_stock_only=True, dry_run=True)
    assert [(one.held, one.backordered) for one in part.lines] == [(3, 0)]
    late = await reserved(caller, line(9), mode=QUANTITY)
    assert [(one.held, one.backordered) for one in late.lines] == [(8, 5)]


async def test_a_channel_takes_units_of_its_fence(caller: Caller) -> None:
    fence = pb.FenceStockRequest(product_id="kettle", store_id="lisbon", channel="vip", delta=2)
    await caller.commands.FenceStock(fence)
    anybody = await reserved(caller, line(3), mode=QUANTITY, dry_run=True)
    assert (held(anybody), anybody.channel) == ([("kettle", 1)], "")
    vip = await reserved(caller, line(3), channel="vip")
    assert (held(vip), vip.channel) == ([("kettle", 3)], "vip")
    [event] = (await caller.log())[-1:]
    assert (event.stock_reserved.channel, event.stock_reserved.fenced) == ("vip", 2)


async def test_by_the_client(client: InventoryClient, caller: Caller) -> None:
    lines = [("kettle", "lisbon", 4), ("pan", "lisbon", 2)]
    part = await client.reserve_stock(lines=lines, customer_id="ana", mode="PARTIAL_LINES")
    assert held(part.reservation) == [("pan", 2)]
    with pytest.raises(InsufficientStock):
        await client.reserve_stock(lines=lines, customer_id="ana", in_stock_only=True)
    with pytest.raises(InvalidValue) as invalid:
        await client.reserve_stock(lines=lines, customer_id="ana", channel="no channel")
    assert [one.field for one in invalid.value.violations] == ["channel"]
    unknown = reserving(*CART)
    unknown.mode = 99  # type: ignore[assignment]
    seen = await refused(caller.commands.ReserveStock(unknown))
    assert (seen.reason, seen.message) == ("INVALID_VALUE", "mode: must be a mode of reserving")
