"""Read models are rebuilt from the log; a backup is a snapshot of it."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from inventory_grpc.cli import app
from inventory_grpc.infrastructure import read_models
from inventory_grpc.infrastructure.log.replay import LogInconsistent
from inventory_grpc.infrastructure.sqlite import backup, opening
from inventory_grpc.infrastructure.sqlite.backup import back_up
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.opening import InUse, rebuild_alone
from inventory_grpc.infrastructure.sqlite.verify import verify
from tests.support.opened import Opened, change, checked, events, hash_of, opened, stored, table_of
from tests.support.world import KETTLES, TOASTERS, add, commit, count, release, reserve


def _nothing(*_: int) -> None:
    """Take no notice of progress."""


def _differences(path: Path) -> list[str]:
    return list(verify(Database(path), _nothing))


async def _live(shop: Opened) -> None:
    await shop.record(add(900))
    await shop.record(add(900, TOASTERS))
    await shop.record(reserve({KETTLES: 3, TOASTERS: 2}))
    await shop.record(commit({KETTLES: 1}))
    await shop.record(count(898, expected=3))


@asynccontextmanager
async def _busy(shop: Opened) -> AsyncIterator[None]:
    """Have carts come and go meanwhile."""

    async def trade(who: int) -> None:
        for number in itertools.count():
            name = f"{who}-{number}"
            await shop.record(reserve({KETTLES: 1, TOASTERS: 2}, name), name)
            await shop.record(release({KETTLES: 1}, name))
            await shop.record(commit(0, name))
            await shop.record(add(3, TOASTERS))
            await shop.record(add(1))

    trading = [asyncio.create_task(trade(who)) for who in range(8)]
    try:
        yield
        assert not any(task.done() for task in trading)
    finally:
        for task in trading:
            task.cancel()
        for task in trading:
            with suppress(asyncio.CancelledError):
                await task


async def test_rebuild_repairs_every_table(path: Path) -> None:
    async with opened(path) as shop:
        await _live(shop)
    before = {table: table_of(path, table) for table in read_models.TABLES}
    change(path, "UPDATE stocks SET on_hand = on_hand + 1, version = 77")
    change(path, "DELETE FROM reservation_lines")
    change(path, "UPDATE reservations SET customer_id = 'eve', state = 'released'")
    assert _differences(path)
    result = CliRunner().invoke(app, ["rebuild", "-d", str(path)])
    assert (result.exit_code, "6 events" in result.stderr) == (0, True)
    assert {table: table_of(path, table) for table in read_models.TABLES} == before
    checked(path)


async def test_rebuild_is_refused_while_a_server_runs(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "PATIENCE_SECONDS", 0.1)
    async with opened(path) as shop:
        await _live(shop)
        with pytest.raises(InUse, match="a server is running"):
            rebuild_alone(Database(path), _nothing)
        result = CliRunner().invoke(app, ["rebuild", "-d", str(path)])
        assert result.exit_code == 1
        assert f"is in use: a server is running (process {os.getpid()}): stop it" in result.stderr
        await shop.record(add(1))
    assert rebuild_alone(Database(path), _nothing) == 7


async def test_a_file_in_use_is_locked_under_every_name_it_has(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "PATIENCE_SECONDS", 0.1)
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (link := elsewhere / "link.db").symlink_to(path)
    async with opened(path) as shop:
        await _live(shop)
        with pytest.raises(InUse):
            rebuild_alone(Database(link), _nothing)
    async with opened(link):
        with pytest.raises(InUse):
            rebuild_alone(Database(path), _nothing)
    assert not list(elsewhere.glob("link.db?*")), "something is kept beside the link"


async def test_a_server_waits_while_tables_are_made_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "PATIENCE_SECONDS", 0.1)
    async with opened(path) as shop:
        await _live(shop)
    with opening.locked(Database(path), exclusive=True), pytest.raises(InUse):
        async with opened(path):
            pass
    async with opened(path) as shop:
        assert shop.parts.head.position == 6


async def test_a_log_that_contradicts_itself_is_not_rebuilt_and_nothing_is_changed(
    path: Path,
) -> None:
    async with opened(path) as shop:
        await _live(shop)
    change(path, "UPDATE events SET version = 9 WHERE position = 6")
    before = hash_of(path)
    with pytest.raises(LogInconsistent, match="event 6"):
        rebuild_alone(Database(path), _nothing)
    assert hash_of(path) == before


async def test_verify_finds_nothing_while_a_server_is_busy(path: Path) -> None:
    async with opened(path) as shop:
        await _live(shop)
        async with _busy(shop):
            for _ in range(5):
                assert await asyncio.to_thread(_differences, path) == []
    checked(path)


async def test_a_backup_of_a_busy_server_is_a_snapshot_of_its_log(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "STEP_PAGES", 4)  # so that much happens between its steps
    copies = [path.with_name(f"copy-{number}.db") for number in range(5)]
    async with opened(path) as shop:
        await _live(shop)
        async with _busy(shop):
            for copy in copies:
                await asyncio.sleep(0.05)
                made = await asyncio.to_thread(back_up, Database(path), copy, _nothing)
                assert made.log_id != shop.parts.event_log.log_id
                assert made.position == len(stored(copy))
    log = stored(path)
    positions = [len(stored(copy)) for copy in copies]
    assert positions == sorted(positions)
    assert len(set(positions)) > 1, "nothing happened meanwhile"
    for copy in copies:
        part = stored(copy)
        assert part == log[: len(part)]
        assert events(path)[len(part)].command_position == len(part) + 1, "part of a command"
        checked(copy)


async def test_a_backup_is_served_like_its_original(path: Path) -> None:
    copy = path.with_name("copy.db")
    async with opened(path) as shop:
        await shop.record(add(9), "first")
        await asyncio.to_thread(back_up, Database(path), copy, _nothing)
        await shop.record(add(1))
    async with opened(copy) as shop:
        assert (await shop.levels()).on_hand == 9
        assert (await shop.record(add(9), "first")).replayed
        await shop.record(add(2))
    checked(copy)


async def test_a_backup_overwrites_nothing(path: Path) -> None:
    async with opened(path) as shop:
        await _live(shop)
    there = path.with_name("there.db")
    there.write_text("precious", encoding="utf-8")
    result = CliRunner().invoke(app, ["backup", "-d", str(path), str(there)])
    assert result.exit_code == 1
    assert "exists; choose another name" in result.stderr
    assert there.read_text(encoding="utf-8") == "precious"
    fine = CliRunner().invoke(app, ["backup", "-d", str(path), str(path.with_name("new.db"))])
    assert (fine.exit_code, "position 6" in fine.stderr) == (0, True)
    assert not list(path.parent.glob("*.partial*"))
