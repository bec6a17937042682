"""A backup replaces a database entirely or not at all, and the old files are kept."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from inventory_grpc.application.failures import OtherLog
from inventory_grpc.application.following import Start
from inventory_grpc.application.ports import StorageError
from inventory_grpc.cli import app
from inventory_grpc.infrastructure import read_models
from inventory_grpc.infrastructure.sqlite import file_swap, opening
from inventory_grpc.infrastructure.sqlite.backup import back_up
from inventory_grpc.infrastructure.sqlite.companions import companion, leftovers
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.opening import InUse
from inventory_grpc.infrastructure.sqlite.restoring import Restored, restore
from inventory_grpc.infrastructure.sqlite.schema import NotOurs
from tests.robustness.damage import flipped
from tests.support.file_sets import content_of, copy_set
from tests.support.opened import change, checked, opened, stored
from tests.support.server_process import COMMAND, ENVIRONMENT
from tests.support.world import add

UNITS_THEN: Final = 3
UNITS_NOW: Final = 5
RENAMES: Final = 20
"""More than a restore needs."""


def _nothing(*_: int) -> None:
    """Take no notice of progress."""


def _restore(source: Path, target: Path) -> Restored:
    return restore(Database(source), Database(target), _nothing)


@pytest.fixture
async def copy(path: Path, tmp_path: Path) -> Path:
    """Back up; then the server goes on, and is killed, at `target`."""
    async with opened(path) as shop:
        for _ in range(UNITS_THEN):
            await shop.record(add(1))
        made = back_up(Database(path), tmp_path / "copy.db", _nothing).path
        for _ in range(UNITS_NOW - UNITS_THEN):
            await shop.record(add(1))
        copy_set(path, tmp_path / "killed" / path.name)
    return made


@pytest.fixture
def target(copy: Path, path: Path) -> Path:
    return copy.parent / "killed" / path.name


async def _units(path: Path) -> int:
    async with opened(path) as shop:
        return (await shop.levels()).on_hand


async def test_a_backup_takes_the_place_of_a_killed_database_which_is_kept(
    copy: Path, target: Path
) -> None:
    before = content_of(target.parent)
    result = CliRunner().invoke(app, ["restore", str(copy), "-d", str(target)])
    assert result.exit_code == 0, result.stderr
    assert f"up to position {UNITS_THEN}" in result.stderr
    assert "OTHER_LOG" in result.stderr
    assert not leftovers(target)
    (kept,) = (file for file in target.parent.iterdir() if file.name.endswith("Z"))
    assert {file.removeprefix(kept.name) for file in content_of(target.parent)} >= {
        "",
        "-wal",
        ".mark",
    }
    for end in ("", "-wal", ".mark"):
        assert companion(kept, end).read_bytes() == before[target.name + end]
        assert companion(kept, end).name in result.stderr
    assert await _units(target) == UNITS_THEN
    assert await _units(kept) == UNITS_NOW, "the set that was kept is whole"
    checked(target)


async def test_a_restored_log_has_another_id_and_followers_are_refused(
    copy: Path, target: Path
) -> None:
    ids = set()
    for source in (copy, target.with_name("itself.db"), copy):
        async with opened(target) as shop:
            ids.add(log_id := shop.parts.event_log.log_id)
        if source != copy:
            shutil.move(target, source)
        done = _restore(source, target)
        async with opened(target) as shop:
            assert shop.parts.event_log.log_id == done.log_id
            with pytest.raises(OtherLog):
                await shop.parts.followers.resolve(Start(after_position=1), log_id)
            ids.add(done.log_id)
    assert len(ids) == 4


async def test_a_path_that_is_not_named_must_have_a_database(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty := tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(empty)
    monkeypatch.delenv("INVENTORY_DATABASE", raising=False)
    refused = CliRunner().invoke(app, ["restore", str(copy)])
    assert refused.exit_code == 1
    assert f"no database at {empty}/inventory.db; name the file" in refused.stderr
    assert not list(empty.iterdir())
    done = CliRunner().invoke(app, ["restore", str(copy), "-d", "inventory.db"])
    assert done.exit_code == 0, done.stderr
    assert f"to {empty}/inventory.db, where there was no database: " in done.stderr
    again = CliRunner().invoke(app, ["restore", str(copy)])
    assert again.exit_code == 0, again.stderr
    assert "no database" not in again.stderr


async def test_a_request_recorded_after_the_backup_is_done_again_after_a_restore(
    path: Path, tmp_path: Path
) -> None:
    async with opened(path) as shop:
        await shop.record(add(1), request_id="before")
        copy = back_up(Database(path), tmp_path / "copy.db", _nothing).path
        await shop.record(add(1), request_id="after")
    _restore(copy, path)
    async with opened(path) as shop:
        assert (await shop.record(add(1), request_id="before")).replayed
        assert not (await shop.record(add(1), request_id="after")).replayed
        assert (await shop.levels()).on_hand == 2


async def test_what_a_backup_has_in_a_wal_of_its_own_is_restored(
    target: Path, tmp_path: Path
) -> None:
    _restore(target, new := tmp_path / "deep" / "er" / "new.db")
    assert await _units(new) == UNITS_NOW


async def test_it_is_refused_while_a_server_runs(
    copy: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "PATIENCE_SECONDS", 0.0)
    async with opened(target) as shop:
        with pytest.raises(InUse, match="a server is running"):
            _restore(copy, target)
        assert (await shop.record(add(1))).position == UNITS_NOW + 1


def test_it_is_refused_while_anything_reads_the_database(copy: Path, target: Path) -> None:
    reading = subprocess.Popen(
        [*COMMAND, "events", "--follow", "-d", str(target)], stdout=subprocess.PIPE, env=ENVIRONMENT
    )
    try:
        assert reading.stdout is not None
        assert reading.stdout.readline()
        before = content_of(target.parent)
        with pytest.raises(InUse, match="another program has it open"):
            _restore(copy, target)
        assert content_of(target.parent) == before
    finally:
        reading.kill()
        reading.communicate()
    _restore(copy, target)


def _flip(copy: Path) -> None:
    """Damage a page that no event is on."""
    content = copy.read_bytes()
    copy.write_bytes(flipped(content, len(content) - 2_000, 3))


def _break_the_chain(copy: Path) -> None:
    """Change an event behind the checksums, so early that a start does not look at it."""
    change(copy, "UPDATE events SET hash = zeroblob(32) WHERE position = 1")


def _break_a_rule(copy: Path) -> None:
    """Have a stock of less than nothing, which no checksum and no link tells."""
    with closing(Database(copy).writer()) as connection:
        connection.pragma("ignore_check_constraints", 1)
        connection.execute("UPDATE stocks SET on_hand = -1")


def _replace(copy: Path) -> None:
    copy.write_text("kettles: 5\n" * 100, encoding="utf-8")


def _have_from_a_newer_program(copy: Path) -> None:
    change(copy, "UPDATE log SET read_models = ?", read_models.VERSION + 1)


def _lay_beside_the_mark_of_another(copy: Path) -> None:
    shutil.copy(companion(copy.with_name("inventory.db"), ".mark"), companion(copy, ".mark"))


@pytest.mark.parametrize(
    ("harm", "refusal"),
    [
        (_flip, StorageError),
        (_break_the_chain, StorageError),
        (_break_a_rule, StorageError),
        (_replace, NotOurs),
        (_have_from_a_newer_program, NotOurs),
        (_lay_beside_the_mark_of_another, NotOurs),
        (Path.unlink, NotOurs),
    ],
)
async def test_a_backup_that_is_not_whole_or_not_ours_changes_nothing(
    copy: Path,
    target: Path,
    harm: Callable[[Path], object],
    refusal: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("inventory_grpc.infrastructure.sqlite.backup.TAIL", 1)
    harm(copy)
    before = content_of(target.parent)
    with pytest.raises(refusal):
        _restore(copy, target)
    assert content_of(target.parent) == before


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
async def test_a_database_is_not_restored_from_itself(
    target: Path, link: Callable[[Path, Path], None] | None
) -> None:
    source = target
    if link:
        link(target, source := target.with_name("link.db"))
    before = content_of(target.parent)
    result = CliRunner().invoke(app, ["restore", str(source), "-d", str(target)])
    assert (result.exit_code, "move it elsewhere" in result.stderr) == (1, True)
    assert content_of(target.parent) == before


def test_the_file_has_the_mode_of_the_one_it_replaces(copy: Path, target: Path) -> None:
    target.chmod(0o640)
    _restore(copy, target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


class _Killed(BaseException):
    """Ends a restore as a kill does; nothing here takes notice of it."""


@contextmanager
def _killed_at(call: int) -> Iterator[None]:
    """Have the swap end before the rename of this number, counted from 0."""
    rename, calls = file_swap._rename, iter(range(call))

    def rename_or_die(old: Path, new: Path) -> None:
        if next(calls, None) is None:
            raise _Killed
        rename(old, new)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_swap, "_rename", rename_or_die)
        yield


@pytest.mark.parametrize("call", range(5))
async def test_killed_at_any_rename_the_set_before_is_whole_or_the_next_restore_makes_it_so(
    copy: Path, target: Path, call: int
) -> None:
    with _killed_at(call), pytest.raises(_Killed):
        _restore(copy, target)
    if call == 0:
        assert await _units(target) == UNITS_NOW
    else:
        with pytest.raises(NotOurs, match=r"was interrupted .* run it again"):
            await _units(target)
    with _killed_at(RENAMES):
        _restore(copy, target)
    assert await _units(target) == UNITS_THEN
    kept = [file for file in target.parent.iterdir() if file.name.endswith("Z")]
    assert UNITS_NOW in [len(stored(old)) for old in kept], "the set before is not whole"
