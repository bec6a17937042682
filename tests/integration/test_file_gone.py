"""No write is acknowledged into a file that was moved, replaced or truncated."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from inventory_grpc.application.failures import WritesRefused
from inventory_grpc.application.ledger import circuit_breaker
from inventory_grpc.application.ports import StorageError
from inventory_grpc.application.queries.events import EventFilter
from inventory_grpc.infrastructure.sqlite.backup import back_up
from inventory_grpc.infrastructure.sqlite.companions import companion
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.opened_file import OpenedFile
from tests.support.engine import until
from tests.support.opened import Opened, checked, opened, stored
from tests.support.world import add


@pytest.fixture(autouse=True)
def _recover_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit_breaker, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(circuit_breaker, "MAX_WAIT_SECONDS", 0.02)


def _move(path: Path) -> None:
    path.rename(path.with_name("away.db"))


def _replace(path: Path) -> None:
    _move(path)
    shutil.copy(path.with_name("away.db"), path)


def _empty(path: Path) -> None:
    shutil.copy(path, path.with_name("away.db"))
    path.open("wb").close()


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


async def _is_refused(shop: Opened, why: str) -> None:
    with pytest.raises(WritesRefused, match=why):
        await shop.record(add(1))


@pytest.mark.parametrize(
    ("harm", "why"),
    [(_move, "moved or deleted"), (_replace, "replaced by another file"), (_empty, "truncated")],
)
async def test_writes_to_a_replaced_file_are_refused_with_the_cause_and_nothing_is_created(
    path: Path, harm: Callable[[Path], None], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(path) as shop:
        await shop.record(add(1))
        harm(path)
        there = _content(path)
        await _is_refused(shop, why)
        await until(lambda: caplog.text.count("storage cannot be reopened") > 2)
        await _is_refused(shop, why)
        assert _content(path) == there
        if harm is not _empty:
            assert (await shop.levels()).on_hand == 1, "reads go on from the open file"
    assert "put the file back" in caplog.text


async def test_the_same_file_put_back_is_written_again(path: Path) -> None:
    async with opened(path) as shop:
        await shop.record(add(1))
        _move(path)
        await _is_refused(shop, "moved or deleted")
        path.with_name("away.db").rename(path)
        await until(lambda: shop.parts.breaker.state is circuit_breaker.BreakerState.CLOSED)
        await shop.record(add(1))
    assert len(stored(path)) == 2
    checked(path)


def test_a_file_that_was_cut_off_is_not_trusted_when_it_is_filled(path: Path) -> None:
    path.write_bytes(b"kettles")
    file = OpenedFile(path)
    file.check()
    for content in (b"kettle", b"toasters"):
        path.write_bytes(content)
        with pytest.raises(StorageError, match="truncated"):
            file.check()


async def test_no_reader_opens_the_file_that_was_put_in_its_place(path: Path) -> None:
    async with opened(path) as shop:
        await shop.record(add(1))
        back_up(Database(path), copy := path.with_name("copy.db"), lambda *_: None)
        _move(path)
        copy.rename(path)
        with pytest.raises(StorageError, match="replaced by another file"):
            await shop.parts.event_log.page(0, 1, EventFilter(), 10, 1_000)
        assert (await shop.levels()).on_hand == 1


async def test_a_server_that_ends_leaves_all_in_the_moved_file_and_other_files_alone(
    path: Path,
) -> None:
    async with opened(path) as shop:
        for _ in range(3):
            await shop.record(add(1))
        _move(path)
        companion(path, "-wal").unlink()
        companion(path, "-wal").write_bytes(b"of another set that was put there")
        await _is_refused(shop, "moved or deleted")
    assert companion(path, "-wal").exists()
    assert len(stored(path.with_name("away.db"))) == 3
