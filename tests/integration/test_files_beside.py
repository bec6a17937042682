"""Files that do not belong together are refused by name, before anything is opened or made."""

import asyncio
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from typer.testing import CliRunner

from inventory_grpc.application.store import Durability
from inventory_grpc.cli import app
from inventory_grpc.infrastructure import read_models
from inventory_grpc.infrastructure.sqlite import checkpoints, opening, schema
from inventory_grpc.infrastructure.sqlite.backup import back_up
from inventory_grpc.infrastructure.sqlite.companions import companion, leftovers
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.file_set import check_files
from inventory_grpc.infrastructure.sqlite.log_row import LogRow, row_of_file, row_of_wal
from inventory_grpc.infrastructure.sqlite.opening import InUse
from inventory_grpc.infrastructure.sqlite.read_only_files import file_state
from inventory_grpc.infrastructure.sqlite.schema import NotOurs
from tests.support.file_sets import content_of, copy_set
from tests.support.opened import change, checked, opened, stored
from tests.support.world import add


async def _killed(path: Path, folder: Path) -> Path:
    """Return a database as a server that was killed has left it: its events are in the WAL."""
    async with opened(path) as shop:
        for _ in range(3):
            await shop.record(add(1))
        return copy_set(path, folder / path.name)


async def _refusal(path: Path) -> str:
    """Return why a start is refused, which changes nothing in the folder."""
    before = content_of(path.parent)
    with pytest.raises(NotOurs) as refused:
        async with opened(path):
            pass
    assert content_of(path.parent) == before
    return str(refused.value)


@pytest.mark.parametrize("end", ["-wal", ".mark"])
@pytest.mark.parametrize("is_emptied", [False, True])
async def test_no_new_log_is_created_beside_the_remains_of_one(
    path: Path, tmp_path: Path, end: str, *, is_emptied: bool
) -> None:
    killed = await _killed(path, tmp_path / "killed")
    copy_set(killed, left := tmp_path / "left" / path.name, end)
    if is_emptied:
        left.touch()
    assert leftovers(left) == [companion(left, end)]
    why = await _refusal(left)
    assert f"there is no database at {left}" in why
    assert f"move {companion(left, end)} away" in why
    companion(left, end).unlink()
    async with opened(left) as shop:
        assert shop.parts.head.position == 0


@pytest.mark.parametrize("is_linked", [False, True])
@pytest.mark.parametrize("command", ["verify", "events", "rebuild", "backup", "clock"])
async def test_no_command_opens_a_backup_beside_the_wal_of_its_original(
    path: Path, tmp_path: Path, command: str, *, is_linked: bool
) -> None:
    killed = await _killed(path, tmp_path / "killed")
    back_up(Database(path), tmp_path / "copy.db", lambda *_: None).path.rename(killed)
    why = await _refusal(killed)
    for end in ("-wal", ".mark"):
        assert str(companion(killed, end)) in why
    before = content_of(killed.parent)
    if is_linked:  # beside a symbolic link lies nothing
        (name := tmp_path / "link.db").symlink_to(killed)
    else:
        name = killed
    target = [str(killed.with_name("new.db"))] if command == "backup" else []
    result = CliRunner().invoke(app, [command, "-d", str(name), *target])
    assert (result.exit_code, "nothing was opened" in result.stderr) == (1, True)
    assert content_of(killed.parent) == before


async def test_a_backup_beside_the_mark_of_its_original_is_refused(path: Path) -> None:
    async with opened(path) as shop:
        await shop.record(add(1))
    back_up(Database(path), path.with_name("copy.db"), lambda *_: None).path.rename(path)
    assert f"move {companion(path, '.mark')} away" in await _refusal(path)
    companion(path, ".mark").unlink()
    async with opened(path) as shop:
        assert (await shop.levels()).on_hand == 1


async def test_the_wal_of_another_log_is_known_without_a_mark(path: Path, tmp_path: Path) -> None:
    killed = await _killed(path, tmp_path / "killed")
    companion(killed, ".mark").unlink()
    async with opened(other := tmp_path / "other.db", durability=Durability.RELAXED):
        pass
    other.rename(killed)
    why = await _refusal(killed)
    assert f"move {companion(killed, '-wal')} away" in why


