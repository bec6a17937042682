"""`backup --keep --verify` makes a copy that is right, and removes no more than the oldest ones."""

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from inventory_grpc.cli import app
from inventory_grpc.infrastructure.sqlite.backup_series import BackupSeries
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.staging import PARTIAL, staging_folder
from inventory_grpc.infrastructure.sqlite.verify import verify
from tests.support.opened import change, opened
from tests.support.world import add

NAME = re.compile(r"shop-\d{8}T\d{6}\.\d{6}Z\.db")


async def _live(path: Path) -> None:
    async with opened(path) as shop:
        await shop.record(add(5), "delivery-1")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "shop.db"
    asyncio.run(_live(path))
    return path


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    for end in ("", ".mark"):
        shutil.copy(f"{original}{end}", tmp_path)
    return tmp_path / original.name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (made := tmp_path / "copies").mkdir()
    return made


def back_up(path: Path, folder: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["backup", str(folder), "--database", str(path), *options])


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_each_copy_is_named_by_its_time_and_the_last_seven_stay(path: Path, folder: Path) -> None:
    made: list[str] = []
    for _ in range(9):
        assert back_up(path, folder, "--keep", "7", "--verify").exit_code == 0
        made += [name for name in names(folder) if name not in made]
    assert all(NAME.fullmatch(name) for name in made)
    assert names(folder) == made[-7:]
    for file in folder.iterdir():
        assert not list(verify(Database(file), lambda _: None))


def test_nothing_else_in_the_folder_is_removed(path: Path, folder: Path) -> None:
    old = "shop-20000101T000000.000000Z.db"
    others = ["monday.db", f"my{old}", f"{old}.gz", old.replace("shop", "shop-2")]
    for name in others:
        (folder / name).touch()
    (folder / old.replace("T00", "T01")).mkdir()
    (folder / old.replace("T00", "T02")).symlink_to(folder / "monday.db")
    kept = names(folder)
    for end in ("", "-wal", ".mark"):
        (folder / f"{old}{end}").write_bytes(b"old")
    done = back_up(path, folder, "--keep", "1")
    assert done.exit_code == 0
    assert f"removed {folder / old}" in done.stderr
    [made] = {*names(folder)} - {*kept}
    assert names(folder) == sorted([*kept, made])


def test_the_copy_just_made_stays_though_the_wall_clock_was_set_back(
    path: Path, folder: Path
) -> None:
    later = folder / "shop-21000101T000000.000000Z.db"
    later.write_bytes(b"later")
    assert back_up(path, folder, "--keep", "1").exit_code == 0
    [made] = names(folder)
    assert made != later.name


def test_a_name_that_a_killed_backup_has_reserved_does_not_count_as_a_copy(
    path: Path, folder: Path
) -> None:
    assert back_up(path, folder, "--keep", "2").exit_code == 0
    [copy] = names(folder)
    reserved = folder / "shop-21000101T000000.000000Z.db"
    reserved.touch()
    assert back_up(path, folder, "--keep", "2").exit_code == 0
    assert copy in names(folder)
    assert reserved.exists()


def test_a_copy_with_differences_is_not_made_and_no_other_is_removed(
    path: Path, folder: Path
) -> None:
    assert back_up(path, folder, "--keep", "1", "--verify").exit_code == 0
    before = names(folder)
    change(path, "UPDATE stocks SET on_hand = on_hand + 1")
    done = back_up(path, folder, "--keep", "1", "--verify")
    assert done.exit_code == 1
    assert done.stdout.startswith("stocks: ")
    assert "the copy has 2 differences, and is not kept" in done.stderr
    assert names(folder) == before
    done = back_up(path, folder / "one.db", "--verify")
    assert done.exit_code == 1
    assert names(folder) == before
    assert back_up(path, folder / "one.db").exit_code == 0, "it is verified only on request"


def test_a_folder_that_is_not_there_is_not_made(path: Path, tmp_path: Path) -> None:
    done = back_up(path, tmp_path / "volume", "--keep", "7")
    assert done.exit_code == 1
    assert "volume is no folder; make it, or mount the volume that has it" in done.stderr
    assert not (tmp_path / "volume").exists()


def test_a_target_on_the_volume_of_the_database_is_warned_of(path: Path, folder: Path) -> None:
    done = back_up(path, folder, "--keep", "7")
    assert f"warning: {folder} is on the same volume as {path}, and is lost with it" in done.stderr
    assert done.exit_code == 0


def test_a_target_on_another_volume_is_not_warned_of(path: Path, folder: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "none", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs a machine that allows mounts")
    try:
        done = back_up(path, folder, "--keep", "7")
        assert (done.exit_code, "same volume" in done.stderr) == (0, False)
    finally:
        subprocess.run(["umount", folder], check=True)


def test_what_a_killed_backup_left_is_named_and_a_running_one_is_waited_for(
    path: Path, folder: Path
) -> None:
    left = folder / f"shop-20000101T000000.000000Z.db{PARTIAL}abc"
    left.mkdir()
    done = back_up(path, folder, "--keep", "7")
    assert done.exit_code == 0
    assert f"{left} was left by a backup that was killed: remove it" in done.stderr
    assert left.exists()
    before = names(folder)
    with staging_folder(BackupSeries.of(path, folder).next_target()):
        done = back_up(path, folder, "--keep", "7")
        assert done.exit_code == 1
        assert "another process is making " in done.stderr
    assert names(folder) == before


def test_a_running_backup_of_a_database_with_a_longer_name_is_not_waited_for(
    path: Path, folder: Path
) -> None:
    with staging_folder(BackupSeries.of(Path("shop-east.db"), folder).next_target()):
        assert back_up(path, folder, "--keep", "7").exit_code == 0
