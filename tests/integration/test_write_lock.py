"""A process that keeps the write lock, for example when stopped, is named while others wait."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import apsw
import pytest

from inventory_grpc.infrastructure.sqlite import write_lock
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.write_lock import REPORT_SECONDS, WriteLock, holder_of
from tests.support.opened import opened
from tests.support.server_process import ENVIRONMENT
from tests.support.waiting import eventually
from tests.support.world import add

_HOLDING: Final = (
    "import sys; from pathlib import Path\n"
    "from inventory_grpc.infrastructure.sqlite.connection import Database\n"
    "connection = Database(Path(sys.argv[1])).writer(); connection.execute('BEGIN IMMEDIATE')\n"
    "print('holds', flush=True); sys.stdin.read()"
)


@contextmanager
def another_process_writes(path: Path) -> Iterator[int]:
    """Have a process hold the write lock meanwhile; yield its id."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDING, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"holds\n"
        yield process.pid
        process.kill()


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_lock, "REPORT_SECONDS", 0.05)
    monkeypatch.setattr(write_lock, "CHECK_SECONDS", 0.01)


@pytest.mark.usefixtures("_at_once")
async def test_who_keeps_the_write_lock_is_named_until_it_is_given_back(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    heard: list[bool] = []
    async with opened(path) as one:
        lock = one.parts.maintenance
        lock.on_change(heard.append)
        await one.record(add(1))
        assert lock.waited() == 0
        with another_process_writes(path) as pid:
            waiting = one.ask(add(1))
            await eventually(lambda: heard == [True])
            assert lock.waited() > 0
            assert f"commands wait for another process ({pid}) that has held" in caplog.text
            assert str(path) in caplog.text
        await waiting
        await eventually(lambda: heard == [True, False])
        assert lock.waited() == 0
        assert "was released: commands continue" in caplog.text
        await asyncio.sleep(0)
    assert heard == [True, False]


@pytest.fixture
def made(path: Path) -> Path:
    """Make an empty file of a database."""
    Database(path).creator().close()
    return path


def _refused(lock: WriteLock, connection: apsw.Connection) -> None:
    with pytest.raises(apsw.BusyError):
        lock.begin(connection)


def test_to_give_up_does_not_end_the_wait(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(write_lock, "time", type("Clock", (), {"monotonic": lambda: now}))
    lock = WriteLock(made)
    with closing(Database(made).writer()) as mine, closing(Database(made).writer()) as other:
        mine.set_busy_handler(None)
        other.execute("BEGIN IMMEDIATE")
        _refused(lock, mine)
        now += REPORT_SECONDS - 0.001
        lock.check()
        assert not lock.blocks_commands
        _refused(lock, mine)
        now += 0.001
        lock.check()
        assert lock.blocks_commands
        assert lock.waited() == round(REPORT_SECONDS * 1e6)
        other.execute("ROLLBACK")
        lock.begin(mine)
        lock.check()
        assert (lock.blocks_commands, lock.waited()) == (False, 0)


def test_who_waits_while_others_take_turns_waits_for_none_of_them_alone(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(write_lock, "time", type("Clock", (), {"monotonic": lambda: now}))
    lock = WriteLock(made)
    with closing(Database(made).writer()) as mine, closing(Database(made).writer()) as other:
        mine.set_busy_handler(None)
        other.execute("BEGIN IMMEDIATE")
        _refused(lock, mine)
        for _ in range(3):
            now += REPORT_SECONDS - 0.001
            lock.check()
            assert not lock.blocks_commands
            lock.other_process_committed()
        now += REPORT_SECONDS
        lock.check()
        assert lock.blocks_commands
        assert lock.waited() == round(REPORT_SECONDS * 1e6)


async def test_that_another_process_has_recorded_something_is_noted(path: Path) -> None:
    async with opened(path) as one, opened(path) as other:
        lock = one.parts.maintenance
        assert isinstance(lock, WriteLock)
        before = lock._last_commit_elsewhere
        outcome = await other.record(add(1))
        await one.until(outcome.position)
        assert lock._last_commit_elsewhere > before


def test_an_error_that_is_no_wait_ends_it(made: Path) -> None:
    lock = WriteLock(made)
    with closing(Database(made).writer()) as mine:
        mine.execute("BEGIN")
        with pytest.raises(apsw.SQLError):
            lock.begin(mine)
    assert lock._since is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who holds a lock")
def test_the_holder_is_known_by_its_process_id_and_nobody_without_a_lock(made: Path) -> None:
    assert holder_of(made) == 0
    with closing(Database(made).writer()) as connection:
        assert holder_of(made) == 0
        connection.execute("BEGIN IMMEDIATE")
        assert holder_of(made) == os.getpid()
        connection.execute("ROLLBACK")
        assert holder_of(made) == 0
