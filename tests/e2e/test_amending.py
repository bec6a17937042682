"""Amending over gRPC: a reservation holds what its caller names, in one step or not at all.

The numbers are those of the worked examples, and of the list of complaints that the contract was
written from.
"""

from typing import Any, Final

from grpc import StatusCode

from inventory_grpc.client import InventoryClient
from inventory_grpc_protos.v1.commands_pb2 import (
    AmendReservationRequest,
    AmendReservationResponse,
    CommitReservationRequest,
    ExecuteBatchRequest,
    ReleaseReservationRequest,
    SetPolicyRequest,
)
from inventory_grpc_protos.v1.errors_pb2 import ShortLines
from inventory_grpc_protos.v1.events_pb2 import Event
from inventory_grpc_protos.v1.policies_pb2 import Policy
from inventory_grpc_protos.v1.queries_pb2 import CheckAvailabilityRequest, GetReservationRequest
from inventory_grpc_protos.v1.stock_pb2 import RESERVATION_STATE_ACTIVE, Line, Reservation
from tests.support.caller import (
    Caller,
    Refused,
    adding,
    batch,
    commands,
    line,
    refusal_among,
    refused,
    reserving,
)
from tests.support.engines import on_each_engine

pytestmark = on_each_engine

MOST_LINES: Final = 500


def amending(*lines: Line, name: str = "r1", **more: Any) -> AmendReservationRequest:  # noqa: ANN401
    return AmendReservationRequest(reservation_id=name, lines=lines, **more)


async def amended(caller: Caller, *lines: Line, **more: Any) -> AmendReservationResponse:  # noqa: ANN401
    return await caller.commands.AmendReservation(amending(*lines, **more))


async def is_refused(caller: Caller, *lines: Line, **more: Any) -> Refused:  # noqa: ANN401
    return await refused(caller.commands.AmendReservation(amending(*lines, **more)))


async def now(caller: Caller, name: str = "r1") -> Reservation:
    request = GetReservationRequest(reservation_id=name)
    return (await caller.queries.GetReservation(request)).reservation


def short(seen: Refused) -> list[tuple[str, int, int]]:
    assert (seen.code, seen.reason) == (StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK")
    return [(one.store_id, one.asked, one.available) for one in seen.details[ShortLines].lines]


def parts(reservation: Reservation) -> dict[tuple[str, str], tuple[int, int, int, int, int]]:
    """Return the units of each line: asked for, held, committed, released and expired."""
    lines = {
        (one.product_id, one.store_id): (
            one.quantity,
            one.held,
            one.committed,
            one.released,
            one.expired,
        )
        for one in reservation.lines
    }
    assert all(quantity == sum(parts) for quantity, *parts in lines.values())
    return lines


def facts(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.store_id, event.WhichOneof("fact") or "") for event in events]


async def test_a_reservation_moves_to_another_store_or_stays_where_it_is(caller: Caller) -> None:
    """Worked example 10."""
    await caller.commands.AddStock(adding(3))
    await caller.commands.AddStock(adding(2, store="porto"))
    await caller.commands.ReserveStock(reserving(line(3), name="r1"))
    to_porto = line(3, store="porto")
    assert short(await is_refused(caller, to_porto)) == [("porto", 3, 2)]
    assert parts(await now(caller)) == {("kettle", "lisbon"): (3, 3, 0, 0, 0)}
    await caller.commands.AddStock(adding(1, store="porto"))
    moved = await amended(caller, to_porto)
    assert parts(moved.reservation) == {
        ("kettle", "lisbon"): (3, 0, 0, 3, 0),
        ("kettle", "porto"): (3, 3, 0, 0, 0),
    }
    assert moved.reservation == await now(caller)
    assert moved.reservation.state == RESERVATION_STATE_ACTIVE
    stocks = [(one.store_id, one.reserved, one.available) for one in moved.stocks]
    assert stocks == [("porto", 3, 0), ("lisbon", 0, 3)]
    last = (await caller.log())[-2:]
    assert facts(last) == [("porto", "stock_reserved"), ("lisbon", "reservation_released")]
    assert {event.command_position for event in last} == {5}
    assert moved.position == 6


async def test_the_units_that_it_holds_are_its_own(caller: Caller) -> None:
    """Worked example 11."""
    await caller.commands.AddStock(adding(5))
    await caller.commands.ReserveStock(reserving(line(4), name="r1"))
    assert short(await is_refused(caller, line(6))) == [("lisbon", 6, 5)]
    grown = await amended(caller, line(5))
    assert [(one.reserved, one.available) for one in grown.stocks] == [(5, 0)]


