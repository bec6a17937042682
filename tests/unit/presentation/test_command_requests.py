"""Requests are parsed into commands, or every violation in them is named."""

import uuid
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.domain import reservation_commands as commands
from inventory_grpc.domain import stock_commands
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.refusals import InvalidValue
from inventory_grpc.domain.values import (
    MAX_LEVEL,
    MAX_LINES,
    Instant,
    Never,
    Quantity,
    Span,
    Ttl,
    UnitState,
    Until,
)
from inventory_grpc.presentation.submissions import fingerprint
from inventory_grpc.presentation.validation import MAX_VIOLATIONS
from inventory_grpc_protos.v1 import commands_pb2 as pb
from tests.support.world import KETTLES, NOON, PORTO_KETTLES, stock
from tests.unit.presentation.asking import (
    REQUESTS,
    add,
    adjust,
    count,
    fields,
    line,
    move,
    read,
    reserve,
)

INT64_MAX = 2**63 - 1
NOON_SECONDS = NOON // Instant.SECOND
DAY_SECONDS = 86_400


def at(seconds: int, nanos: int = 0) -> Timestamp:
    return Timestamp(seconds=seconds, nanos=nanos)


WRONG: list[tuple[Message, list[str]]] = [
    (pb.AddStockRequest(), ["product_id", "quantity", "store_id"]),
    (add(product_id="x" * 129), ["product_id"]),
    (add(product_id="kettle\n"), ["product_id"]),
    (add(product_id="ket\0tle"), ["product_id"]),
    (add(store_id="São Paulo"), ["store_id"]),
    (add(store_id="lisbon "), ["store_id"]),
    (add(quantity=-1), ["quantity"]),
    (add(quantity=Quantity.MAX + 1), ["quantity"]),
    (add(quantity=INT64_MAX), ["quantity"]),
    (add(expected_version=-1), ["expected_version"]),
    (add(request_id="x" * 129), ["request_id"]),
    (add(request_id="naïve"), ["request_id"]),
    (add(reason="é" * 257), ["reason"]),
    (add(reference="x" * 513), ["reference"]),
    (add(occur_time=at(946_684_799, 999_999_999)), ["occur_time"]),
    (add(occur_time=at(NOON_SECONDS + DAY_SECONDS, 1_000)), ["occur_time"]),
    (add(occur_time=at(NOON_SECONDS, -5)), ["occur_time"]),
    (add(occur_time=at(NOON_SECONDS, 1_000_000_000)), ["occur_time"]),
    (add(occur_time=at(10**18)), ["occur_time"]),
    (pb.RemoveStockRequest(), ["product_id", "quantity", "store_id"]),
    (pb.MoveStockRequest(), ["product_id", "quantity", "store_id", "to_state"]),
    (move(from_state="sellable", to_state=""), ["to_state"]),
    (move(from_state="damaged", to_state="damaged"), ["to_state"]),
    (move(from_state="dam aged", to_state="damaged"), ["from_state"]),
    (add(state="naïve"), ["state"]),
    (adjust(delta=0), ["delta"]),
    (adjust(delta=Quantity.MAX + 1), ["delta"]),
    (adjust(delta=-Quantity.MAX - 1), ["delta"]),
    (adjust(delta=-(2**63)), ["delta"]),
    (adjust(reason=""), ["reason"]),
    (count(-1), ["on_hand"]),
    (pb.AdjustStockRequest(), ["adjustment", "product_id", "reason", "store_id"]),
    (
        pb.AdjustStockRequest(product_id="a", store_id="b", reason="c", on_hand=1),
        ["expected_version"],
    ),
    (
        pb.AdjustStockRequest(
            product_id="a", store_id="b", reason="c", on_hand=1, unconditional=False
        ),
        ["expected_version"],
    ),
    (count(1, expected_on_hand=1), ["expected_on_hand", "expected_version"]),
    (count(1, unconditional=True), ["expected_version", "unconditional"]),
    (count(1, expected_version=None, expected_on_hand=-1), ["expected_on_hand"]),
    (
        count(1, expected_version=None, expected_on_hand=0, unconditional=True),
        ["expected_on_hand", "unconditional"],
    ),
    (adjust(expected_on_hand=0), ["expected_on_hand"]),
    (adjust(unconditional=True), ["unconditional"]),
    (
        adjust(expected_version=1, expected_on_hand=1, unconditional=True),
        ["expected_on_hand", "unconditional"],
    ),
    (pb.ReserveStockRequest(), ["customer_id", "lines"]),
    (reserve(lines=[line()] * (MAX_LINES + 1)), ["lines"]),
    (reserve(lines=[line(), line(0), line(1, "")]), ["lines[1].quantity", "lines[2].product_id"]),
    (reserve(lines=[line(Quantity.MAX), line()]), ["lines[1].quantity"]),
    (reserve(lines=[line(6 * 10**8)] * 3), ["lines[1].quantity", "lines[2].quantity"]),
    (reserve(lines=[line(2 * 10**9), line(1)]), ["lines[0].quantity"]),
    (reserve(reservation_id="r 1"), ["reservation_id"]),
    (reserve(customer_id="x" * 129), ["customer_id"]),
    (reserve(order_id="%"), ["order_id"]),
    (reserve(ttl=Duration()), ["ttl"]),
    (reserve(ttl=Duration(seconds=-1)), ["ttl"]),
    (reserve(ttl=Duration(nanos=999_999_999)), ["ttl"]),
    (reserve(ttl=Duration(seconds=30 * DAY_SECONDS, nanos=1_000)), ["ttl"]),
    (reserve(ttl=Duration(seconds=10**15)), ["ttl"]),
    (reserve(ttl=Duration(seconds=5, nanos=-1)), ["ttl"]),
    (reserve(ttl=Duration(seconds=5, nanos=1_000_000_000)), ["ttl"]),
    (reserve(expire_time=at(-62_135_596_801)), ["expire_time"]),
    (reserve(expire_time=at(253_402_300_800)), ["expire_time"]),
    (reserve(expire_time=at(0, 2_000_000_000)), ["expire_time"]),
    (reserve(never_expires=False), ["never_expires"]),
    (pb.CommitReservationRequest(), ["reservation_id"]),
    (pb.CommitReservationRequest(reservation_id="r1", lines=[line(0)]), ["lines[0].quantity"]),
    (pb.ReleaseReservationRequest(), ["reservation_id"]),
    (pb.ExtendReservationRequest(never_expires=False), ["never_expires", "reservation_id"]),
]


