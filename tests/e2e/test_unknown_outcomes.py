"""Errors that leave the outcome unknown, and the retry that settles it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import pytest
from grpc import StatusCode

from inventory_grpc.application.ledger import loop as ledger
from inventory_grpc_protos.v1.commands_pb2 import AddStockRequest
from tests.support.caller import Caller, adding, refused
from tests.support.engines import on_each_engine

pytestmark = on_each_engine

DEADLINE_SECONDS: Final = 0.3


class LateAnswers:
    """Keeps answers back, after the commit, until they may go."""

    def __init__(self) -> None:
        self.committed = asyncio.Event()
        self.may_go = asyncio.Event()

    async def pause(self, point: str) -> None:
        if point == "before_ack":
            self.committed.set()
            await self.may_go.wait()


async def until_its_deadline(caller: Caller, request: AddStockRequest, late: LateAnswers) -> None:
    """Send *request* with deadlines that pass, until it was recorded."""
    while not late.committed.is_set():
        failed = await refused(caller.commands.AddStock(request, timeout=DEADLINE_SECONDS))
        assert (failed.code, failed.reason) == (StatusCode.DEADLINE_EXCEEDED, "")


async def until_it_is_given_up(caller: Caller, request: AddStockRequest, late: LateAnswers) -> None:
    call = caller.commands.AddStock(request)
    await late.committed.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await call.code() is StatusCode.CANCELLED


@pytest.mark.parametrize("fail", [until_its_deadline, until_it_is_given_up])
async def test_a_call_without_an_answer_may_be_recorded_and_a_retry_settles_it(
    caller: Caller,
    monkeypatch: pytest.MonkeyPatch,
    fail: Callable[[Caller, AddStockRequest, LateAnswers], Awaitable[None]],
) -> None:
    late = LateAnswers()
    monkeypatch.setattr(ledger, "pause", late.pause)
    recorded, never_begun = adding(5, request_id="delivery-1"), adding(7, request_id="delivery-2")
    await fail(caller, recorded, late)
    waits = await refused(caller.commands.AddStock(never_begun, timeout=DEADLINE_SECONDS))
    assert (waits.code, waits.reason) == (StatusCode.DEADLINE_EXCEEDED, "")
    await asyncio.sleep(DEADLINE_SECONDS)  # by the server's clock the deadline has passed as well
    late.may_go.set()
    told = await caller.commands.AddStock(recorded)
    assert (told.replayed, told.position, told.stock.on_hand) == (True, 1, 5)
    told = await caller.commands.AddStock(never_begun)
    assert (told.replayed, told.position, told.stock.on_hand) == (False, 2, 12)
    assert len(await caller.log()) == 2
