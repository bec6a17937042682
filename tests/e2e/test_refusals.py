"""Every refusal arrives with its code, its reason and its fields."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest
from grpc import StatusCode

from inventory_grpc_protos.v1 import commands_pb2, events_pb2, queries_pb2, stock_pb2
from inventory_grpc_protos.v1.errors_pb2 import ShortLines
from tests.support.caller import Caller, adding, line, refusal, refused, reserving
from tests.support.engines import on_each_engine

pytestmark = on_each_engine

Fields = dict[str, Any]
KETTLES: Final[Fields] = {"product_id": "kettle", "store_id": "lisbon"}
MOST: Final = 1_000_000_000


@pytest.fixture
async def caller(caller: Caller) -> Caller:
    """Have a shop with five kettles, of which r1 holds two; r2 is over, and r3 was used in part."""
    commands = caller.commands
    await commands.AddStock(adding(9, request_id="used"))
    await commands.ReserveStock(reserving(line(2), name="r1"))
    for name, committed in (("r2", []), ("r3", [line(1)])):
        await commands.ReserveStock(reserving(line(2), name=name))
        await commands.CommitReservation(
            commands_pb2.CommitReservationRequest(reservation_id=name, lines=committed)
        )
    await commands.ReleaseReservation(
        commands_pb2.ReleaseReservationRequest(reservation_id="r3", lines=[line(1)])
    )
    await commands.AdjustStock(
        commands_pb2.AdjustStockRequest(**KETTLES, delta=-1, reason="one is broken")
    )
    return caller


class Refusing(NamedTuple):
    """A call, and how it is refused."""

    call: Callable[[Caller], Awaitable[object]]
    code: StatusCode
    reason: str
    facts: dict[str, str]


def _add(more: Fields) -> Callable[[Caller], Awaitable[object]]:
    return lambda caller: caller.commands.AddStock(
        commands_pb2.AddStockRequest(**{**KETTLES, "quantity": 1, **more})
    )


def _remove(more: Fields) -> Callable[[Caller], Awaitable[object]]:
    return lambda caller: caller.commands.RemoveStock(
        commands_pb2.RemoveStockRequest(**{**KETTLES, **more})
    )


def _adjust(more: Fields) -> Callable[[Caller], Awaitable[object]]:
    return lambda caller: caller.commands.AdjustStock(
        commands_pb2.AdjustStockRequest(**{**KETTLES, "reason": "count", **more})
    )


def _reserve(*lines: stock_pb2.Line, name: str = "") -> Callable[[Caller], Awaitable[object]]:
    return lambda caller: caller.commands.ReserveStock(reserving(*lines, name=name))


def _commit(*lines: stock_pb2.Line, name: str) -> Callable[[Caller], Awaitable[object]]:
    request = commands_pb2.CommitReservationRequest(reservation_id=name, lines=lines)
    return lambda caller: caller.commands.CommitReservation(request)


def _release(*lines: stock_pb2.Line, name: str) -> Callable[[Caller], Awaitable[object]]:
    request = commands_pb2.ReleaseReservationRequest(reservation_id=name, lines=lines)
    return lambda caller: caller.commands.ReleaseReservation(request)


def _extend(name: str) -> Callable[[Caller], Awaitable[object]]:
    request = commands_pb2.ExtendReservationRequest(reservation_id=name, never_expires=True)
    return lambda caller: caller.commands.ExtendReservation(request)


def _get(more: Fields) -> Callable[[Caller], Awaitable[object]]:
    return lambda caller: caller.queries.GetStock(
        queries_pb2.GetStockRequest(**{**KETTLES, **more})
    )


NOT_FOUND, EXISTS = StatusCode.NOT_FOUND, StatusCode.ALREADY_EXISTS
RULE, AHEAD = StatusCode.FAILED_PRECONDITION, StatusCode.OUT_OF_RANGE
R1, R2, R3, R9 = ({"reservation_id": name} for name in ("r1", "r2", "r3", "r9"))
SHORT = {"short_lines": "1"}
BEYOND = {"position": "99", "head_position": "8"}

REFUSALS: Final[dict[str, Refusing]] = {
    "add: a request id with other content": Refusing(
        _add({"request_id": "used"}), EXISTS, "REQUEST_ID_REUSED", {"request_id": "used"}
    ),
    "adjust: a level beyond counting": Refusing(
        _adjust({"on_hand": 10**15 + 1, "expected_version": 8}),
        RULE,
        "LEVEL_TOO_HIGH",
        {**KETTLES, "limit": f"{10**15}"},
    ),
    "add: another version": Refusing(
        _add({"expected_version": 3}),
        StatusCode.ABORTED,
        "VERSION_CONFLICT",
        {**KETTLES, "expected_version": "3", "version": "8"},
    ),
    "remove: more than is available": Refusing(
        _remove({"quantity": 4}), RULE, "INSUFFICIENT_STOCK", SHORT
    ),
    "remove: another version": Refusing(
        _remove({"quantity": 1, "expected_version": 0}),
        StatusCode.ABORTED,
        "VERSION_CONFLICT",
        {**KETTLES, "expected_version": "0", "version": "8"},
    ),
    "adjust: other units on hand": Refusing(
        _adjust({"on_hand": 6, "expected_on_hand": 0}),
        StatusCode.ABORTED,
        "VERSION_CONFLICT",
        {**KETTLES, "expected_on_hand": "0", "on_hand": "5"},
    ),
    "adjust: less than nothing": Refusing(
        _adjust({"delta": -6}), RULE, "INSUFFICIENT_STOCK", SHORT
    ),
    "reserve: more than is available": Refusing(
        _reserve(line(4)), RULE, "INSUFFICIENT_STOCK", SHORT
    ),
    "reserve: lines of one stock that are too much together": Refusing(
        _reserve(line(2), line(2)), RULE, "INSUFFICIENT_STOCK", SHORT
    ),
    "reserve: what never was": Refusing(
        _reserve(line(1, "unicorn")), RULE, "INSUFFICIENT_STOCK", SHORT
    ),
    "reserve: a known reservation, other content": Refusing(
        _reserve(line(1), name="r1"), EXISTS, "RESERVATION_EXISTS", R1
    ),
    "reserve: a closed reservation": Refusing(
        _reserve(line(2), name="r2"), RULE, "RESERVATION_CLOSED", {**R2, "state": "COMMITTED"}
    ),
    "commit: an unknown reservation": Refusing(
        _commit(name="r9"), NOT_FOUND, "RESERVATION_NOT_FOUND", R9
    ),
    "commit: with lines, a closed one": Refusing(
        _commit(line(1), name="r2"), RULE, "RESERVATION_CLOSED", {**R2, "state": "COMMITTED"}
    ),
    "commit: one that was released in the end": Refusing(
        _commit(name="r3"), RULE, "RESERVATION_CLOSED", {**R3, "state": "RELEASED"}
    ),
    "commit: more than is held": Refusing(
        _commit(line(3), name="r1"), RULE, "EXCEEDS_RESERVATION", {"reservation_id": "r1", **SHORT}
    ),
    "commit: what is not in it": Refusing(
        _commit(line(1, "fork"), name="r1"),
        RULE,
        "EXCEEDS_RESERVATION",
        {"reservation_id": "r1", **SHORT},
    ),
    "release: an unknown reservation": Refusing(
        _release(name="r9"), NOT_FOUND, "RESERVATION_NOT_FOUND", R9
    ),
    "release: a committed one": Refusing(
        _release(name="r2"), RULE, "RESERVATION_CLOSED", {**R2, "state": "COMMITTED"}
    ),
    "release: more than is held": Refusing(
        _release(line(3), name="r1"), RULE, "EXCEEDS_RESERVATION", {"reservation_id": "r1", **SHORT}
    ),
    "extend: an unknown reservation": Refusing(
        _extend("r9"), NOT_FOUND, "RESERVATION_NOT_FOUND", R9
    ),
    "extend: a closed one": Refusing(
        _extend("r2"), RULE, "RESERVATION_CLOSED", {**R2, "state": "COMMITTED"}
    ),
    "get: a stock without history": Refusing(
        _get({"product_id": "unicorn"}),
        NOT_FOUND,
        "STOCK_NOT_FOUND",
        {"product_id": "unicorn", "store_id": "lisbon"},
    ),
    "get: a stock before its history": Refusing(
        _get({"as_of_time": Timestamp(seconds=1)}), NOT_FOUND, "STOCK_NOT_FOUND", KETTLES
    ),
    "get: a position that is still to come": Refusing(
        _get({"as_of_position": 99}), AHEAD, "POSITION_AHEAD", BEYOND
    ),
    "get: at least a position that is still to come": Refusing(
        _get({"min_position": 99}), AHEAD, "POSITION_AHEAD", BEYOND
    ),
    "get reservation: an unknown one": Refusing(
        lambda caller: caller.queries.GetReservation(
            queries_pb2.GetReservationRequest(reservation_id="r9")
        ),
        NOT_FOUND,
        "RESERVATION_NOT_FOUND",
        R9,
    ),
    "check: for an unknown reservation": Refusing(
        lambda caller: caller.queries.CheckAvailability(
            queries_pb2.CheckAvailabilityRequest(lines=[line(1)], reservation_id="r9")
        ),
        NOT_FOUND,
        "RESERVATION_NOT_FOUND",
        R9,
    ),
    "list events: before the beginning": Refusing(
        lambda caller: caller.events.ListEvents(events_pb2.ListEventsRequest(before_position=-1)),
        StatusCode.INVALID_ARGUMENT,
        "INVALID_VALUE",
        {"violations": "1"},
    ),
}


async def test_what_is_refused_says_why_and_records_nothing(caller: Caller) -> None:
    before = await caller.log()
    for what, expected in REFUSALS.items():
        answer = await refused(expected.call(caller))
        assert (answer.code, answer.reason) == (expected.code, expected.reason), what
        assert answer.facts == expected.facts, what
        assert 0 < len(answer.message) <= 512, what
    assert await caller.log() == before


@pytest.mark.parametrize(
    ("start", "code", "reason"),
    [
        ({"after_position": 99}, AHEAD, "POSITION_AHEAD"),
        ({"log_id": "another"}, RULE, "OTHER_LOG"),
        ({"max_batch": 513}, StatusCode.INVALID_ARGUMENT, "INVALID_VALUE"),
        ({"heartbeat": Duration(seconds=61)}, StatusCode.INVALID_ARGUMENT, "INVALID_VALUE"),
        ({"from_now": False}, StatusCode.INVALID_ARGUMENT, "INVALID_VALUE"),
    ],
)
async def test_a_subscription_is_refused_at_once(
    caller: Caller, start: dict[str, Any], code: StatusCode, reason: str
) -> None:
    following = caller.events.Subscribe(events_pb2.SubscribeRequest(**start), timeout=5)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await following.read()
    answer = refusal(failed.value)
    assert (answer.code, answer.reason) == (code, reason)


async def test_a_version_conflict_carries_the_stock_as_it_is(caller: Caller) -> None:
    for call in (
        _add({"expected_version": 3}),
        _adjust({"on_hand": 6, "expected_on_hand": 6}),
    ):
        answer = await refused(call(caller))
        current = answer.details[stock_pb2.Stock]
        assert (current.on_hand, current.reserved, current.version) == (5, 2, 8)


async def test_short_lines_are_named_as_many_as_fit(caller: Caller) -> None:
    lines = [line(number + 1, f"{'x' * 100}{number}") for number in range(500)]
    answer = await refused(_reserve(*lines)(caller))
    assert answer.facts == {"short_lines": "500"}
    named = answer.details[ShortLines].lines
    assert 10 < len(named) < 30
    assert [(short.asked, short.available, short.shortfall) for short in named[:2]] == [
        (1, 0, 1),
        (2, 0, 2),
    ]
    assert len(answer.trailers["grpc-status-details-bin"]) < 4096
    checked = await caller.queries.CheckAvailability(
        queries_pb2.CheckAvailabilityRequest(lines=lines)
    )
    assert [one.shortfall for one in checked.lines] == list(range(1, 501))


async def test_what_is_malformed_is_named_field_by_field(caller: Caller) -> None:
    request = commands_pb2.ReserveStockRequest(
        lines=[line(0, "two words"), line(MOST + 1, "", "x" * 129)],
        request_id="é",
        reference="x" * 513,
        ttl=Duration(seconds=0),
        occur_time=Timestamp(seconds=1),
    )
    answer = await refused(caller.commands.ReserveStock(request))
    assert (answer.code, answer.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_VALUE")
    fields = {one.field for one in answer.details[BadRequest].field_violations}
    assert fields == {
        "customer_id",
        "lines[0].quantity",
        "lines[0].product_id",
        "lines[1].quantity",
        "lines[1].product_id",
        "lines[1].store_id",
        "ttl",
        "request_id",
        "reference",
        "occur_time",
    }


@pytest.mark.parametrize(("lines", "found"), [(0, "is missing"), (501, "has 501")])
async def test_a_cart_has_from_1_to_500_lines(caller: Caller, lines: int, found: str) -> None:
    answer = await refused(_reserve(*[line(1, f"p{n}") for n in range(lines)])(caller))
    [violation] = answer.details[BadRequest].field_violations
    assert (violation.field, violation.description) == (
        "lines",
        f"{found}; must be 1 to 500 lines",
    )


async def test_of_very_many_violations_twenty_are_named(caller: Caller) -> None:
    answer = await refused(_reserve(*[line(0, "") for _ in range(300)])(caller))
    assert answer.code is StatusCode.INVALID_ARGUMENT
    assert len(answer.details[BadRequest].field_violations) == 20
