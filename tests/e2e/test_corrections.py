"""Corrections over gRPC answer complaints that users of other systems have.

The numbers are those of the list of complaints that the contract was written from.
"""

from typing import Any, Final

import pytest
from grpc import StatusCode

from inventory_grpc_protos.v1.commands_pb2 import AdjustStockRequest, AdjustStockResponse
from tests.support.caller import Caller, adding, line, refused, reserving

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