async def test_complaint_13_a_shopper_is_not_blocked_by_an_earlier_hold_of_their_own(
    caller: Caller,
) -> None:
    """The last unit is in the shopper's own cart, which is checked out with one more."""
    await caller.commands.AddStock(adding(1))
    await caller.commands.AddStock(adding(1, "toaster"))
    await caller.commands.ReserveStock(reserving(line(1), name="r1"))
    wanted = [line(1), line(1, "toaster")]
    asked = CheckAvailabilityRequest(lines=wanted, reservation_id="r1")
    assert (await caller.queries.CheckAvailability(asked)).available
    both = await amended(caller, *wanted)
    assert [one.held for one in both.reservation.lines] == [1, 1]


async def test_complaint_8_an_edit_touches_only_what_it_changes(caller: Caller) -> None:
    """An edit of another line, or of a price, does not reserve again what is held or was sold."""
    await caller.commands.AddStock(adding(5))
    await caller.commands.AddStock(adding(5, "toaster"))
    cart = [line(3), line(2, "toaster")]
    await caller.commands.ReserveStock(reserving(*cart, name="r1"))
    before = await amended(caller, *cart, reason="a price")
    assert before.position == len(await caller.log()) == 4
    one = CommitReservationRequest(reservation_id="r1", lines=[line(1)])
    await caller.commands.CommitReservation(one)
    edited = await amended(caller, line(2), line(1, "toaster"))
    assert facts((await caller.log())[5:]) == [("lisbon", "reservation_released")]
    assert parts(edited.reservation) == {
        ("kettle", "lisbon"): (3, 2, 1, 0, 0),
        ("toaster", "lisbon"): (2, 1, 0, 1, 0),
    }


async def test_complaint_8_an_edit_that_fails_brings_back_nothing(caller: Caller) -> None:
    """Committed units stay committed, and held ones held, whatever is refused after it."""
    await caller.commands.AddStock(adding(5))
    await caller.commands.ReserveStock(reserving(line(3), name="r1"))
    await caller.commands.CommitReservation(
        CommitReservationRequest(reservation_id="r1", lines=[line(2)])
    )
    before = await now(caller)
    assert short(await is_refused(caller, line(1), line(1, store="porto"))) == [("porto", 1, 0)]
    assert await now(caller) == before
    await caller.commands.CommitReservation(CommitReservationRequest(reservation_id="r1"))
    closed = await is_refused(caller, line(1))
    assert (closed.reason, closed.facts["state"]) == ("RESERVATION_CLOSED", "COMMITTED")
    assert len(await caller.log()) == 4


async def test_complaint_1_lines_of_the_same_stock_are_summed(caller: Caller) -> None:
    await caller.commands.AddStock(adding(5))
    await caller.commands.ReserveStock(reserving(line(1), name="r1"))
    assert short(await is_refused(caller, line(3), line(3))) == [("lisbon", 6, 5)]
    grown = await amended(caller, line(3), line(2))
    assert [one.held for one in grown.reservation.lines] == [5]


async def test_it_is_the_same_when_it_is_sent_again(caller: Caller) -> None:
    await caller.commands.AddStock(adding(5))
    await caller.commands.ReserveStock(reserving(line(2), name="r1"))
    first = await amended(caller, line(3), request_id="edit-1")
    again = await amended(caller, line(3), request_id="edit-1")
    assert again.replayed
    again.replayed = False
    assert again == first
    nameless = await amended(caller, line(3))
    assert (nameless.reservation, nameless.position) == (first.reservation, first.position)
    other = await is_refused(caller, line(4), request_id="edit-1")
    assert other.reason == "REQUEST_ID_REUSED"
    tried = await amended(caller, line(4), dry_run=True)
    assert tried.reservation.lines[0].held == 4
    assert len(await caller.log()) == 3


