"""A read-only file is served for reads, and for writes once it becomes writable."""

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import apsw
import pytest
from typer.testing import CliRunner

from inventory_grpc.application.failures import WritesRefused
from inventory_grpc.application.ledger import circuit_breaker
from inventory_grpc.application.ledger import loop as ledger
from inventory_grpc.application.ledger.circuit_breaker import BreakerState
from inventory_grpc.application.queries.events import EventFilter
from inventory_grpc.cli import app
from inventory_grpc.domain.levels import Levels
from inventory_grpc.infrastructure.sqlite.causes import SQLITE_COMPANIONS
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.opening import InUse
from inventory_grpc.infrastructure.sqlite.read_only_files import readable
from tests.support.opened import checked, opened
from tests.support.read_only import read_only
from tests.support.waiting import eventually
from tests.support.world import add

EVENTS: Final = 5


async def _live(path: Path) -> None:
    async with opened(path) as shop:
        for number in range(EVENTS):
            await shop.record(add(1), f"{number}")


async def _as_killed(path: Path) -> None:
    """Leave what a process leaves that was killed: a WAL that has not been moved."""
    (living := path.with_name("living")).mkdir()
    async with opened(living / path.name) as shop:
        for number in range(EVENTS):
            await shop.record(add(1), f"{number}")
        for file in living.iterdir():
            shutil.copy(file, path.parent)
    shutil.rmtree(living)


async def _as_copied_without_shm(path: Path) -> None:
    await _as_killed(path)
    path.with_name(path.name + "-shm").unlink()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (folder := tmp_path / "data").mkdir()
    return folder / "inventory.db"


def _run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("make", [_live, _as_killed, _as_copied_without_shm])
def test_a_file_that_can_only_be_read_is_verified_printed_and_copied(
    path: Path, tmp_path: Path, make: Callable[[Path], Coroutine[Any, Any, None]]
) -> None:
    asyncio.run(make(path))
    before = {file: file.stat().st_mtime_ns for file in path.parent.iterdir()}
    with read_only(path.parent):
        _run("verify", "-d", path)
        assert "at position 5" in _run("clock", "-d", path)
        lines = _run("events", "-d", path).splitlines()
        _run("backup", "-d", path, tmp_path / "copy.db")
    assert [int(json.loads(line)["position"]) for line in lines] == [1, 2, 3, 4, 5]
    assert checked(tmp_path / "copy.db").position == EVENTS
    assert {file: file.stat().st_mtime_ns for file in path.parent.iterdir()} == before


async def test_what_somebody_writes_to_a_file_at_rest_meanwhile_is_noticed(path: Path) -> None:
    await _live(path)

    async def read_while_it_is_written(mend: Callable[[], None]) -> None:
        with readable(Database(path)) as database:
            assert database.is_at_rest
            mend()
            async with opened(path) as shop:
                await shop.record(add(1))
            raise apsw.CorruptError("it was read in the middle of it")

    with read_only(path.parent) as mend, pytest.raises(InUse, match="try again"):
        await read_while_it_is_written(mend)


async def test_a_server_on_a_read_only_file_reads_reports_the_cause_and_recovers(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(circuit_breaker, "FIRST_WAIT_SECONDS", 0.02)
    monkeypatch.setattr(circuit_breaker, "MAX_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(ledger, "GIVE_UP_SECONDS", 0.1)
    await _as_killed(path)
    why = os.strerror(30) if os.geteuid() == 0 else os.strerror(13)
    with read_only(path.parent) as mend:
        async with opened(path) as shop:
            breaker = shop.parts.breaker
            await eventually(lambda: caplog.text.count("cannot be reopened") > 10)
            assert not shop.parts.running.done(), "it gave up"
            (refused,) = await shop.answers(shop.ask(add(1)))
            assert isinstance(refused, WritesRefused)
            assert refused.why == f"the database is read-only: {why}"
            assert f"{path}: {why}" in caplog.text
            assert (await shop.levels()) == Levels(EVENTS, 0)
            page = await shop.parts.event_log.page(0, EVENTS, EventFilter(), 9, 9_999)
            assert len(page.events) == EVENTS
            mend()
            await eventually(lambda: breaker.state is BreakerState.CLOSED)
            await shop.record(add(1))
    assert checked(path).position == EVENTS + 1


async def test_what_lies_beside_a_file_that_may_be_written_again_may_be_written_too(
    path: Path,
) -> None:
    await _as_killed(path)
    beside = [path.with_name(path.name + end) for end in SQLITE_COMPANIONS]
    for file, mode in ((path, 0o640), *((file, 0o444) for file in beside)):
        file.chmod(mode)
    async with opened(path) as shop:
        await shop.record(add(1))
        assert {file.stat().st_mode & 0o777 for file in beside} == {0o640}
