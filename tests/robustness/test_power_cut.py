"""Acknowledged commands survive a power cut; controls show that a loss would be noticed."""

import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.robustness.lives import Lives, Lost
from tests.robustness.loop_disk import LoopDisk, loop_disk, why_not
from tests.support.effort import SEED, campaign, runs
from tests.support.server_process import ServerProcess

CUTS: Final = 12
"""Of one disk; then begins another."""

ENOUGH: Final = 6
"""Cuts after which a server that does not sync must have lost something."""

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


def _lives(
    disk: LoopDisk,
    directory: Path,
    chance: random.Random,
    *options: str,
    under: Sequence[str] = (),
) -> Lives:
    async def begin() -> ServerProcess:
        log_file = directory / f"{disk.cuts}.log"
        return ServerProcess.begin(disk.mounted / "inventory.db", log_file, *options, under=under)

    return Lives(begin, directory, chance)


async def _live_until_the_power_goes(lives: Lives, disk: LoopDisk) -> None:
    async def cut(server: ServerProcess) -> None:
        await lives.busy()
        server.kill()
        disk.cut_power()

    await lives.live(cut)


async def test_acknowledged_commands_survive_a_power_cut(tmp_path: Path) -> None:
    disks = max(1, runs(least=CUTS, ci=CUTS, deep=300) // CUTS)
    with campaign("power cuts", cuts=disks * CUTS) as noted:
        noted.update(calls=0, acknowledged=0, in_doubt=0)
        for number in range(disks):
            directory = tmp_path / str(number)
            directory.mkdir()
            with loop_disk(directory) as disk:
                lives = _lives(disk, directory, random.Random(SEED + number))
                for _ in range(CUTS):
                    await _live_until_the_power_goes(lives, disk)
                noted["calls"] += await lives.judge(disk.mounted / "inventory.db")
            noted["acknowledged"] += sum(1 for _ in lives.journal.positions())
            noted["in_doubt"] += len(lives.history.unsettled(0))
    assert noted["acknowledged"] > disks * CUTS * 20, "it was not much of a load"


async def _loses(tmp_path: Path, *options: str, under: Sequence[str] = ()) -> None:
    """See that what a server promises in this way is soon found to be lost."""
    with loop_disk(tmp_path) as disk:
        lives = _lives(disk, tmp_path, random.Random(SEED), *options, under=under)
        try:
            for _ in range(ENOUGH):
                await _live_until_the_power_goes(lives, disk)
        except Lost:
            return
    pytest.fail(f"nothing was lost in {ENOUGH} cuts: so no cut proves anything")


async def test_with_relaxed_durability_a_power_cut_loses_what_was_acknowledged(
    tmp_path: Path,
) -> None:
    await _loses(tmp_path, "--durability", "relaxed")


@pytest.mark.skipif(shutil.which("eatmydata") is None, reason="there is no eatmydata here")
async def test_where_syncs_do_nothing_a_power_cut_loses_what_was_acknowledged(
    tmp_path: Path,
) -> None:
    await _loses(tmp_path, under=["eatmydata"])