async def test_its_reason_and_its_place_in_a_batch_are_told(caller: Caller) -> None:
    await caller.commands.AddStock(adding(5))
    whole = ExecuteBatchRequest(
        atomic=True,
        reason="checkout",
        commands=commands(reserving(line(2), name="r1"), amending(line(4)), amending(line(1))),
    )
    results = (await caller.commands.ExecuteBatch(whole)).results
    assert [(one.position, one.reservation_id) for one in results] == [(4, "r1")] * 3
    told = [(event.part, event.reason) for event in (await caller.log())[1:]]
    assert told == [(1, "checkout"), (2, "checkout"), (3, "checkout")]
    many = batch(amending(line(9)), amending(line(5)), amending(line(1), name="r2"))
    alone = (await caller.commands.ExecuteBatch(many)).results
    assert short(refusal_among(alone[0])) == [("lisbon", 9, 5)]
    assert (alone[1].position, alone[1].reservation_id) == (5, "r1")
    assert refusal_among(alone[2]).reason == "RESERVATION_NOT_FOUND"


async def test_what_is_malformed_is_refused(client: InventoryClient, caller: Caller) -> None:
    await caller.commands.AddStock(adding(5))
    for request in (
        amending(),
        amending(line(0)),
        amending(line(1), name=""),
        amending(*[line(1)] * (MOST_LINES + 1)),
    ):
        seen = await refused(caller.commands.AmendReservation(request))
        assert (seen.code, seen.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_VALUE")
    assert len(await caller.log()) == 1
    await client.reserve_stock(lines=[("kettle", "lisbon", 1)], customer_id="a", reservation_id="r")
    grown = await client.amend_reservation(reservation_id="r", lines=[("kettle", "lisbon", 2)])
    assert grown.reservation.lines[0].held == 2


async def test_a_cart_that_moves_on_and_on_gets_a_new_reservation(caller: Caller) -> None:
    """At most 500 lines, with those that hold nothing any more."""
    shelves = [line(1, f"kettle-{number}") for number in range(MOST_LINES + 1)]
    await caller.commands.ExecuteBatch(batch(*(adding(2, one.product_id) for one in shelves)))
    *first, another = shelves
    await caller.commands.ReserveStock(reserving(*first, name="r1"))
    doubled = await amended(caller, *(line(2, one.product_id) for one in first))
    assert len(doubled.stocks) == MOST_LINES
    await amended(caller, first[0])
    seen = await is_refused(caller, another)
    assert (seen.code, seen.reason) == (StatusCode.FAILED_PRECONDITION, "COMMAND_TOO_LARGE")
    assert seen.facts == {"lines": "501", "limit": "500"}
    missing = await is_refused(caller, line(3, another.product_id))
    assert missing.reason == "INSUFFICIENT_STOCK"
    back = await amended(caller, *first)
    assert len(back.reservation.lines) == MOST_LINES
    released = ReleaseReservationRequest(reservation_id="r1")
    assert len((await caller.commands.ReleaseReservation(released)).stocks) == MOST_LINES


async def test_a_line_that_grows_waits_at_the_end_of_the_queue(caller: Caller) -> None:
    """Worked example 9: A 2 and B 2 wait; A is amended to 3; 2 come in, and are B's."""
    limit = Policy(backorder_limit=9)
    await caller.commands.SetPolicy(SetPolicyRequest(product_id="kettle", policy=limit))
    for name in ("a", "b"):
        await caller.commands.ReserveStock(reserving(line(2), name=name))
    only = await is_refused(caller, line(3), name="a", in_stock_only=True)
    assert short(only) == [("lisbon", 3, 2)]
    grown = await amended(caller, line(3), name="a")
    assert grown.reservation.lines[0].backordered == 3
    await caller.commands.ExecuteBatch(batch(adding(2), amending(line(2), line(1), name="a")))
    served = await caller.commands.CommitReservation(CommitReservationRequest(reservation_id="b"))
    assert served.reservation.lines[0].committed == 2
    waits = await refused(
        caller.commands.CommitReservation(CommitReservationRequest(reservation_id="a"))
    )
    assert short(waits) == [("lisbon", 3, 0)]


async def test_goods_that_came_in_for_it_are_its_own_before_it_grows(caller: Caller) -> None:
    """Worked example 9, instead: 2 come in first; they are A's, which then waits for 1."""
    limit = Policy(backorder_limit=9)
    await caller.commands.SetPolicy(SetPolicyRequest(product_id="kettle", policy=limit))
    for name in ("a", "b"):
        await caller.commands.ReserveStock(reserving(line(2), name=name))
    await caller.commands.ExecuteBatch(batch(adding(2), amending(line(3), name="a")))
    grown = await now(caller, "a")
    assert [(one.held, one.backordered) for one in grown.lines] == [(3, 1)]
    assert [one.backordered for one in (await now(caller, "b")).lines] == [2]
