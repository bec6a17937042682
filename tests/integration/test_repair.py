"""A file that another program wrote to is told apart from a damaged one, and repaired."""

import asyncio
import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.cli import app
from inventory_grpc.infrastructure.sqlite import file_swap, repairing
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.events import read_log_id
from inventory_grpc.infrastructure.sqlite.high_water import HighWater
from inventory_grpc.infrastructure.sqlite.opening import InUse
from inventory_grpc.infrastructure.sqlite.repairing import Progress, Repaired, repair
from tests.support.opened import checked, hash_of, opened, rows
from tests.support.world import TOASTERS, add, reserve

EVENTS: Final = 40
SILENT: Final = Progress(lambda *_: None, lambda _: None)


async def _as_killed(folder: Path) -> None:
    """Leave what a process leaves that was killed: much is only in the WAL."""
    (living := folder / "living").mkdir()
    async with opened(living / "inventory.db") as shop:
        for number in range(EVENTS - 2):
            await shop.record(add(1), f"{number}")
        await shop.record(add(2, TOASTERS))
        await shop.record(reserve(1))
        for file in living.iterdir():
            shutil.copy(file, folder)
    shutil.rmtree(living)


@pytest.fixture(scope="module")
def touched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Have plain SQLite be the last to close a file, once."""
    folder = tmp_path_factory.mktemp("touched")
    asyncio.run(_as_killed(folder))
    _count(folder / "inventory.db")
    return folder


@pytest.fixture
def path(touched: Path, tmp_path: Path) -> Path:
    for file in touched.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path / "inventory.db"


def _count(path: Path) -> None:
    """Count the events, as in the shell of SQLite."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (EVENTS,)


def _plainly(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def _run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, " ".join(result.stderr.split())


async def test_the_error_names_the_cause_and_repair_restores_everything(path: Path) -> None:
    mark = path.with_name(path.name + ".mark")
    before, marked = hash_of(path), mark.read_bytes()
    with pytest.raises(StorageError, match="another program, such as sqlite3") as refused:
        async with opened(path):
            pass
    assert refused.value.fault is Fault.DAMAGED
    code, said = _run("verify", "-d", path)
    assert code == 1
    assert "`inventory-grpc repair`" in said

    code, said = _run("repair", "-d", path)
    assert code == 0, said
    assert f"all {EVENTS} events" in said
    (kept,) = (file for file in path.parent.glob("inventory.db.2*Z"))
    assert str(kept) in said
    assert hash_of(kept) == before
    assert mark.read_bytes() == marked
    assert checked(path).position == EVENTS
    async with opened(path) as shop:
        assert shop.parts.event_log.log_id in said, "it is the same log"
        assert (await shop.record(add(1), "0")).replayed
        await shop.record(add(1))


def test_what_is_not_touched_is_left_as_it_is(path: Path) -> None:
    assert repair(Database(path), SILENT).pages
    before = set(path.parent.iterdir()), hash_of(path)
    assert repair(Database(path), SILENT) == Repaired(0)
    assert _run("repair", "-d", path)[1].endswith("there is nothing to repair")
    assert (set(path.parent.iterdir()), hash_of(path)) == before


UNSOUND: Final = {
    "an event is gone": "DELETE FROM events WHERE position = 7",
    "the end is gone": "DELETE FROM events WHERE position = (SELECT max(position) FROM events)",
    "an event is another": "UPDATE events SET event = zeroblob(40) WHERE position = 9",
    "a level is another": "UPDATE stocks SET on_hand = on_hand + 1",
    "a request is another's": "UPDATE requests SET position = 2 WHERE request_id = '0'",
}


@pytest.mark.parametrize("what", UNSOUND)
def test_a_file_whose_content_was_changed_is_not_repaired_and_stays_unchanged(
    path: Path, what: str
) -> None:
    _plainly(path, UNSOUND[what])
    path.with_name("inventory.db.lock").touch()
    before = set(path.parent.iterdir()), hash_of(path)
    code, said = _run("repair", "-d", path)
    assert code == 1
    assert "cannot be repaired, and nothing was changed" in said
    assert (set(path.parent.iterdir()), hash_of(path)) == before


def test_a_log_that_has_gone_further_is_not_repaired(path: Path) -> None:
    with closing(Database(path, vfs=repairing.WITHOUT_CHECKSUMS).immutable()) as plain:
        log_id = read_log_id(plain)
    HighWater(path).rise(log_id, EVENTS + 1, bytes(32))
    with pytest.raises(StorageError, match="nothing was changed: the log ends at 40"):
        repair(Database(path), SILENT)


def test_a_page_that_is_no_page_is_not_repaired(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[3 * 4_096 : 3 * 4_096 + 16] = bytes(16)
    path.write_bytes(content)
    before = hash_of(path)
    with pytest.raises(StorageError) as refused:
        repair(Database(path), SILENT)
    assert refused.value.fault is Fault.DAMAGED
    assert hash_of(path) == before


@contextmanager
def _opened_by_another(path: Path) -> Iterator[None]:
    """Have another process read the file meanwhile: SQLite's locks are those of a process."""
    read, write = os.pipe()
    if not (child := os.fork()):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("SELECT count(*) FROM events").fetchone()
            os.write(write, b".")
            signal.pause()
    try:
        assert os.read(read, 1)
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(read)
        os.close(write)


@pytest.mark.parametrize("is_late", [False, True])
def test_a_file_that_somebody_has_open_is_not_repaired(path: Path, *, is_late: bool) -> None:
    before = hash_of(path)
    with ExitStack() as opened_by:

        def open_it(*_: int) -> None:
            opened_by.enter_context(_opened_by_another(path))

        begins = Progress(SILENT.copying, open_it if is_late else SILENT.checking)
        if not is_late:
            open_it()
        with pytest.raises(InUse, match="another program has it open"):
            repair(Database(path), begins)
    assert hash_of(path) == before
    assert not [file for file in path.parent.iterdir() if ".repaired" in file.name]


def test_a_repair_that_was_interrupted_is_completed_by_the_next_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise OSError(5, "the machine stopped")

    with monkeypatch.context() as patch:
        patch.setattr(file_swap, "_finish", die)
        with pytest.raises(OSError, match="the machine stopped"):
            repair(Database(path), SILENT)
    code, said = _run("verify", "-d", path)
    assert code == 1
    assert "a repair of" in said
    assert _run("repair", "-d", path)[0] == 0
    assert checked(path).position == EVENTS


def test_a_file_that_was_not_closed_is_repaired_with_its_wal(path: Path) -> None:
    assert repair(Database(path), SILENT).pages
    copy = path.with_name("copy.db")
    with closing(Database(path, vfs=repairing.WITHOUT_CHECKSUMS).writer()) as plain:
        plain.execute("UPDATE log SET probe = 101")
        plain.wal_checkpoint()
        plain.execute("UPDATE log SET probe = 102")
        for end in ("", "-wal", ".mark"):
            shutil.copy(f"{path}{end}", f"{copy}{end}")
    assert repair(Database(copy), SILENT).pages == 1
    assert rows(copy, "SELECT probe FROM log") == [(102,)]
    checked(copy)
