"""`backup --keep --verify` makes a copy that is right, and removes no more than the oldest ones."""

import asyncio
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from inventory_grpc.cli import app
from inventory_grpc.infrastructure.sqlite.backup_series import BackupSeries
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.staging import PARTIAL, staging_folder
from inventory_grpc.infrastructure.sqlite.verify import verify
from tests.support.file_users import locked_by_another, read_by_another
from tests.support.opened import change, opened
from tests.support.world import add

NAME = re.compile(r"shop-[a-z0-9]{12}-\d{8}T\d{6}\.\d{6}Z\.db")
LONG_AGO = "20000101T000000.000000Z"
NEXT_CENTURY = "21000101T000000.000000Z"


async def _live(path: Path, request_id: str = "delivery-1") -> None:
    async with opened(path) as shop:
        await shop.record(add(5), request_id)


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


def made_in(folder: Path, path: Path, *options: str) -> Path:
    """Make one more copy; return it."""
    before = names(folder)
    assert back_up(path, folder, "--keep", "9", *options).exit_code == 0
    [made] = {*names(folder)} - {*before}
    return folder / made


def dated(copy: Path, time: str) -> Path:
    """Give *copy* the name that it would have if it had been made at *time*."""
    return copy.rename(copy.with_name(f"{copy.name.rpartition('-')[0]}-{time}.db"))


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
    old = dated(made_in(folder, path), LONG_AGO)
    others = ["monday.db", f"my{old.name}", f"{old.name}.gz", old.name.replace("shop", "shop-2")]
    for name in others:
        shutil.copy(old, folder / name)
    old.with_name(old.name.replace("T00", "T01")).mkdir()
    old.with_name(old.name.replace("T00", "T02")).symlink_to(folder / "monday.db")
    kept = [name for name in names(folder) if name != old.name]
    Path(f"{old}-shm").touch()
    Path(f"{old}.lock").touch()
    done = back_up(path, folder, "--keep", "1")
    assert done.exit_code == 0
    assert f"removed {old}" in done.stderr
    [made] = {*names(folder)} - {*kept}
    assert names(folder) == sorted([*kept, made])


def test_databases_of_one_name_do_not_remove_the_copies_of_each_other(
    path: Path, folder: Path, tmp_path: Path
) -> None:
    (elsewhere := tmp_path / "porto").mkdir()
    other = elsewhere / path.name
    asyncio.run(_live(other))
    theirs = [made_in(folder, other).name for _ in range(2)]
    for _ in range(3):
        done = back_up(path, folder, "--keep", "1")
    assert done.exit_code == 0
    [ours] = {*names(folder)} - {*theirs}
    assert {*theirs} <= {*names(folder)}
    assert f"stay in {folder} until you remove them: 2, such as {min(theirs)}" in done.stderr
    assert NAME.fullmatch(ours)


def test_copies_of_the_log_before_a_restore_stay(path: Path, folder: Path) -> None:
    before = made_in(folder, path)
    done = CliRunner().invoke(app, ["restore", str(before), "--database", str(path)])
    assert done.exit_code == 0
    done = back_up(path, folder, "--keep", "1")
    assert before.name in names(folder)
    assert f"stay in {folder} until you remove them: 1, such as {before.name}" in done.stderr


def test_copies_named_by_an_earlier_release_stay_and_are_counted(path: Path, folder: Path) -> None:
    copy = made_in(folder, path)
    for time in (LONG_AGO, NEXT_CENTURY):
        shutil.copy(copy, folder / f"shop-{time}.db")
    done = back_up(path, folder, "--keep", "1")
    assert len(names(folder)) == 3
    assert (
        f"copies of other logs or of an earlier release stay in {folder} until you remove them: "
        f"2, such as shop-{LONG_AGO}.db"
    ) in done.stderr


def test_a_date_in_the_future_makes_no_copy_the_newest(path: Path, folder: Path) -> None:
    future = dated(made_in(folder, path), NEXT_CENTURY)
    asyncio.run(_live(path, "delivery-2"))
    good = made_in(folder, path)
    assert back_up(path, folder, "--keep", "2").exit_code == 0
    assert future.name not in names(folder)
    assert good.name in names(folder)


def test_a_date_in_the_past_makes_no_copy_the_oldest(path: Path, folder: Path) -> None:
    older = made_in(folder, path)
    asyncio.run(_live(path, "delivery-2"))
    newer = dated(made_in(folder, path), LONG_AGO)
    assert back_up(path, folder, "--keep", "2").exit_code == 0
    assert older.name not in names(folder)
    assert newer.name in names(folder)


def test_the_copy_just_made_stays_though_the_wall_clock_was_set_back(
    path: Path, folder: Path
) -> None:
    later = dated(made_in(folder, path), NEXT_CENTURY)
    assert back_up(path, folder, "--keep", "1").exit_code == 0
    [made] = names(folder)
    assert made != later.name


@pytest.mark.parametrize("use", ["served", "read"])
def test_a_copy_in_use_stays_until_a_later_backup(path: Path, folder: Path, use: str) -> None:
    old = dated(made_in(folder, path), LONG_AGO)
    with locked_by_another(old) if use == "served" else read_by_another(old):
        done = back_up(path, folder, "--keep", "1")
        assert done.exit_code == 0
        assert old.exists()
        assert f"{old} is in use; a later backup removes it" in done.stderr
        assert len([name for name in names(folder) if name.endswith(".db")]) == 2
    assert f"removed {old}" in back_up(path, folder, "--keep", "1").stderr
    assert not old.exists()
    assert len(names(folder)) == 1, "nothing stays beside it"


def test_a_copy_that_cannot_be_read_is_named_and_does_not_count(path: Path, folder: Path) -> None:
    good = made_in(folder, path)
    damaged = dated(made_in(folder, path), NEXT_CENTURY)
    damaged.write_bytes(b"damaged")
    done = back_up(path, folder, "--keep", "2")
    assert done.exit_code == 0
    assert f"warning: {damaged} cannot be read, and does not count as a copy" in done.stderr
    assert {good.name, damaged.name} < {*names(folder)}


def test_a_name_that_a_killed_backup_has_reserved_does_not_count_as_a_copy(
    path: Path, folder: Path
) -> None:
    assert back_up(path, folder, "--keep", "2").exit_code == 0
    [copy] = names(folder)
    reserved = folder / f"{copy.rpartition('-')[0]}-{NEXT_CENTURY}.db"
    reserved.touch()
    done = back_up(path, folder, "--keep", "2")
    assert done.exit_code == 0
    assert "cannot be read" not in done.stderr
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
    copy = made_in(folder, path)
    left = folder / f"{copy.name.rpartition('-')[0]}-{LONG_AGO}.db{PARTIAL}abc"
    left.mkdir()
    done = back_up(path, folder, "--keep", "7")
    assert done.exit_code == 0
    assert f"{left} was left by a backup that was killed: remove it" in done.stderr
    assert left.exists()
    before = names(folder)
    with staging_folder(BackupSeries.of(Database(path), folder).next_target()):
        done = back_up(path, folder, "--keep", "7")
        assert done.exit_code == 1
        assert "another process is making " in done.stderr
    assert names(folder) == before


def test_a_running_backup_of_a_database_with_a_longer_name_is_not_waited_for(
    path: Path, folder: Path
) -> None:
    east = replace(BackupSeries.of(Database(path), folder), database=Path("shop-east.db"))
    with staging_folder(east.next_target()):
        assert back_up(path, folder, "--keep", "7").exit_code == 0
