"""A backup is complete and synced before it gets its name, and changes no other file."""

import asyncio
import errno
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.cli import app
from inventory_grpc.infrastructure.sqlite import backup
from inventory_grpc.infrastructure.sqlite.backup import ALL_COMPANIONS, COPY_COMPANIONS, back_up
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.opening import InUse
from tests.support.opened import change, checked, hash_of, opened, rows, stored
from tests.support.server_process import ENVIRONMENT
from tests.support.world import TOASTERS, add

EVENTS: Final = 6


async def _live(path: Path) -> None:
    async with opened(path) as shop:
        for number in range(EVENTS // 2):
            await shop.record(add(5), f"kettles-{number}")
            await shop.record(add(2, TOASTERS), f"toasters-{number}")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a database, once."""
    path = tmp_path_factory.mktemp("original") / "inventory.db"
    asyncio.run(_live(path))
    return path


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    for end in ("", ".mark"):
        shutil.copy(f"{original}{end}", tmp_path)
    return tmp_path / original.name


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (folder := tmp_path / "copies").mkdir()
    return folder / "copy.db"


@pytest.fixture(autouse=True)
def _in_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "STEP_PAGES", 1)


def _nothing(*_: int) -> None:
    """Take no notice of progress."""


def _names(target: Path) -> set[str]:
    return {file.name for file in target.parent.iterdir()}


def test_of_two_backups_to_one_name_the_second_is_refused(path: Path, target: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait(*_: int) -> None:
        begun.set()
        assert go_on.wait(20)

    first = threading.Thread(target=back_up, args=(Database(path), target, wait))
    first.start()
    assert begun.wait(20)
    with pytest.raises(InUse, match="another process is making"):
        back_up(Database(path), target, _nothing)
    go_on.set()
    first.join(20)
    assert _names(target) == {"copy.db"}
    checked(target)


def test_of_two_backups_that_begin_in_one_moment_the_second_leaves_nothing(
    path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tempfile.mkdtemp
    looking: list[int] = []

    def looked_at(**how: str) -> str:
        folder = made(**how)
        looking.append(os.open(folder, os.O_RDONLY))
        fcntl.flock(looking[0], fcntl.LOCK_EX)
        return folder

    monkeypatch.setattr(tempfile, "mkdtemp", looked_at)
    with pytest.raises(InUse, match="another process is making"):
        back_up(Database(path), target, _nothing)
    os.close(looking[0])
    assert not _names(target)


def test_a_name_that_is_taken_while_the_copy_is_made_stays_with_its_owner(
    path: Path, target: Path
) -> None:
    def take(*_: int) -> None:
        target.write_text("precious", encoding="utf-8")

    with pytest.raises(FileExistsError):
        back_up(Database(path), target, take)
    assert target.read_text(encoding="utf-8") == "precious"
    assert _names(target) == {"copy.db"}


@pytest.mark.parametrize("has_links", [True, False])
def test_a_name_that_is_taken_at_the_last_moment_stays_with_its_owner(
    path: Path, target: Path, monkeypatch: pytest.MonkeyPatch, *, has_links: bool
) -> None:
    link = os.link

    def late(made: Path, name: Path) -> None:
        name.write_text("precious", encoding="utf-8")
        if not has_links:
            raise OSError(errno.EPERM, "no links here")
        link(made, name)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(FileExistsError):
        back_up(Database(path), target, _nothing)
    assert target.read_text(encoding="utf-8") == "precious"
    assert _names(target) == {"copy.db"}


def test_where_a_file_cannot_have_two_names_a_backup_is_made_all_the_same(
    path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    back_up(Database(path), target, _nothing)
    assert _names(target) == {"copy.db"}
    checked(target)


@pytest.mark.parametrize("end", ["", *COPY_COMPANIONS])
@pytest.mark.parametrize("kind", ["file", "folder", "link to nothing", "link to the database"])
def test_a_file_in_the_way_of_a_backup_is_named_and_left_unchanged(
    path: Path, target: Path, end: str, kind: str
) -> None:
    there = target.with_name(target.name + end)
    match kind:
        case "file":
            there.write_text("precious", encoding="utf-8")
        case "folder":
            there.mkdir()
        case "link to nothing":
            there.symlink_to(target.parent / "nothing")
        case _:
            there.symlink_to(path)
    before = hash_of(path), _state(there)
    with pytest.raises(FileExistsError, match=re.escape(f"{there} ")):
        back_up(Database(path), target, _nothing)
    assert (hash_of(path), _state(there)) == before
    assert _names(target) == {there.name}


def _state(path: Path) -> tuple[int, ...]:
    """Return what says that a file was not changed; to look at it changes its time of access."""
    found = path.lstat()
    return found.st_ino, found.st_mode, found.st_nlink, found.st_size, found.st_mtime_ns


@pytest.mark.parametrize("end", ["", *ALL_COMPANIONS])
def test_no_backup_becomes_a_part_of_a_database(path: Path, end: str) -> None:
    target = path.with_name(path.name + end)
    target.unlink(missing_ok=bool(end))
    if not end:
        shutil.copy(path.with_name(path.name + ".mark"), path)
    before = {file.name for file in path.parent.iterdir()}
    with pytest.raises((FileExistsError, StorageError)):
        back_up(Database(path), target, _nothing)
    assert {file.name for file in path.parent.iterdir()} == before


@pytest.mark.parametrize("name", ["copy.db.partial", "copy.db.partial-wal", "copy.db.lock"])
def test_files_of_others_with_names_like_it_are_left_alone(
    path: Path, target: Path, name: str
) -> None:
    other = target.with_name(name)
    other.write_text("precious", encoding="utf-8")
    back_up(Database(path), target, _nothing)
    assert other.read_text(encoding="utf-8") == "precious"
    assert _names(target) == {"copy.db", name}
    checked(target)


def test_what_closing_a_database_leaves_is_in_nobodys_way(path: Path, target: Path) -> None:
    for end in ("-wal", "-shm"):
        target.with_name(target.name + end).touch()
    back_up(Database(path), target, _nothing)
    checked(target)


def test_what_is_said_of_the_copy_is_so(path: Path, target: Path) -> None:
    said = CliRunner().invoke(app, ["backup", "-d", str(path), str(target)]).stderr
    ((log_id,),) = rows(target, "SELECT log_id FROM log")
    assert f"position {EVENTS}, as log {log_id}" in " ".join(said.split())
    assert len(stored(target)) == EVENTS


def test_the_copy_has_the_mode_and_the_owner_of_the_original(path: Path, target: Path) -> None:
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 12_345, 12_346)
    back_up(Database(path), target, _nothing)
    kept = ("st_mode", "st_uid", "st_gid")
    assert [getattr(target.stat(), field) for field in kept] == [
        getattr(path.stat(), field) for field in kept
    ]
    assert target.stat().st_nlink == 1


def test_a_backup_is_synced_before_it_is_named_and_named_before_it_is_reported(
    path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, synced = os.fsync, list[tuple[str, bool]]()

    def note(file: int) -> None:
        synced.append((str(Path(f"/proc/self/fd/{file}").readlink()), target.exists()))
        fsync(file)

    monkeypatch.setattr(os, "fsync", note)
    back_up(Database(path), target, _nothing)
    (copy, was_named), folder = synced
    assert copy.endswith("/copy.db")
    assert not was_named
    assert folder == (str(target.parent), True)


DIES: Final = """
import os, sys
from pathlib import Path
from inventory_grpc.infrastructure.sqlite import backup
from inventory_grpc.infrastructure.sqlite.connection import Database
backup.STEP_PAGES = 1
backup.back_up(Database(Path(sys.argv[1])), Path(sys.argv[2]), lambda *_: os._exit(9))
"""


def test_a_backup_that_was_killed_is_named_by_the_next_one_and_in_nobodys_way(
    path: Path, target: Path
) -> None:
    arguments = [sys.executable, "-c", DIES, str(path), str(target)]
    assert subprocess.run(arguments, env=ENVIRONMENT, check=False).returncode == 9
    (left,) = target.parent.iterdir()
    assert left.name.startswith("copy.db.partial-")
    said = CliRunner().invoke(app, ["backup", "-d", str(path), str(target)]).stderr
    assert f"{left} was left by a backup that was killed: remove it" in " ".join(said.split())
    checked(target)
    assert left.exists(), "it is for its owner to remove"


def _a_flipped_bit(path: Path) -> None:
    ((page,),) = rows(path, "SELECT max(pageno) FROM dbstat WHERE name = 'events'")
    content = bytearray(path.read_bytes())
    content[page * 4_096 - 100] ^= 1
    path.write_bytes(content)


def _a_broken_link(path: Path) -> None:
    change(path, "UPDATE events SET hash = zeroblob(32) WHERE position = 3")


def _a_lost_end(path: Path) -> None:
    change(path, "DELETE FROM events WHERE position = ?", EVENTS)


@pytest.mark.parametrize("damage", [_a_flipped_bit, _a_broken_link, _a_lost_end])
def test_a_backup_of_a_damaged_file_is_refused(
    path: Path, target: Path, damage: Callable[[Path], None]
) -> None:
    damage(path)
    with pytest.raises(StorageError) as refused:
        back_up(Database(path), target, _nothing)
    assert refused.value.fault is Fault.DAMAGED
    assert refused.value.detail
    assert not _names(target)


@pytest.fixture(autouse=True)
def _nothing_is_left_open() -> Iterator[None]:
    """See that every descriptor is closed, also of a backup that failed."""
    before = set(Path("/proc/self/fd").iterdir())
    yield
    assert set(Path("/proc/self/fd").iterdir()) <= before
