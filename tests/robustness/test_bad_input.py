"""G12: bad input is named and harmless, in every field of every rpc, known today or added later."""

import ast
import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from grpc import StatusCode

from inventory_grpc_protos.v1 import commands_pb2, events_pb2
from tests.robustness.bad_input import PACKAGE, Case, bad, broken, fine, missing
from tests.robustness.bad_values import INT64_MAX, RULES, is_map, own_name, rule_of
from tests.robustness.harmless import Answer, ask, check_form, paths, written
from tests.robustness.kinds import ELSEWHERE, KINDS
from tests.robustness.rpcs import BULK, OURS, Rpc
from tests.support.caller import Caller, adding, refused
from tests.support.effort import campaign
from tests.support.engines import on_each_engine

TOGETHER: Final = 32
BUSINESS: Final = {
    StatusCode.OK,
    StatusCode.NOT_FOUND,
    StatusCode.ALREADY_EXISTS,
    StatusCode.FAILED_PRECONDITION,
    StatusCode.ABORTED,
    StatusCode.OUT_OF_RANGE,
}
"""Codes of requests that passed validation."""

ADD_STOCK, LIST_EVENTS = (
    next(rpc for rpc in OURS if rpc.name == name) for name in ("AddStock", "ListEvents")
)

SINGLE: Final = [rpc for rpc in OURS if rpc not in BULK]
"""Methods that refuse the whole request; for bulk methods see `test_bad_bulk`."""

every_rpc = pytest.mark.parametrize("rpc", SINGLE, ids=lambda rpc: rpc.name)


async def _asked(caller: Caller, rpc: Rpc, cases: Iterable[Case]) -> list[tuple[Case, Answer]]:
    cases, room = list(cases), asyncio.Semaphore(TOGETHER)

    async def one(case: Case) -> Answer:
        async with room:
            return await ask(caller, rpc, case.data)

    return list(zip(cases, await asyncio.gather(*map(one, cases)), strict=True))


@asynccontextmanager
async def _nothing_written(caller: Caller, path: Path) -> AsyncIterator[None]:
    """Check that what happens here changes nothing, and that the server goes on as before."""
    before = written(path)
    yield
    assert written(path) == before
    after = await caller.commands.AddStock(adding(1))
    assert after.position == len(before[0]) + 1  # type: ignore[arg-type]


@every_rpc
async def test_every_bad_value_of_every_field_is_named_by_its_path_and_nothing_is_written(
    caller: Caller, path: Path, rpc: Rpc
) -> None:
    cases = [*bad(rpc.input.DESCRIPTOR), *broken(rpc.input.DESCRIPTOR)]
    if missing(rpc.input.DESCRIPTOR).paths:
        cases.append(missing(rpc.input.DESCRIPTOR))
    async with _nothing_written(caller, path):
        with campaign(f"bad input of {rpc.name}", requests=len(cases)):
            for case, answer in await _asked(caller, rpc, cases):
                named = paths(answer)
                where = case.kind, case.data[:200], named, answer.refused
                assert len(named) == len(set(named)) == case.named, where
                assert case.paths.issuperset(named), where
                assert answer.refused
                check_form(answer.refused)


@on_each_engine
@every_rpc
async def test_what_looks_bad_and_is_not_is_understood(caller: Caller, rpc: Rpc) -> None:
    for case, answer in await _asked(caller, rpc, fine(rpc.input.DESCRIPTOR)):
        assert answer.code in BUSINESS, (case.kind, case.data[:200], answer.refused)
        if answer.refused:
            check_form(answer.refused)


def _reachable(
    descriptor: Descriptor, within: tuple[Descriptor, ...] = ()
) -> Iterator[FieldDescriptor]:
    assert descriptor not in within, f"{descriptor.name} contains itself: 60 levels are an attack"
    for field in descriptor.fields:
        yield field
        if field.message_type and not is_map(field):
            yield from _reachable(field.message_type, (*within, descriptor))


