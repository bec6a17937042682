"""Killed between goods and their fills, a server goes on: nobody's goods are lost or doubled.

A server passes `before_expire` before each step of its own; a fill is such a step.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc.aio
import pytest

from inventory_grpc.application.failpoints import EXIT_CODE, FailPoint
from inventory_grpc.application.ledger.fills import MAX_FILLS
from inventory_grpc_protos.v1.admin_pb2 import GetServerInfoRequest
from inventory_grpc_protos.v1.commands_pb2 import SetPolicyRequest
from inventory_grpc_protos.v1.events_pb2 import Event
from inventory_grpc_protos.v1.policies_pb2 import Policy
from tests.support.caller import Caller, adding, batch, calling, line, reserving
from tests.support.engines import on_each_engine
from tests.support.opened import differences, events
from tests.support.server_process import ServerProcess, server_process

pytestmark = on_each_engine

IN_A_STEP: Final[Mapping[FailPoint, int]] = {
    "projection_step": 0,
    "before_publish": 2,
    "after_publish": 2,
}
"""Points that a step of fills passes, and how many of two fills are recorded then.

Other steps of a server without callers pass none of them.
"""

LIVES: Final = 8
"""Servers that may begin until all fills are recorded."""

PATIENCE_SECONDS: Final = 30.0
"""The time that a test waits for the fills."""


async def until_settled(caller: Caller) -> None:
    """Wait until the change of terms needs no more steps of the server."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        asked = GetServerInfoRequest()
        while (await caller.admin.GetServerInfo(asked)).unsettled_changes:  # noqa: ASYNC110  nothing tells us
            await asyncio.sleep(0.01)


@dataclass(frozen=True)
class Shop:
    """A log, and the servers on it, one after the other."""

    database: str | Path
    log_file: Path

    def begin(self, fail_points: str) -> ServerProcess:
        return ServerProcess.begin(self.database, self.log_file, fail_points=fail_points)

    @property
    def events(self) -> Sequence[Event]:
        return events(self.database)

    async def sell_ahead(self, lines: int) -> None:
        """Have one reservation wait for two kettles, and others for one each."""
        carts = [
            reserving(line(1 if number else 2), name=f"r{number}", never_expires=True)
            for number in range(lines)
        ]
        async with (
            server_process(self.database, self.log_file) as server,
            calling(await server.address()) as caller,
        ):
            policy = SetPolicyRequest(policy=Policy(backorder_limit=10_000))
            await caller.commands.SetPolicy(policy)
            await until_settled(caller)
            await caller.commands.ExecuteBatch(batch(*carts))

    async def deliver(self, units: int) -> None:
        """Have goods come in at a server that ends before it records a fill."""
        server = self.begin("before_expire=exit")
        async with calling(await server.address()) as caller:
            with suppress(grpc.aio.AioRpcError):  # it may end before it answers
                await caller.commands.AddStock(adding(units))
        assert await server.ended() == EXIT_CODE
        last = self.events[-1]
        assert last.stock_added.quantity == units
        assert last.after.available == 0, "all of it belongs to who waits"

    async def fills_after_restart(self, number: int) -> list[tuple[str, int]]:
        """Have another server record the fills that are due, though nobody sends it a command."""
        async with (
            server_process(self.database, self.log_file) as server,
            calling(await server.address()) as caller,
            asyncio.timeout(PATIENCE_SECONDS),
        ):
            while len(found := fills(await caller.log())) < number:  # noqa: ASYNC110  nothing tells us
                await asyncio.sleep(0.01)
        return found


@pytest.fixture
def shop(database: str | Path, tmp_path: Path) -> Shop:
    return Shop(database, tmp_path / "log")


def fills(log: Sequence[Event]) -> list[tuple[str, int]]:
    facts = [event.backorder_filled for event in log if event.HasField("backorder_filled")]
    return [(fact.reservation_id, fact.quantity) for fact in facts]


async def test_killed_between_goods_and_fills_the_next_server_records_them(shop: Shop) -> None:
    await shop.sell_ahead(3)
    await shop.deliver(3)
    assert fills(shop.events) == []
    assert await shop.fills_after_restart(2) == [("r0", 2), ("r1", 1)]
    assert differences(shop.database) == []


@pytest.mark.parametrize("point", IN_A_STEP)
async def test_killed_inside_a_step_each_fill_is_recorded_once(
    shop: Shop, point: FailPoint
) -> None:
    await shop.sell_ahead(3)
    await shop.deliver(3)
    server = shop.begin(f"{point}=exit")
    assert await server.ended() == EXIT_CODE, "it does its step, though nobody sends it a command"
    assert len(fills(shop.events)) == IN_A_STEP[point]
    assert await shop.fills_after_restart(2) == [("r0", 2), ("r1", 1)]
    assert differences(shop.database) == []


async def test_killed_after_each_step_the_next_one_goes_on_where_it_was(shop: Shop) -> None:
    lines = 2 * MAX_FILLS + 10
    await shop.sell_ahead(lines)
    await shop.deliver(lines + 1)
    recorded = [0]
    for _ in range(LIVES):
        server = shop.begin("before_publish=exit")
        try:
            assert await server.ended() == EXIT_CODE
        finally:
            server.kill()
        recorded.append(len(fills(shop.events)))
        if recorded[-1] == lines:
            break
    assert recorded == [0, MAX_FILLS, 2 * MAX_FILLS, lines]
    expected = [("r0", 2), *((f"r{number}", 1) for number in range(1, lines))]
    assert fills(shop.events) == expected
    assert differences(shop.database) == []
