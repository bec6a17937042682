"""A page token is valid only for the request it came from."""

import base64

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from inventory_grpc.application.access import ANYBODY
from inventory_grpc.domain.refusals import InvalidValue
from inventory_grpc.domain.values import ProductId, StoreId
from inventory_grpc.presentation import page_tokens
from inventory_grpc.presentation.validation import Validator
from inventory_grpc_protos.v1 import queries_pb2 as pb

ASKED = pb.ListStockRequest(product_ids=["kettle"], page_size=10)
TOKEN = page_tokens.token(ASKED, "kettle", "lisbon")


def key(request: Message, token: str) -> object:
    with Validator(ANYBODY) as check:
        return page_tokens.last_key(check, request, token, ProductId, StoreId)


def refused(request: Message, token: str) -> bool:
    with pytest.raises(InvalidValue) as error:
        key(request, token)
    return [violation.field for violation in error.value.violations] == ["page_token"]


def test_a_page_goes_on_where_the_one_before_ended() -> None:
    assert key(ASKED, TOKEN) == ["kettle", "lisbon"]


def test_the_first_page_has_no_token() -> None:
    assert key(ASKED, "") is None


def test_size_position_and_token_of_a_page_may_differ() -> None:
    later = pb.ListStockRequest(
        product_ids=["kettle"], page_size=3, min_position=9, page_token=TOKEN
    )
    assert key(later, TOKEN) == ["kettle", "lisbon"]


def test_the_filter_may_not() -> None:
    assert refused(pb.ListStockRequest(product_ids=["toaster"]), TOKEN)
    assert refused(pb.ListStockRequest(product_ids=["kettle"], max_available=0), TOKEN)


def test_the_method_may_not() -> None:
    of_stock = page_tokens.token(pb.ListStockRequest(), "a", "b")
    assert refused(pb.ListReservationsRequest(), of_stock)


@given(st.data())
def test_a_token_that_was_changed_is_refused(data: st.DataObject) -> None:
    decoded = bytearray(base64.urlsafe_b64decode(TOKEN))
    decoded[data.draw(st.integers(0, len(decoded) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert refused(ASKED, base64.urlsafe_b64encode(decoded).decode())


@given(st.text(min_size=1))
def test_what_never_was_a_token_is_refused(token: str) -> None:
    assert refused(ASKED, token)


@pytest.mark.parametrize("token", [TOKEN[:-1], TOKEN[:4], TOKEN + "AAAA", "A", "x" * 1_000_000])
def test_a_token_that_was_cut_or_grew_is_refused(token: str) -> None:
    assert refused(ASKED, token)


@pytest.mark.parametrize("made", [("a",), ("a", "b", "c"), ("two words", "b"), ("", "")])
def test_a_token_that_was_made_by_who_knows_how_is_refused(made: tuple[str, ...]) -> None:
    assert refused(ASKED, page_tokens.token(ASKED, *made))


@pytest.mark.parametrize("place", ["kettle", "", "-1", f"{2**63}", "9" * 5_000])
def test_a_place_in_the_log_is_a_number_that_a_log_can_have(place: str) -> None:
    token = page_tokens.token(ASKED, place)
    with pytest.raises(InvalidValue), Validator(ANYBODY) as check:
        page_tokens.last_key(check, ASKED, token, page_tokens.position)


@pytest.mark.parametrize(("asked", "given_"), [(0, 100), (1, 1), (1_000, 1_000), (1_001, 1_000)])
def test_a_page_has_a_sensible_size(asked: int, given_: int) -> None:
    with Validator(ANYBODY) as check:
        assert page_tokens.size(check, asked) == given_


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(InvalidValue), Validator(ANYBODY) as check:
        page_tokens.size(check, -1)
