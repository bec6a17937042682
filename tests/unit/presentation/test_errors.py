"""Every refusal reaches its caller as one status, with its facts, and small enough to arrive."""

from collections.abc import Iterator

import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from inventory_grpc.application import failures
from inventory_grpc.domain import refusals, reversal
from inventory_grpc.domain.catalogue import NotInCatalogue, Retired
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.product import Product, ProductKey
from inventory_grpc.domain.refusals import Refusal, ShortLine, Violation
from inventory_grpc.domain.reservation import ReservationState
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import EventAt, ProductId
from inventory_grpc.presentation.errors import STATUS, fill_error, status_of
from inventory_grpc.presentation.product import product_message
from inventory_grpc_protos.v1 import catalogue_pb2, stock_pb2
from inventory_grpc_protos.v1 import errors_pb2 as pb
from inventory_grpc_protos.v1.commands_pb2 import CommandError
from tests.support.world import KETTLE, KETTLES, NOON, R1, stock

LONG = stock("p" * 128, "s" * 128)

EXAMPLES: list[Refusal] = [
    refusals.InvalidValue([Violation("lines[2].quantity", "must be from 1")]),
    refusals.StockNotFound(LONG),
    refusals.SubjectNotFound(ProductKey(ProductId("p" * 128))),
    NotInCatalogue(ProductKey(ProductId("p" * 128))),
    refusals.ReservationNotFound(R1),
    refusals.SubjectNotFound(EventAt(7)),
    reversal.AlreadyReversed(7, 9),
    reversal.NotReversible(7, 9),
    refusals.ReservationExists(R1),
    refusals.ReservationClosed(R1, ReservationState.EXPIRED),
    refusals.InsufficientStock([ShortLine(LONG, 10**9, 0)] * 500),
    Retired(ProductKey(LONG.product_id)),
    refusals.ExceedsReservation([ShortLine(KETTLES, 3, 1)], R1),
    refusals.LevelTooHigh(LONG, 2 * 10**15),
    refusals.CommandTooLarge(501, 500),
    refusals.VersionConflict(2, Inventory(LONG, Levels(10**15, 10**15), 7, NOON)),
    failures.RequestIdReused("q" * 128),
    failures.PositionAhead(9, 5),
    failures.OtherLog("l" * 128, "memory"),
    failures.Overloaded(0.25),
    failures.ReadsRefused(0.5, "storage failed"),
    failures.WritesRefused(1.5, "storage failed"),
    failures.StorageFull(1.0),
    failures.ShuttingDown(1.0),
    failures.OutcomeUnknown("q" * 128),
    failures.LogDamaged(),
    failures.Unauthenticated(),
    failures.PermissionDenied(store_id="s" * 128),
    failures.Internal("9d2e41c7"),
]


