"""The short way to read a plain request makes the submission that `read_command` makes."""

from collections import Counter
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from inventory_grpc.application.access import ANYBODY, Caller, Role, Scope
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.values import Instant, Quantity, StoreId
from inventory_grpc.presentation.plain import plain_reader
from inventory_grpc.presentation.stock_commands import commands
from inventory_grpc.presentation.submissions import read_command
from inventory_grpc.presentation.validation import Validator
from inventory_grpc_protos.v1 import commands_pb2 as pb
from tests.support.histories import assert_reached, many_examples

NOW = Instant(1_800_000_000_000_000)
ROWS = {row.name: row for row in commands() if row.plain}
REQUESTS: dict[str, Any] = {"AddStock": pb.AddStockRequest, "RemoveStock": pb.RemoveStockRequest}

_names = st.sampled_from(
    [*["kettle"] * 5, *["lisbon"] * 5, "x", "x" * 127, "x" * 128, "x" * 129, "", "é", "a b"]
)
_quantities = st.sampled_from(
    [1, 1, 5, 127, 128, 16_383, 16_384, 2_097_152, Quantity.MAX, Quantity.MAX + 1, 0, -1, 2**62]
)
_others: dict[str, st.SearchStrategy[Any]] = {
    "state": st.sampled_from(["", "sellable", "damaged", "lost"]),
    "expected_version": st.sampled_from([0, 1, 300]),
    "reason": st.sampled_from(["", "x", "delivery"]),
    "reference": st.sampled_from(["", "é", "note 7"]),
    "dry_run": st.booleans(),
    "occur_time": st.just({"seconds": 1_799_999_999}),
}
_callers = st.sampled_from(
    [
        ANYBODY,
        ANYBODY,
        Caller("ana", Role.OPERATOR),
        Caller("ben", Role.OPERATOR, Scope(frozenset([StoreId("lisbon")]))),
    ]
)
_unknown = st.sampled_from([b"", b"", b"", b"\xa0\x06\x01", b"\xa2\x06\x03new"])


@st.composite
def _requests(draw: st.DrawFn) -> tuple[str, Any]:
    name = draw(st.sampled_from([*REQUESTS]))
    fields = {field: draw(_names) for field in ("product_id", "store_id", "request_id")}
    chosen = draw(st.sets(st.sampled_from([*_others]), max_size=2)) if draw(st.booleans()) else ()
    others = {field: draw(_others[field]) for field in sorted(chosen)}
    if name == "RemoveStock" and draw(st.integers(0, 5)) == 0:
        others["channel"] = draw(st.sampled_from(["web", ""]))
    request = REQUESTS[name](**fields, quantity=draw(_quantities), **others)
    return name, REQUESTS[name].FromString(request.SerializeToString() + draw(_unknown))


_PLAIN: dict[str, Any] = {"product_id": "kettle", "store_id": "lisbon", "quantity": 1}


def test_a_plain_request_is_read_as_any_other() -> None:
    reached = Counter[str]()

    @many_examples()
    @example(("AddStock", pb.AddStockRequest(**_PLAIN, dry_run=True)), ANYBODY)
    @example(("RemoveStock", pb.RemoveStockRequest(**_PLAIN, request_id="q", channel="w")), ANYBODY)
    @example(("AddStock", pb.AddStockRequest(**_PLAIN, request_id="q", dry_run=True)), ANYBODY)
    @example(("AddStock", pb.AddStockRequest(**_PLAIN, request_id="q" * 128)), ANYBODY)
    @given(_requests(), _callers)
    def law(asked: tuple[str, Any], caller: Caller) -> None:
        name, request = asked
        row, same = ROWS[name], type(request).FromString(request.SerializeToString())
        plain = plain_reader(row)(request, caller)
        reached["plain" if plain else "other"] += 1
        try:
            read = read_command(row, same, Validator(caller), NOW)
        except Refusal:
            assert plain is None
        else:
            assert plain in {None, read}

    law()
    assert_reached(reached, "plain", "other")


def test_a_request_of_known_units_and_nothing_else_is_plain() -> None:
    for name, kind in REQUESTS.items():
        for quantity in (1, 127, 128, 16_384, Quantity.MAX):
            request = kind(**_PLAIN | {"quantity": quantity}, request_id="delivery-1")
            assert plain_reader(ROWS[name])(request, ANYBODY) is not None, f"{name} of {quantity}"
            assert plain_reader(ROWS[name])(request, Caller("ana", Role.OPERATOR)) is not None
