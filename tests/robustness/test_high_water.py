"""G14: acknowledged events that are gone are missed, by the mark of where the log ends."""

import shutil
from pathlib import Path

import pytest

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.application.store import Durability
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.verify import verify
from tests.robustness.originals import beside
from tests.support.file_sets import copy_set
from tests.support.opened import change, checked, opened
from tests.support.world import add


async def _is_refused(path: Path) -> bool:
    try:
        async with opened(path):
            return False
    except StorageError as error:
        if error.fault is not Fault.DAMAGED:
            raise
        return True


async def test_a_log_that_lost_its_end_is_refused_until_somebody_takes_the_mark_away(
    path: Path,
) -> None:
    async with opened(path) as shop:
        for number in range(5):
            await shop.record(add(1), f"{number}")
    for table in ("events", "requests"):
        change(path, f"DELETE FROM {table} WHERE rowid = (SELECT max(rowid) FROM {table})")  # noqa: S608  our own tables
    change(path, "UPDATE stocks SET on_hand = 4, available = 4, version = 4, position = 4")
    assert await _is_refused(path)
    (first, *_) = verify(Database(path), lambda _: None)
    assert first.startswith("the log ends at 4, without the event that was at 5")
    beside(path, ".mark").unlink()
    assert not await _is_refused(path), "who runs the service has decided to go on"


async def test_an_older_copy_of_the_same_log_in_its_place_is_refused(path: Path) -> None:
    older = path.with_name("older.db")
    async with opened(path) as shop:
        await shop.record(add(1))
    shutil.copy(path, older)
    async with opened(path) as shop:
        await shop.record(add(1))
    shutil.copy(older, path)
    assert await _is_refused(path)


async def test_an_older_copy_that_continued_past_the_mark_is_refused(
    path: Path, tmp_path: Path
) -> None:
    older = tmp_path / "elsewhere" / path.name
    async with opened(path) as shop:
        await shop.record(add(1))
    copy_set(path, older, "")
    async with opened(path) as shop:
        await shop.record(add(1))
    async with opened(older) as shop:
        for _ in range(3):
            await shop.record(add(2))
    copy_set(older, path, "")
    assert await _is_refused(path), "it is longer than the mark says, and not what it was there"


async def test_a_mark_that_lags_or_cannot_be_read_keeps_nobody_out(path: Path) -> None:
    mark = beside(path, ".mark")
    async with opened(path) as shop:
        await shop.record(add(1))
        before = mark.read_bytes()
        await shop.record(add(1))
    for content in (before, b"", b"\0" * 128, before[:40], b"kettles \xff\n" * 20):
        mark.write_bytes(content)
        assert not await _is_refused(path), content


async def test_a_mark_that_cannot_be_set_is_said_once_and_harms_nobody(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(path) as shop:
        monkeypatch.setattr("inventory_grpc.infrastructure.sqlite.high_water.os.pwrite", _fail)
        for _ in range(3):
            await shop.record(add(1))
    assert caplog.text.count("a later loss may go undetected") == 1
    checked(path)


def _fail(*_: object) -> None:
    raise OSError(28, "No space left on device")


async def test_who_does_not_sync_sets_no_mark(path: Path) -> None:
    async with opened(path, durability=Durability.RELAXED) as shop:
        await shop.record(add(1))
    assert not beside(path, ".mark").exists(), "after a power cut it could be ahead of the log"