def concrete_subclasses(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    below = kind.__subclasses__()
    if not below:
        yield kind
    for subclass in below:
        yield from concrete_subclasses(subclass)


def detail(status: Status, kind: type[Message]) -> Message:
    message = kind()
    [found] = [packed for packed in status.details if packed.Is(kind.DESCRIPTOR)]
    found.Unpack(message)
    return message


def info(refusal: Refusal) -> ErrorInfo:
    return detail(status_of(refusal), ErrorInfo)


def test_every_refusal_has_a_status() -> None:
    of_both_layers = {
        kind
        for kind in concrete_subclasses(Refusal)
        if kind.__module__.startswith(("inventory_grpc.domain.", failures.__name__))
    }
    assert set(STATUS) == of_both_layers


def test_every_reason_is_sent_by_exactly_one_refusal() -> None:
    sent = sorted(reason for _, reason in STATUS.values())
    assert sent == sorted(set(pb.ErrorReason.values()) - {0})


def test_every_refusal_has_an_example_here() -> None:
    assert {type(example) for example in EXAMPLES} == set(STATUS)


@pytest.mark.parametrize("refusal", EXAMPLES, ids=lambda refusal: type(refusal).__name__)
def test_a_status_says_what_is_the_case_and_fits_into_the_trailers(refusal: Refusal) -> None:
    status, (code, reason) = status_of(refusal), STATUS[type(refusal)]
    assert status.code == code.value[0]
    assert info(refusal).domain == "inventory.v1"
    assert f"ERROR_REASON_{info(refusal).reason}" == pb.ErrorReason.Name(reason)
    assert dict(info(refusal).metadata) == refusal.facts()
    assert sum(packed.ByteSize() for packed in status.details) < 4096
    assert len(status.message) <= 512
    assert status.message.isascii()
    assert status.message.isprintable()


@pytest.mark.parametrize("refusal", EXAMPLES, ids=lambda refusal: type(refusal).__name__)
def test_an_error_among_others_is_that_status_and_a_thousand_fit_into_a_message(
    refusal: Refusal,
) -> None:
    among, alone = CommandError(), status_of(refusal)
    fill_error(among, refusal)
    assert (among.code, among.message) == (alone.code, alone.message)
    assert among.details[0] == alone.details[0]
    assert [packed.type_url for packed in among.details] == [
        packed.type_url for packed in alone.details
    ]
    assert among.ByteSize() < 4 * 1024 * 1024 / 1_000


def test_violations_and_short_lines_among_others_are_told_as_far_as_a_kilobyte_goes() -> None:
    violations = [Violation(f"lines[{index}]", "must be better" * 5) for index in range(30)]
    for refusal in (
        refusals.InsufficientStock([ShortLine(LONG, 5, 2)] * 500),
        refusals.InvalidValue(violations),
    ):
        among = CommandError()
        fill_error(among, refusal)
        assert 700 < among.details[1].ByteSize() < 1_100


def test_a_bad_request_names_its_fields() -> None:
    violations = [Violation(f"lines[{index}]", "must be better") for index in range(30)]
    bad = detail(status_of(refusals.InvalidValue(violations)), BadRequest)
    assert isinstance(bad, BadRequest)
    assert [(v.field, v.description) for v in bad.field_violations] == violations[:20]


def test_violations_that_do_not_fit_are_left_out() -> None:
    violations = [Violation("field", "x" * 1_000)] * 20
    status = status_of(refusals.InvalidValue(violations))
    bad = detail(status, BadRequest)
    assert isinstance(bad, BadRequest)
    assert len(bad.field_violations) == 3
    assert status.ByteSize() < 4096


def test_short_lines_are_named_as_far_as_they_fit_and_counted_all() -> None:
    refusal = refusals.InsufficientStock([ShortLine(LONG, 5, 2)] * 500)
    short = detail(status_of(refusal), pb.ShortLines)
    assert isinstance(short, pb.ShortLines)
    assert 5 < len(short.lines) < 15
    assert short.ByteSize() <= 3 * 1024
    assert short.lines[0] == pb.ShortLine(
        product_id=LONG.product_id, store_id=LONG.store_id, asked=5, available=2, shortfall=3
    )
    assert info(refusal).metadata["short_lines"] == "500"


def test_a_conflict_brings_the_stock_as_it_is() -> None:
    current = Inventory(KETTLES, Levels(5, 7), 7, NOON)
    brought = detail(status_of(refusals.VersionConflict(2, current)), stock_pb2.Stock)
    assert isinstance(brought, stock_pb2.Stock)
    assert (brought.on_hand, brought.available, brought.shortfall, brought.version) == (5, 0, 2, 7)


def test_a_conflict_brings_the_product_as_it_is() -> None:
    current = Product(KETTLE, "K-1", "Kettle", {"colour": "red"}, 7, NOON, NOON)
    brought = detail(status_of(refusals.VersionConflict(2, current)), catalogue_pb2.Product)
    assert brought == product_message(current)
    assert brought.ByteSize() > 40


def test_a_product_that_is_too_large_for_the_details_is_left_out_as_a_whole() -> None:
    attributes = {f"{number:064}": "x" * 512 for number in range(50)}
    current = Product(KETTLE, "K-1", "Kettle", attributes, 7, NOON, NOON)
    refusal = refusals.VersionConflict(2, current)
    assert [one.TypeName() for one in status_of(refusal).details] == ["google.rpc.ErrorInfo"]
    assert info(refusal).metadata["version"] == "7"


def test_what_may_be_tried_again_says_when() -> None:
    retry = detail(status_of(failures.Overloaded(0.25)), RetryInfo)
    assert isinstance(retry, RetryInfo)
    assert retry.retry_delay.ToMilliseconds() == 250


def test_a_message_is_short_printable_ascii_whatever_was_asked() -> None:
    status = status_of(failures.OtherLog("ü\n\x1b[31m" * 100, "memory"))
    assert status.message.startswith("this log is memory, not \\xfc\\n\\x1b[31m")
    assert status.message.endswith("...")
    assert len(status.message) == 512
    assert "found '\\xfc'" in status_of(failures.OtherLog(r"found '\xfc'", "memory")).message


def test_only_our_own_trouble_is_a_server_error() -> None:
    ours = {StatusCode.INTERNAL, StatusCode.DATA_LOSS}
    assert {kind for kind, (code, _) in STATUS.items() if code in ours} == {
        failures.LogDamaged,
        failures.Internal,
    }
