"""The words and numbers that the domain accepts."""

import pytest

from inventory_grpc.domain.values import (
    MAX_LEVEL,
    CustomerId,
    Malformed,
    Name,
    OrderId,
    ProductId,
    Quantity,
    ReservationId,
    StoreId,
    Text,
    summed,
)
from tests.support.world import KETTLES, PORTO_KETTLES, TOASTERS

NAMES = (ProductId, StoreId, ReservationId, CustomerId, OrderId)


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize(
    "value", ["a", "A-Z_0.9:/", "0b6cf7a9-3b1f-4f6e-9d2f-8c4d7e1a2b3c", "x" * 128]
)
def test_an_id_is_letters_digits_and_a_few_marks(kind: type[Name], value: str) -> None:
    assert kind(value) == value
    assert isinstance(kind(value), str)


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize(
    "value",
    [
        "",
        "x" * 129,
        "a b",
        " a",
        "a ",
        "a\n",
        "a\x00",
        "ä",
        "\u0430",
        "a,b",
        "a;b",
        "a'b",
        "a%",
        "a\\b",
    ],
    ids=ascii,
)
def test_anything_else_is_no_id(kind: type[Name], value: str) -> None:
    with pytest.raises(Malformed):
        kind(value)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "is missing"),
        ("ana@example.com", "has '@' as character 4; allowed are A-Z a-z 0-9 . _ : - /"),
        ("a\u200bb", "has '\\u200b' as character 2; allowed are A-Z a-z 0-9 . _ : - /"),
        ("a\n", "has '\\n' as character 2; allowed are A-Z a-z 0-9 . _ : - /"),
        ("x" * 1_129, "has 1,129 characters; at most 128 are allowed"),
    ],
    ids=["missing", "a bad character", "one that is not seen", "the end of a line", "too long"],
)
def test_what_is_wrong_with_an_id_is_shown(value: str, problem: str) -> None:
    with pytest.raises(Malformed) as refused:
        ProductId(value)
    assert str(refused.value) == problem


@pytest.mark.parametrize(
    ("value", "found"), [(0, "0 or missing"), (-3, "-3"), (1_000_000_001, "1,000,000,001")]
)
def test_a_quantity_that_is_none_is_shown(value: int, found: str) -> None:
    with pytest.raises(Malformed) as refused:
        Quantity(value)
    assert str(refused.value) == f"must be from 1 to 1,000,000,000, and is {found}"


@pytest.mark.parametrize("value", [1, 2, 999_999_999, 1_000_000_000])
def test_a_quantity_is_from_one_to_a_thousand_million(value: int) -> None:
    assert Quantity(value) == value
    assert {value: "found"}[Quantity(value)] == "found"


@pytest.mark.parametrize("value", [0, -1, 1_000_000_001, 2**62, -(2**63)])
def test_anything_else_is_no_quantity(value: int) -> None:
    with pytest.raises(Malformed):
        Quantity(value)


@pytest.mark.parametrize("value", ["", "a gift", "x" * 512, "ä" * 256, "\U0001f600" * 128], ids=len)
def test_text_is_free_up_to_512_bytes(value: str) -> None:
    assert Text(value) == value


@pytest.mark.parametrize("value", ["x" * 513, "ä" * 257, "\U0001f600" * 129], ids=len)
def test_text_of_more_bytes_is_refused(value: str) -> None:
    with pytest.raises(Malformed):
        Text(value)


def test_a_stock_is_known_by_product_and_store() -> None:
    assert str(KETTLES) == "kettle in lisbon"
    assert KETTLES != PORTO_KETTLES
    assert len({KETTLES, PORTO_KETTLES, TOASTERS, KETTLES}) == 3


def test_lines_of_the_same_stock_are_one_in_order_of_first_mention() -> None:
    cart = summed([(TOASTERS, Quantity(3)), (KETTLES, Quantity(1)), (TOASTERS, Quantity(4))])
    assert list(cart.items()) == [(TOASTERS, 7), (KETTLES, 1)]


def test_lines_that_are_too_many_together_are_no_cart() -> None:
    half = Quantity(500_000_000)
    assert summed([(KETTLES, half), (KETTLES, half)]) == {KETTLES: 1_000_000_000}
    with pytest.raises(Malformed):
        summed([(KETTLES, half), (KETTLES, half), (KETTLES, Quantity(1))])


def test_no_lines_are_an_empty_cart() -> None:
    assert summed([]) == {}


def test_the_highest_levels_of_many_stocks_still_fit_in_an_int64() -> None:
    assert MAX_LEVEL * 9_000 < 2**63
