"""Killed at any moment, the server has lost nothing that it acknowledged."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.robustness.lives import Lives, verify
from tests.support.effort import SEED, campaign, runs
from tests.support.engines import on_each_engine
from tests.support.server_process import ServerProcess

LIVES: Final = 25
"""Of one database; then begins another."""


async def _killed(lives: int, database: str | Path, folder: Path, seed: int) -> Lives:
    chance = random.Random(seed)

    async def begin() -> ServerProcess:
        return ServerProcess.begin(database, folder / "log")

    async def kill(server: ServerProcess) -> None:
        await killed.busy()
        server.kill()

    killed = Lives(begin, folder, chance)
    for life in range(lives):
        await killed.live(kill)
        if life == lives // 2:
            verify(database)
    return killed


@on_each_engine
async def test_no_acknowledged_command_is_lost_by_repeated_kills_under_load(
    new_database: Callable[[], str | Path], tmp_path: Path
) -> None:
    lives = runs(least=4, ci=12, deep=1_000)
    databases, each = max(1, lives // LIVES), min(lives, LIVES)
    with campaign("killed", lives=databases * each) as noted:
        noted.update(calls=0, acknowledged=0, in_doubt=0, events=0)
        for number in range(databases):
            database, folder = new_database(), tmp_path / f"of-{number}"
            folder.mkdir()
            killed = await _killed(each, database, folder, SEED + number)
            noted["calls"] += await killed.judge(database)
            noted["acknowledged"] += sum(1 for _ in killed.journal.positions())
            noted["in_doubt"] += len(killed.history.unsettled(0))
            noted["events"] += killed.timeline.position
    assert noted["acknowledged"] > databases * each * 20, "it was not much of a load"
    assert noted["in_doubt"] > databases * each, "it was killed when there was nothing to do"
