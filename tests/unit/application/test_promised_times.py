"""The default times are those that the documents promise."""

import asyncio

import pytest

from inventory_grpc.application.failures import WritesRefused
from inventory_grpc.application.ledger import circuit_breaker
from inventory_grpc.application.ledger import loop as ledger
from inventory_grpc.application.ledger.loop import LedgerBroken
from inventory_grpc.application.ports import Fault, StorageError
from tests.support.engine import Engine, running, settle
from tests.support.history import appending
from tests.support.stores import TroubledStore
from tests.support.world import MINUTE, TOASTERS, add, reserve


async def test_the_service_ends_when_storage_stays_broken_for_60_seconds(
    idle: Engine, troubled: TroubledStore
) -> None:
    now = asyncio.get_running_loop().time
    run = asyncio.create_task(idle.ledger.run())
    troubled.break_down(StorageError(Fault.BROKEN))
    with pytest.raises(WritesRefused):
        await idle.record(add(1))
    begun = now()
    with pytest.raises(LedgerBroken):
        await run
    assert 60.0 < now() - begun < 60.0 + 2 * circuit_breaker.MAX_WAIT_SECONDS


@pytest.mark.parametrize(
    ("overdue", "batches"),
    [(199_999, [1, 1, 1, 1, 256, 44]), (200_000, [1, 256, 1, 44, 1, 1])],
    ids=["less", "so long"],
)
async def test_commands_precede_the_expiry_of_holds_overdue_by_less_than_200_ms(
    idle: Engine,
    troubled: TroubledStore,
    monkeypatch: pytest.MonkeyPatch,
    overdue: int,
    batches: list[int],
) -> None:
    monkeypatch.setattr(ledger, "MAX_COMMANDS", 1)
    holds = (reserve(1, f"r{number}") for number in range(300))
    await idle.store.storage.transact(appending(add(300), *holds))
    troubled.batches.clear()
    idle.clock.go_on(30 * MINUTE + overdue)
    asked = [idle.ask(add(1, TOASTERS)) for _ in range(4)]
    await settle()
    async with running(idle):
        await asyncio.gather(*asked)
        await settle()
    assert troubled.batches == batches
