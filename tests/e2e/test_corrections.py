"""Corrections over gRPC answer complaints that users of other systems have.

The numbers are those of the list of complaints that the contract was written from.
"""

from typing import Any, Final

import pytest
from grpc import StatusCode

from inventory_grpc_protos.v1.commands_pb2 import (
    AdjustStockRequest,
    AdjustStockResponse,
    ReverseEventRequest,
    ReverseEventResponse,
)
from inventory_grpc_protos.v1.queries_pb2 import GetStockRequest
from tests.support.caller import Caller, adding, batch, line, refusal_among, refused, reserving
from tests.support.engines import on_each_engine

pytestmark = on_each_engine

KETTLES: Final[dict[str, Any]] = {"product_id": "kettle", "store_id": "lisbon"}


def counting(on_hand: int, **more: Any) -> AdjustStockRequest:  # noqa: ANN401  any field
    return AdjustStockRequest(**KETTLES, on_hand=on_hand, reason="count", **more)


async def counted(caller: Caller, on_hand: int, **more: Any) -> AdjustStockResponse:  # noqa: ANN401
    return await caller.commands.AdjustStock(counting(on_hand, **more))


async def test_complaint_11_a_sync_that_has_not_seen_a_sale_does_not_erase_it(
    caller: Caller,
) -> None:
    """A flash sale is oversold where absolute syncs erase the sales that they have not seen."""
    await caller.commands.AddStock(adding(10))
    sale = AdjustStockRequest(**KETTLES, delta=-3, reason="a sale at the till")
    await caller.commands.AdjustStock(sale)
    answer = await refused(caller.commands.AdjustStock(counting(12, expected_on_hand=10)))
    assert (answer.code, answer.reason) == (StatusCode.ABORTED, "VERSION_CONFLICT")
    assert answer.facts == {**KETTLES, "expected_on_hand": "10", "on_hand": "7"}
    synced = await counted(caller, 9, expected_on_hand=7)
    assert (synced.stock.on_hand, synced.stock.version) == (9, 3)


async def test_complaint_11_a_sync_that_is_sent_twice_is_done_once(caller: Caller) -> None:
    await caller.commands.AddStock(adding(10))
    first = await counted(caller, 12, expected_on_hand=10, request_id="sync-1")
    again = await counted(caller, 12, expected_on_hand=10, request_id="sync-1")
    assert again.replayed
    again.replayed = False
    assert again == first
    assert len(await caller.log()) == 2


async def test_complaint_17_a_count_is_never_refused_for_what_is_reserved(caller: Caller) -> None:
    """The physical truth can always be recorded, and says which promises are at risk."""
    await caller.commands.AddStock(adding(10))
    await caller.commands.ReserveStock(reserving(line(8), name="cart-1"))
    for on_hand, condition in ((6, {"expected_on_hand": 10}), (5, {"unconditional": True})):
        stock = (await counted(caller, on_hand, **condition)).stock
        assert (stock.on_hand, stock.reserved, stock.available) == (on_hand, 8, 0)
        assert stock.shortfall == 8 - on_hand


async def test_a_count_says_in_its_event_if_it_overwrote_whatever_was_there(
    caller: Caller,
) -> None:
    await caller.commands.AddStock(adding(10))
    await counted(caller, 9, unconditional=True)
    await counted(caller, 8, expected_on_hand=9)
    await counted(caller, 7, expected_version=3)
    facts = [event.stock_adjusted for event in (await caller.log())[1:]]
    assert [(fact.counted, fact.unconditional) for fact in facts] == [
        (9, True),
        (8, False),
        (7, False),
    ]


@pytest.mark.parametrize("expected", [0, 5])
async def test_a_stock_without_history_has_no_units(caller: Caller, expected: int) -> None:
    if expected:
        answer = await refused(caller.commands.AdjustStock(counting(3, expected_on_hand=expected)))
        assert answer.facts == {**KETTLES, "expected_on_hand": "5", "on_hand": "0"}
    else:
        assert (await counted(caller, 3, expected_on_hand=0)).stock.version == 1


def reversing(position: int, **more: Any) -> ReverseEventRequest:  # noqa: ANN401  any field
    return ReverseEventRequest(reversed_position=position, reason="a typo", **more)


async def reversed_at(caller: Caller, position: int, **more: Any) -> ReverseEventResponse:  # noqa: ANN401
    return await caller.commands.ReverseEvent(reversing(position, **more))


async def refused_at(caller: Caller, position: int) -> tuple[StatusCode, str, dict[str, str]]:
    answer = await refused(caller.commands.ReverseEvent(reversing(position)))
    return answer.code, answer.reason, answer.facts