@pytest.mark.parametrize(
    ("asked", "where"), WRONG, ids=[f"{type(asked).__name__}-{where[0]}" for asked, where in WRONG]
)
def test_every_violation_is_named_by_its_path(asked: Message, where: list[str]) -> None:
    with pytest.raises(InvalidValue) as refused:
        read(asked)
    assert fields(refused.value) == where


def test_no_more_violations_are_told_than_fit() -> None:
    with pytest.raises(InvalidValue) as refused:
        read(reserve(lines=[line(0)] * 300))
    assert len(refused.value.violations) == MAX_VIOLATIONS


def test_values_at_their_bounds_are_accepted() -> None:
    command, cause = read(
        add(
            product_id="x" * 128,
            store_id="A-z/0:9._",
            quantity=Quantity.MAX,
            expected_version=0,
            request_id="r" * 128,
            reason="é" * 256,
            reference="\x1b[31m",
            occur_time=at(NOON_SECONDS + DAY_SECONDS),
        )
    )
    assert command == stock_commands.AddStock(
        stock("x" * 128, "A-z/0:9._"),
        Quantity(Quantity.MAX),
        0,
    )
    assert cause == Cause(
        "r" * 128, "", "é" * 256, "\x1b[31m", Instant((NOON_SECONDS + DAY_SECONDS) * 1_000_000)
    )


def test_sellable_is_no_state_of_its_own_but_in_a_count_of_sellable_units() -> None:
    """Without a state, a count is of all units on hand."""
    for request in (add(state="sellable"), adjust(state="sellable"), adjust()):
        assert read(request)[0].state is None  # type: ignore[attr-defined]
    assert read(count(4, state="sellable"))[0].state == "sellable"  # type: ignore[attr-defined]
    assert read(count(4))[0].state is None  # type: ignore[attr-defined]
    command, _ = read(move(from_state="returned", to_state="sellable"))
    assert command == stock_commands.MoveStock(KETTLES, Quantity(1), UnitState("returned"), None)


def test_a_version_that_is_not_sent_is_not_expected() -> None:
    command, _ = read(add())
    assert command == stock_commands.AddStock(KETTLES, Quantity(5), None)


def test_a_count_may_be_as_high_as_it_wants_since_the_decision_knows_the_limit() -> None:
    command, _ = read(count(INT64_MAX))
    assert INT64_MAX > MAX_LEVEL
    assert command == stock_commands.AdjustStock(KETTLES, stock_commands.CountedAs(INT64_MAX), 1)


def test_a_correction_may_go_down() -> None:
    command, _ = read(adjust(delta=-Quantity.MAX))
    assert command == stock_commands.AdjustStock(KETTLES, stock_commands.ChangeBy(-Quantity.MAX))


