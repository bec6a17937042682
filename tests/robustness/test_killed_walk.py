"""A server killed while changed terms reach their stocks: the next one goes on where it was."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from inventory_grpc.application.failpoints import EXIT_CODE
from inventory_grpc.application.ledger import terms
from tests.support.effort import DEEP, campaign
from tests.support.engines import on_each_engine
from tests.support.opened import differences, events, opened, rows
from tests.support.server_process import ServerProcess
from tests.support.world import add, policy, stock

STOCKS: Final = 3_000 if DEEP else 1_500
"""They take thirty steps, or fifteen."""

MOST_LIVES: Final = 100
LOOK_EVERY_SECONDS: Final = 0.1
PATIENCE_SECONDS: Final = 60.0
"""The time that a test waits for a server to be killed, or to be done."""

LEFT: Final = "SELECT count(*) FROM unsettled"
REACHED: Final = "SELECT count(*) FROM stocks WHERE particulars IS NOT NULL"


async def _live(database: str | Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a policy of all stocks, which has reached none of them."""
    with monkeypatch.context() as patch:
        patch.setattr(terms, "MAX_RECORDED", 0)
        async with opened(database, durability="relaxed") as shop:
            for first in range(0, STOCKS, 500):
                numbers = range(first, first + 500)
                await shop.answers(*(shop.ask(add(5, stock(f"p{n}", "lisbon"))) for n in numbers))
            await shop.record(policy(safety_stock=1))


async def _serve(database: str | Path, log: Path, fail_points: str) -> int:
    """Serve until the server is killed or all is done; return how many stocks were reached.

    It is 0 if the server was not killed.
    """
    server = ServerProcess.begin(database, log, fail_points=fail_points)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            # a look is a connection, of which a busy machine makes few
            while server.process.poll() is None and rows(database, LEFT) != [(0,)]:  # noqa: ASYNC110  nothing tells us
                await asyncio.sleep(LOOK_EVERY_SECONDS)
        [(reached,)] = rows(database, REACHED)
        return reached if server.process.poll() == EXIT_CODE else 0
    finally:
        await asyncio.to_thread(server.kill)


@on_each_engine
@pytest.mark.timeout(300)
async def test_each_stock_gets_its_terms_once_however_often_it_is_killed(
    database: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _live(database, monkeypatch)
    reached: list[int] = []
    with campaign("killed walk", stocks=STOCKS) as noted:
        while rows(database, LEFT) != [(0,)] and len(reached) < MOST_LIVES:
            point = ("before_commit", "after_commit")[len(reached) % 2]
            reached.append(await _serve(database, tmp_path / "log", f"{point}=exit@0.4"))
        noted["lives"] = len(reached)
    assert rows(database, LEFT) == [(0,)]
    assert any(0 < count < STOCKS for count in reached), "it was never killed on the way"
    changed = [e.product_id for e in events(database) if e.HasField("stock_terms_changed")]
    assert len(changed) == len(set(changed)) == STOCKS
    assert differences(database) == []