async def test_example_23_a_typo_is_undone_once_although_units_of_it_are_promised(
    caller: Caller,
) -> None:
    """Complaint 17: the physical truth is recorded, whatever is reserved."""
    await caller.commands.AddStock(adding(10))
    await caller.commands.ReserveStock(reserving(line(4), name="cart-1"))
    undone = await reversed_at(caller, 1)
    stock = undone.stock
    assert (stock.on_hand, stock.reserved, stock.available, stock.shortfall) == (0, 4, 0, 4)
    assert (stock.version, undone.position, undone.replayed) == (3, 3, False)
    assert await refused_at(caller, 1) == (
        StatusCode.FAILED_PRECONDITION,
        "ALREADY_REVERSED",
        {"position": "1", "by_position": "3"},
    )


async def test_example_24_a_count_after_the_typo_has_corrected_it(caller: Caller) -> None:
    await caller.commands.AddStock(adding(10))
    await counted(caller, 1, unconditional=True)
    assert await refused_at(caller, 1) == (
        StatusCode.FAILED_PRECONDITION,
        "NOT_REVERSIBLE",
        {"position": "1", "why": "counted", "by_position": "2"},
    )
    stock = (await caller.queries.GetStock(GetStockRequest(**KETTLES))).stock
    assert (stock.on_hand, stock.version) == (1, 2)


async def test_complaint_18_a_correction_of_the_past_rewrites_nothing(caller: Caller) -> None:
    """Back-dated entries of other systems rewrite all later rows, and wait for locks."""
    await caller.commands.AddStock(adding(10))
    await caller.commands.AddStock(adding(5))
    before = await caller.log()
    await reversed_at(caller, 1)
    *same, undone = await caller.log()
    assert same == before
    assert (undone.reverses, undone.stock_adjusted.delta, undone.reason) == (1, -10, "a typo")
    assert [event.reverses for event in same] == [0, 0]
    past = GetStockRequest(**KETTLES, as_of_position=2)
    assert (await caller.queries.GetStock(past)).stock.on_hand == 15


async def test_a_reversal_is_reversed_and_a_count_too(caller: Caller) -> None:
    await caller.commands.AddStock(adding(10))
    await reversed_at(caller, 1)
    assert (await reversed_at(caller, 2)).stock.on_hand == 10
    await counted(caller, 1, expected_on_hand=10)
    assert (await reversed_at(caller, 4)).stock.on_hand == 10
    assert (await reversed_at(caller, 3)).stock.on_hand == 0
    facts = [event.reverses for event in await caller.log()]
    assert facts == [0, 1, 2, 0, 4, 3]


async def test_what_cannot_be_reversed_says_why(caller: Caller) -> None:
    await caller.commands.AddStock(adding(10))
    await caller.commands.ReserveStock(reserving(line(4), name="cart-1"))
    sold = AdjustStockRequest(**KETTLES, delta=-3, reason="sold at the till")
    await caller.commands.AdjustStock(sold)
    log = await caller.log()
    assert await refused_at(caller, 4) == (
        StatusCode.NOT_FOUND,
        "SUBJECT_NOT_FOUND",
        {"position": "4"},
    )
    assert await refused_at(caller, 2) == (
        StatusCode.FAILED_PRECONDITION,
        "NOT_REVERSIBLE",
        {"position": "2", "why": "fact"},
    )
    assert await refused_at(caller, 1) == (
        StatusCode.FAILED_PRECONDITION,
        "INSUFFICIENT_STOCK",
        {"short_lines": "1"},
    )
    assert await caller.log() == log


async def test_a_reversal_that_is_sent_again_gets_its_answer_again(caller: Caller) -> None:
    await caller.commands.AddStock(adding(10))
    first = await reversed_at(caller, 1, request_id="typo-1")
    await caller.commands.AddStock(adding(3))
    again = await reversed_at(caller, 1, request_id="typo-1")
    assert again.replayed
    again.replayed = False
    assert again == first


async def test_reversals_among_many_commands_see_those_before_them(caller: Caller) -> None:
    answer = await caller.commands.ExecuteBatch(
        batch(adding(10), reversing(1), reversing(1), reversing(2), counting(9, unconditional=True))
    )
    first, undone, twice, again, last = answer.results
    assert [one.position for one in (first, undone, again, last)] == [1, 2, 3, 4]
    assert refusal_among(twice).reason == "ALREADY_REVERSED"
    assert (undone.version, again.version) == (2, 3)


async def test_a_part_of_an_atomic_batch_reverses_what_a_part_before_it_recorded(
    caller: Caller,
) -> None:
    await caller.commands.AddStock(adding(1))
    asked = batch(adding(10), reversing(2), reversing(1), adding(7))
    asked.atomic = True
    answer = await caller.commands.ExecuteBatch(asked)
    assert [one.position for one in answer.results] == [5] * 4
    events = (await caller.log())[1:]
    assert [(event.part, event.reverses) for event in events] == [(1, 0), (2, 2), (3, 1), (4, 0)]
    asked = batch(adding(5), reversing(5), reversing(5))
    asked.atomic = True
    refusal = await refused(caller.commands.ExecuteBatch(asked))
    assert refusal.facts == {"position": "5", "by_position": "7", "command_index": "2"}
    assert len(await caller.log()) == 5