async def test_the_wal_of_several_processes_is_known_whoever_begins_it(
    path: Path, tmp_path: Path
) -> None:
    async with (
        opened(path, durability=Durability.RELAXED) as one,
        opened(path, durability=Durability.RELAXED) as another,
    ):
        for shop in (one, another):
            await shop.record(add(1))
        back_up(Database(path), tmp_path / "copy.db", lambda *_: None)
        with closing(Database(path).writer()) as third:
            third.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        begun = companion(path, "-wal").read_bytes()[:32]
        for _ in range(2):
            await one.record(add(1))
        assert companion(path, "-wal").read_bytes()[:32] != begun
        killed = copy_set(path, tmp_path / "killed" / path.name)
    (tmp_path / "copy.db").rename(killed)
    assert f"move {companion(killed, '-wal')} away" in await _refusal(killed)


async def test_an_older_copy_is_served_with_the_wal_that_has_all_since_and_with_no_later_one(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PAGES", "FEW"):
        monkeypatch.setattr(checkpoints, name, 1)
    async with opened(path) as shop:
        await shop.record(add(1))
    older = copy_set(path, tmp_path / "older" / path.name, "")
    async with opened(path) as shop:
        await shop.record(add(1))
        first = copy_set(path, tmp_path / "first" / path.name, "-wal", ".mark")
        begun = row_of_wal(companion(path, "-wal"))
        async with asyncio.timeout(20):
            while row_of_wal(companion(path, "-wal")) == begun:
                await shop.record(add(1))
        later = copy_set(path, tmp_path / "later" / path.name, "-wal", ".mark")
    copy_set(older, first, "")
    async with opened(first) as shop:
        assert (await shop.levels()).on_hand == 2
    checked(first)
    copy_set(older, later, "")
    assert "or is an older copy" in await _refusal(later)


async def test_a_whole_set_is_served_wherever_it_is_moved(path: Path, tmp_path: Path) -> None:
    killed = await _killed(path, tmp_path / "killed")
    killed.parent.rename(tmp_path / "moved")
    moved = tmp_path / "moved" / path.name
    async with opened(moved) as shop:
        assert (await shop.levels()).on_hand == 3
    copied = copy_set(moved, tmp_path / "copied" / "another name.db")
    async with opened(copied) as shop:
        await shop.record(add(1))
    assert len(stored(copied)) == 4


async def test_a_server_that_stops_while_its_files_are_looked_at_is_in_nobodys_way(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(path) as shop:
        await shop.record(add(1))
    wal, is_there = companion(path, "-wal"), Path.exists
    assert not wal.exists()
    # SQLite takes the WAL away when the last one closes the file: here right after each look
    monkeypatch.setattr(Path, "exists", lambda file: file == wal or is_there(file))
    assert check_files(path)
    assert schema.read_models_of(Database(path)) == read_models.VERSION
    assert file_state(path).wal == 0


@pytest.mark.parametrize("probe", [0, 1, 2, 127, 128, 40_000, 2**23, 2**31, 2**47, 2**62])
async def test_the_row_that_names_the_log_is_read_as_sqlite_does(path: Path, probe: int) -> None:
    async with opened(path) as shop:
        log_id = shop.parts.event_log.log_id
    change(path, "UPDATE log SET probe = ?", probe)
    assert row_of_file(path) == LogRow(log_id, probe)


async def test_a_file_is_locked_while_it_is_created(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, tried = schema.create, []

    def create_alone(*arguments: object) -> None:
        for exclusive in (False, True):
            with (
                pytest.raises(InUse),
                opening.locked(Database(path), exclusive=exclusive, patience_seconds=0.0),
            ):
                pass
        tried.append(path.exists())
        create(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(schema, "create", create_alone)
    async with opened(path):
        assert tried == [False], "it is seen before it is whole"


async def test_a_new_file_is_said_to_be_new(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        async with opened(path):
            pass
    assert caplog.text.count(f"created a new database at {path}") == 1


async def test_where_none_may_be_made_nothing_is(tmp_path: Path) -> None:
    missing = tmp_path / "volume" / "inventory.db"
    with pytest.raises(NotOurs, match="INVENTORY_CREATE is 0"):
        async with opened(missing, create=False):
            pass
    assert not missing.parent.exists()
    async with opened(missing):
        pass
    async with opened(missing, create=False) as shop:
        assert shop.parts.head.position == 0


async def test_a_new_file_that_was_not_finished_is_made_again(path: Path) -> None:
    companion(path, ".making").write_text("half of it", encoding="utf-8")
    async with opened(path) as shop:
        await shop.record(add(1))
    assert not companion(path, ".making").exists()
