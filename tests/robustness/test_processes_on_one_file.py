"""Several servers on one log, killed and restarted in turn, are one service with one order."""

import random
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.robustness.fleet import LEAST_CALLS, Fleet
from tests.robustness.history import History
from tests.robustness.traffic import Crowd
from tests.support.caller import adding, calling
from tests.support.effort import SEED, campaign, runs
from tests.support.engines import on_each_engine
from tests.support.server_process import ServerProcess

KILLS: Final = 2
"""In each round."""


def _ways_to(path: str | Path) -> Sequence[str | Path]:
    """Return names of one file: its own, in a directory by another name, and a name elsewhere."""
    if isinstance(path, str):
        return [path] * 4  # a URL
    directory = path.parent.with_name("another-name")
    directory.symlink_to(path.parent)
    elsewhere = path.parent.with_name("elsewhere")
    elsewhere.mkdir()
    link = elsewhere / "link.db"
    link.symlink_to(path)
    return [link, path, directory / path.name, path]


async def _round(
    database: str | Path, logs: Path, processes: int, chance: random.Random
) -> tuple[int, int]:
    """Trade with so many processes, of which some are killed; return calls and those in doubt."""
    fleet = Fleet(_ways_to(database)[:processes], logs, chance, Crowd(History()))
    async with AsyncExitStack() as stack:
        await fleet.start_all(stack)
        for _ in range(KILLS):
            await fleet.trade()
            await fleet.kill_one_and_start_another(stack)
        await fleet.trade()
        return await fleet.judge(stack)


@pytest.mark.timeout(300)
@on_each_engine
async def test_processes_on_one_log_killed_in_turn_keep_all_promises(
    on_engine: str, new_database: Callable[[], str | Path], tmp_path: Path
) -> None:
    rounds, chance = runs(least=1, ci=3, deep=24), random.Random(SEED)
    with campaign("processes on one log", rounds=rounds) as noted:
        noted.update(calls=0, in_doubt=0)
        for number in range(rounds):
            (folder := tmp_path / f"{number}" / "data").mkdir(parents=True)
            database = folder / "inventory.db" if on_engine == "sqlite" else new_database()
            processes = 2 + number % 3
            calls, in_doubt = await _round(database, folder, processes, chance)
            noted["calls"] += calls
            noted["in_doubt"] += in_doubt
    assert noted["calls"] >= rounds * (KILLS + 1) * LEAST_CALLS, "it was not much of a load"


async def test_a_port_is_never_shared(tmp_path: Path) -> None:
    first = ServerProcess.begin(tmp_path / "inventory.db", tmp_path / "first.log")
    try:
        address = await first.address()
        for number, database in enumerate(["inventory.db", "another.db"]):
            log_file = tmp_path / f"{number}.log"
            second = ServerProcess.begin(tmp_path / database, log_file, "--listen", address)
            try:
                assert await second.ended() == 1
            finally:
                second.kill()
            said = log_file.read_text("utf-8")
            assert "serving on" not in said
            assert f"cannot listen on {address}" in said
        async with calling(address) as caller:
            for units in range(1, 21):
                answer = await caller.commands.AddStock(adding(1))
                assert answer.stock.on_hand == units, "somebody else has answered in between"
    finally:
        first.kill()
