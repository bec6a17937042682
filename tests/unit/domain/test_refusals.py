"""Every refusal states the same facts in its text and in its fields, which are scalars."""

import pytest

from inventory_grpc.application import failures
from inventory_grpc.domain import refusals, reversal
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.product import Product
from inventory_grpc.domain.refusals import (
    CommandTooLarge,
    ExceedsReservation,
    InsufficientStock,
    InvalidValue,
    LevelTooHigh,
    Refusal,
    ReservationClosed,
    ReservationExists,
    ReservationNotFound,
    ShortLine,
    ShortLines,
    StockNotFound,
    SubjectNotFound,
    VersionConflict,
    Violation,
)
from inventory_grpc.domain.reservation import ReservationState
from inventory_grpc.domain.reversal import AlreadyReversed, NotReversible
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import SELLABLE, EventAt, ProductId
from tests.support.world import KETTLE, KETTLES, LISBON, NOON, R1, TOASTERS

ONE_OF_EACH: list[tuple[Refusal, str, dict[str, str]]] = [
    (
        InvalidValue([Violation(f"lines[{n}]", "too many") for n in range(5)]),
        "lines[0]: too many; lines[1]: too many; lines[2]: too many; and 2 more",
        {"violations": "5"},
    ),
    (
        StockNotFound(KETTLES),
        "kettle in lisbon has no history",
        {"product_id": "kettle", "store_id": "lisbon"},
    ),
    (
        StockNotFound(KETTLES, is_past=True),
        "kettle in lisbon has no history at the requested time",
        {"product_id": "kettle", "store_id": "lisbon"},
    ),
    (ReservationNotFound(R1), "reservation r1 does not exist", {"reservation_id": "r1"}),
    (SubjectNotFound(EventAt(7)), "event 7 does not exist", {"position": "7"}),
    (
        AlreadyReversed(7, 9),
        "event 7 was reversed by event 9",
        {"position": "7", "by_position": "9"},
    ),
    (
        NotReversible(7),
        "event 7 has a fact that cannot be reversed",
        {"position": "7", "why": "fact"},
    ),
    (
        NotReversible(7, 9),
        "event 7 was corrected by the count in event 9",
        {"position": "7", "why": "counted", "by_position": "9"},
    ),
    (
        ReservationExists(R1),
        "reservation r1 exists with another customer, order, channel or cart",
        {"reservation_id": "r1"},
    ),
    (
        ReservationClosed(R1, ReservationState.EXPIRED),
        "reservation r1 is expired",
        {"reservation_id": "r1", "state": "EXPIRED"},
    ),
    (
        ReservationClosed(R1, ReservationState.ACTIVE),
        "reservation r1 is partly committed or released",
        {"reservation_id": "r1", "state": "ACTIVE"},
    ),
    (
        InsufficientStock([ShortLine(KETTLES, 6, 5)]),
        "kettle in lisbon: 6 requested, 5 available",
        {"short_lines": "1"},
    ),
    (
        InsufficientStock([ShortLine(KETTLES, 6, 5)] * 3, SELLABLE),
        "kettle in lisbon: 6 requested, 5 sellable; and 2 more lines",
        {"short_lines": "3"},
    ),
    (
        ExceedsReservation([ShortLine(KETTLES, 6, 5), ShortLine(TOASTERS, 1, 0)], R1),
        "kettle in lisbon: 6 requested, 5 held; and 1 more line",
        {"reservation_id": "r1", "short_lines": "2"},
    ),
    (
        LevelTooHigh(KETTLES, 10**15 + 1),
        f"kettle in lisbon would have {10**15 + 1:,} on hand; the maximum is 1,000,000,000,000,000",
        {
            "product_id": "kettle",
            "store_id": "lisbon",
            "limit": "1000000000000000",
        },
    ),
    (
        CommandTooLarge(501, 500),
        "the command has 501 events, or more, and may have 500; send it in parts",
        {"events": "501", "limit": "500"},
    ),
    (
        CommandTooLarge(2_000_000, 1_572_864, "bytes"),
        (
            "the command has 2,000,000 bytes of events, or more, and may have 1,572,864; "
            "send it in parts"
        ),
        {"bytes": "2000000", "limit": "1572864"},
    ),
    (
        CommandTooLarge(501, 500, "lines"),
        (
            "the reservation would have 501 lines, with those that hold nothing any more, "
            "and may have 500; reserve the rest separately"
        ),
        {"lines": "501", "limit": "500"},
    ),
    (
        LevelTooHigh(ProductId("kettle"), 2**63),
        f"kettle would have {2**63:,} on hand; the maximum is 9,223,372,036,854,775,807",
        {"product_id": "kettle", "limit": "9223372036854775807"},
    ),
    (
        VersionConflict(3, Inventory(KETTLES, Levels(5, 0), 4, NOON)),
        "kettle in lisbon is at version 4, not 3",
        {
            "product_id": "kettle",
            "store_id": "lisbon",
            "expected_version": "3",
            "version": "4",
        },
    ),
    (
        VersionConflict(4, Inventory(KETTLES, Levels(5, 0), 4, NOON), compared="on_hand"),
        "kettle in lisbon has 5 on hand, not 4",
        {
            "product_id": "kettle",
            "store_id": "lisbon",
            "expected_on_hand": "4",
            "on_hand": "5",
        },
    ),
    (
        VersionConflict(3, Product(KETTLE, "K-1", "Kettle", {}, 4, NOON, NOON)),
        "product/kettle is at version 4, not 3",
        {"subject": "product/kettle", "expected_version": "3", "version": "4"},
    ),
    (
        SubjectNotFound(LISBON),
        "store/lisbon does not exist",
        {"subject": "store/lisbon"},
    ),
    (
        SubjectNotFound(KETTLE),
        "product/kettle does not exist",
        {"subject": "product/kettle"},
    ),
]


@pytest.mark.parametrize(
    ("refusal", "message", "facts"), ONE_OF_EACH, ids=lambda value: type(value).__name__
)
def test_a_refusal_is_told_in_words_and_in_facts(
    refusal: Refusal, message: str, facts: dict[str, str]
) -> None:
    assert str(refusal) == message
    assert refusal.facts() == facts


def test_every_refusal_of_the_domain_is_told_here() -> None:
    kinds = {
        kind
        for kind in (*vars(refusals).values(), *vars(reversal).values())
        if isinstance(kind, type) and issubclass(kind, Refusal)
    }
    assert {type(refusal) for refusal, _, _ in ONE_OF_EACH} == kinds - {Refusal, ShortLines}


def test_what_is_short_of_a_line_is_what_is_asked_beyond_what_there_is() -> None:
    assert ShortLine(KETTLES, 6, 5).shortfall == 1


def test_a_refusal_can_be_raised_and_is_itself_only() -> None:
    one, other = ReservationNotFound(R1), ReservationNotFound(R1)
    assert one != other
    with pytest.raises(ReservationNotFound):
        raise one


def test_whoever_may_come_again_is_told_when() -> None:
    again = failures.Overloaded(0.25)
    assert again.facts() == {"retry_ms": "250"}
    refused = failures.WritesRefused(1.0, "the disk is slow")
    assert refused.facts() == {"retry_ms": "1000", "why": "the disk is slow"}


def test_an_unknown_outcome_says_what_makes_it_safe_to_ask_again() -> None:
    assert "send the same request again" in str(failures.OutcomeUnknown("one"))
    assert "request_id" in str(failures.OutcomeUnknown(""))
    assert failures.OutcomeUnknown("").facts() == {}