def test_lines_of_the_same_stock_are_summed() -> None:
    command, _ = read(reserve(lines=[line(1), line(2, store="porto"), line(3)]))
    assert isinstance(command, commands.ReserveStock)
    assert list(command.cart.items()) == [(KETTLES, 4), (PORTO_KETTLES, 2)]


@pytest.mark.parametrize(
    ("asked", "expiration"),
    [
        ({}, Ttl(Span(1_800_000_000))),
        ({"ttl": Duration(seconds=1)}, Ttl(Span(1_000_000))),
        ({"ttl": Duration(seconds=30 * DAY_SECONDS)}, Ttl(Span(30 * DAY_SECONDS * 1_000_000))),
        ({"ttl": Duration(seconds=1, nanos=1_999)}, Ttl(Span(1_000_001))),
        ({"expire_time": at(-1, 999_999_999)}, Until(Instant(-1))),
        ({"never_expires": True}, Never()),
    ],
)
def test_an_expiration_is_the_one_that_the_caller_chose(
    asked: dict[str, Any], expiration: object
) -> None:
    command, _ = read(reserve(**asked))
    assert isinstance(command, commands.ReserveStock)
    assert command.expiration == expiration


def test_commit_and_release_without_lines_mean_all_that_is_held() -> None:
    commit, _ = read(pb.CommitReservationRequest(reservation_id="r1"))
    release, _ = read(pb.ReleaseReservationRequest(reservation_id="r1"))
    assert isinstance(commit, commands.CommitReservation)
    assert isinstance(release, commands.ReleaseReservation)
    assert not commit.cart
    assert not release.cart


def made_id(**changed: object) -> str:
    command, _ = read(reserve(**changed))
    assert isinstance(command, commands.ReserveStock)
    return command.reservation_id


def test_a_reservation_that_comes_without_an_id_gets_a_new_one_whatever_its_request_id() -> None:
    ids = [made_id(), made_id(), made_id(request_id="q1"), made_id(request_id="q1")]
    assert len(set(ids)) == 4
    assert ids == sorted(ids), "ids in the order of time are cheaper"
    assert [str(uuid.UUID(each)) for each in ids] == ids


def test_a_fingerprint_is_of_what_is_known_here() -> None:
    known = add(request_id="q1")
    newer = pb.AddStockRequest.FromString(known.SerializeToString() + b"\xa2\x06\x03new")
    assert fingerprint("AddStock", newer) == fingerprint("AddStock", known)


def test_a_fingerprint_tells_methods_and_contents_apart() -> None:
    remove = pb.RemoveStockRequest.FromString(add(request_id="q1").SerializeToString())
    assert (
        len(
            {
                fingerprint("AddStock", add(request_id="q1")),
                fingerprint("AddStock", add(request_id="q1", quantity=6)),
                fingerprint("RemoveStock", remove),
            }
        )
        == 3
    )


@pytest.mark.parametrize("kind", REQUESTS, ids=lambda kind: str(kind.__name__))
def test_no_message_within_a_request_has_a_map(kind: type[Message]) -> None:
    """The fingerprint of a request sorts its own maps."""
    inner = [field.message_type for field in kind.DESCRIPTOR.fields if field.message_type]
    found = [one for one in inner if not one.GetOptions().map_entry]
    assert not any(
        field.message_type and field.message_type.GetOptions().map_entry
        for one in found
        for field in one.fields
    )


def test_the_order_of_a_map_does_not_change_the_fingerprint() -> None:
    names = [f"attribute-{number}" for number in range(50)]
    requests = [pb.PutProductRequest(product_id="kettle") for _ in range(2)]
    for request, ordered in zip(requests, (names, names[::-1]), strict=True):
        for name in ordered:
            request.attributes[name] = "red"
    assert requests[0].SerializeToString() != requests[1].SerializeToString()
    assert len({fingerprint("PutProduct", request) for request in requests}) == 1
    batches = [
        pb.ExecuteBatchRequest(commands=[pb.Command(put_product=request)]) for request in requests
    ]
    assert len({fingerprint("ExecuteBatch", batch) for batch in batches}) == 1


def test_the_fingerprint_of_a_request_never_changes() -> None:
    assert fingerprint("AddStock", add(request_id="q1")).hex() == (
        "104d5ae57162affb27cfc3987beb8ee2ab325565372a6142611e752cc9c72207"
    )


@pytest.mark.parametrize("kind", REQUESTS, ids=lambda kind: str(kind.__name__))
def test_each_required_field_of_an_empty_request_is_called_missing(
    kind: type[Message],
) -> None:
    with pytest.raises(InvalidValue) as refused:
        read(kind())
    assert refused.value.violations
    for field, problem in refused.value.violations:
        assert "missing" in problem, field