FIELDS: Final = [field for rpc in OURS for field in _reachable(rpc.input.DESCRIPTOR)]


def test_a_field_is_either_classified_or_made_of_fields_that_are() -> None:
    ours = [one for one in FIELDS if one.full_name.startswith(f"{PACKAGE}.")]
    for field in ours:
        rule_of(field)
    known = {field.name for field in ours} | {own_name(field) for field in ours}
    assert set(RULES) <= known, "a rule for what is not there"


def test_no_number_that_means_something_is_cut_to_32_bits_on_the_way() -> None:
    """Protobuf cuts silently: 2^40 + 5 units would be five."""
    cut = {field.name for field in FIELDS if field.cpp_type == field.CPPTYPE_INT32}
    assert cut == {"page_size", "max_batch", "nanos"}


@on_each_engine
async def test_a_number_cut_to_32_bits_is_still_a_size_in_bounds(caller: Caller) -> None:
    huge = (2**40 + 5).to_bytes(6, "little")
    number = (
        b"\x28"
        + bytes([int.from_bytes(huge, "little") >> 7 * place & 0x7F | 0x80 for place in range(5)])
        + b"\x20"
    )
    answer = await ask(caller, LIST_EVENTS, number)
    assert answer.code is StatusCode.OK
    assert len(events_pb2.ListEventsResponse.FromString(answer.message).events) == 2


@on_each_engine
async def test_a_sum_that_would_not_fit_is_refused_as_a_level_and_not_as_a_number(
    caller: Caller,
) -> None:
    count: dict[str, Any] = {"product_id": "cup", "store_id": "lisbon", "reason": "count"}
    most = commands_pb2.AdjustStockRequest(on_hand=10**15, expected_version=0, **count)
    assert (await caller.commands.AdjustStock(most)).stock.on_hand == 10**15
    answer = await refused(caller.commands.AddStock(adding(1, "cup")))
    assert (answer.code, answer.reason) == (StatusCode.FAILED_PRECONDITION, "LEVEL_TOO_HIGH")
    beyond = commands_pb2.AdjustStockRequest(on_hand=INT64_MAX, expected_version=1, **count)
    assert (await refused(caller.commands.AdjustStock(beyond))).reason == "LEVEL_TOO_HIGH"


@on_each_engine
async def test_a_request_is_what_it_says_and_not_how_it_was_written(caller: Caller) -> None:
    request = adding(5, request_id="r", reference="note 7")
    first = await caller.commands.AddStock(request)
    data, reference = request.SerializeToString(), b"\x6a\x06note 7"
    assert data.endswith(reference)
    for other in (
        data + b"\xa2\x7d\x03new",
        b"\x18\x63" + data,
        reference + data.removesuffix(reference),
    ):
        answer = await ask(caller, ADD_STOCK, other)
        again = commands_pb2.AddStockResponse.FromString(answer.message)
        assert (again.position, again.replayed) == (first.position, True)


@on_each_engine
async def test_a_request_id_belongs_to_one_method(caller: Caller) -> None:
    request = commands_pb2.RemoveStockRequest(
        product_id="kettle", store_id="lisbon", quantity=1_000, request_id="delivery"
    )
    answer = await refused(caller.commands.RemoveStock(request))
    assert answer.reason == "REQUEST_ID_REUSED"


def test_every_kind_of_bad_input_is_tried_somewhere() -> None:
    tests = {
        node.name
        for file in Path(__file__).parents[1].rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    here = {
        case.kind
        for rpc in SINGLE
        for cases in (
            bad(rpc.input.DESCRIPTOR),
            broken(rpc.input.DESCRIPTOR),
            fine(rpc.input.DESCRIPTOR),
            [missing(rpc.input.DESCRIPTOR)],
        )
        for case in cases
    }
    assert sorted(KINDS) == list(range(1, 41))
    assert here | set(ELSEWHERE) == set(KINDS)
    assert {name for names in ELSEWHERE.values() for name in names} <= tests
