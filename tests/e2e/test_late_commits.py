"""Commits that come after the hold has expired, over gRPC.

The numbers are those of the worked examples, and of the list of complaints that the contract was
written from.
"""

import asyncio
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from inventory_grpc.client import InsufficientStock, InventoryClient
from inventory_grpc_protos.v1.commands_pb2 import (
    CommitReservationRequest,
    CommitReservationResponse,
    ReleaseReservationRequest,
)
from inventory_grpc_protos.v1.errors_pb2 import ShortLines
from inventory_grpc_protos.v1.queries_pb2 import GetReservationRequest
from inventory_grpc_protos.v1.stock_pb2 import (
    RESERVATION_STATE_COMMITTED,
    RESERVATION_STATE_EXPIRED,
    Reservation,
)
from tests.support.caller import SECONDS, Caller, adding, line, refused, reserving
from tests.support.engines import on_each_engine

pytestmark = on_each_engine


def committing(name: str = "r1", **more: Any) -> CommitReservationRequest:  # noqa: ANN401  any field
    return CommitReservationRequest(reservation_id=name, reacquire_if_available=True, **more)


async def late(caller: Caller, **more: Any) -> CommitReservationResponse:  # noqa: ANN401  as above
    return await caller.commands.CommitReservation(committing(**more))


async def expired(caller: Caller, units: int, **more: Any) -> Reservation:  # noqa: ANN401  as above
    """Return a reservation of so many kettles, once it is over."""
    request = reserving(line(units), name="r1", ttl=Duration(seconds=1), **more)
    await caller.commands.ReserveStock(request)
    async with asyncio.timeout(SECONDS):
        while True:
            asked = GetReservationRequest(reservation_id="r1")
            found = (await caller.queries.GetReservation(asked)).reservation
            if found.state == RESERVATION_STATE_EXPIRED:
                return found
            await asyncio.sleep(0.05)


async def test_it_gets_what_is_still_available(caller: Caller) -> None:
    """Worked example 12."""
    await caller.commands.AddStock(adding(5))
    await expired(caller, 3)
    await caller.commands.ReserveStock(reserving(line(3), name="r2"))
    seen = await refused(caller.commands.CommitReservation(committing()))
    assert (seen.code, seen.reason) == (StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK")
    assert [(one.asked, one.available) for one in seen.details[ShortLines].lines] == [(3, 2)]
    await caller.commands.ReleaseReservation(ReleaseReservationRequest(reservation_id="r2"))
    done = await late(caller, order_id="order-1", request_id="payment-1")
    [stock], [kettles] = done.stocks, done.reservation.lines
    assert (stock.on_hand, stock.reserved, stock.available) == (2, 0, 2)
    assert (kettles.committed, kettles.expired, kettles.held) == (3, 0, 0)
    assert done.reservation.state == RESERVATION_STATE_COMMITTED
    assert done.reservation.order_id == "order-1"
    [event] = (await caller.log())[-1:]
    assert event.reservation_reacquired.quantity == 3
    asked = GetReservationRequest(reservation_id="r1")
    assert (await caller.queries.GetReservation(asked)).reservation == done.reservation
    again = await late(caller, order_id="order-1", request_id="payment-1")
    assert again.replayed
    again.replayed = False
    assert again == done
    nothing = await late(caller)
    assert nothing.position == done.position


async def test_complaint_14_a_payment_that_comes_late_is_not_lost(caller: Caller) -> None:
    """The hold is over as documented, and the payment still gets the units, or a refusal.

    Without the flag it is told that the hold is over.
    """
    await caller.commands.AddStock(adding(5))
    await expired(caller, 3)
    plain = CommitReservationRequest(reservation_id="r1")
    seen = await refused(caller.commands.CommitReservation(plain))
    assert (seen.reason, seen.facts["state"]) == ("RESERVATION_CLOSED", "EXPIRED")
    done = await late(caller)
    assert done.reservation.lines[0].committed == 3


async def test_a_part_is_committed_and_more_of_it_later(caller: Caller) -> None:
    await caller.commands.AddStock(adding(5))
    await expired(caller, 3)
    for request, reason in (
        (committing(lines=[line(4)]), "EXCEEDS_RESERVATION"),
        (committing(lines=[line(1, "toaster")]), "EXCEEDS_RESERVATION"),
        (committing("r2"), "RESERVATION_NOT_FOUND"),
    ):
        seen = await refused(caller.commands.CommitReservation(request))
        assert seen.reason == reason
    part = await late(caller, lines=[line(1)])
    [kettles] = part.reservation.lines
    assert (kettles.committed, kettles.expired) == (1, 2)
    rest = await late(caller, lines=[line(2)])
    [kettles] = rest.reservation.lines
    assert (kettles.committed, kettles.expired) == (3, 0)
    seen = await refused(caller.commands.CommitReservation(committing(lines=[line(1)])))
    assert (seen.reason, seen.facts["state"]) == ("RESERVATION_CLOSED", "COMMITTED")


async def test_while_units_are_held_it_is_a_commit(caller: Caller) -> None:
    await caller.commands.AddStock(adding(5))
    await caller.commands.ReserveStock(reserving(line(3), name="r1"))
    done = await late(caller)
    assert [one.WhichOneof("fact") for one in (await caller.log())[-1:]] == [
        "reservation_committed"
    ]
    assert done.reservation.lines[0].committed == 3


async def test_what_was_released_cannot_be_had_again(
    caller: Caller, client: InventoryClient
) -> None:
    await caller.commands.AddStock(adding(5))
    await caller.commands.ReserveStock(reserving(line(3), name="r1"))
    await caller.commands.ReleaseReservation(ReleaseReservationRequest(reservation_id="r1"))
    seen = await refused(caller.commands.CommitReservation(committing()))
    assert (seen.reason, seen.facts["state"]) == ("RESERVATION_CLOSED", "RELEASED")
    await client.reserve_stock(lines=[("kettle", "lisbon", 5)], customer_id="ben")
    with pytest.raises(InsufficientStock):
        await client.reserve_stock(lines=[("kettle", "lisbon", 1)], customer_id="ana")
