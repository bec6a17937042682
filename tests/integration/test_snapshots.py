"""Snapshots bound the cost of folding a long history."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from inventory_grpc.application.failures import Internal
from inventory_grpc.application.ports import StorageError
from inventory_grpc.domain.event import Event
from inventory_grpc.domain.levels import Levels
from inventory_grpc.infrastructure.codec import decode
from inventory_grpc.infrastructure.sqlite import events as log
from inventory_grpc.infrastructure.sqlite import storage
from inventory_grpc.infrastructure.sqlite.back_links import INDEXED_EVERY
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.opening import rebuild_alone
from inventory_grpc.infrastructure.sqlite.transaction import SNAPSHOT_EVERY
from tests.support.opened import Opened, change, checked, opened, rows
from tests.support.world import KETTLES, add, commit, release, remove, reserve


class Reads:
    """The number of stored events that were decoded."""

    def __init__(self) -> None:
        self.count = 0

    def decode(self, data: bytes) -> Event:
        self.count += 1
        return decode(data)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    reads = Reads()
    monkeypatch.setattr(log, "decode", reads.decode)
    return reads


@asynccontextmanager
async def _reopened(path: Path, reads: Reads) -> AsyncIterator[Opened]:
    async with opened(path) as shop:
        assert reads.count == 0, "opening alone reads no history"
        yield shop
        reads.count = 0


async def _use(shop: Opened, times: int) -> None:
    """Take and bring as often as that, many at a time."""
    await asyncio.gather(*(shop.record(remove(1) if n % 2 else add(1)) for n in range(times)))


async def test_a_stock_goes_on_from_its_row_however_long_its_history(
    path: Path, reads: Reads
) -> None:
    async with opened(path) as shop:
        await shop.record(add(1_000))
        await _use(shop, 2_630)
    async with _reopened(path, reads) as shop:
        after = await shop.record(add(1))
        assert after.streams[0].version == 2_632
        assert after.streams[0].levels == Levels(1_001, 0)
        assert reads.count == 0
    checked(path)


@pytest.mark.parametrize(
    "change_it",
    [
        "UPDATE stocks SET version = version - 1",
        "UPDATE stocks SET version = version - 1, position = position - 1",
        "UPDATE stocks SET position = 3",
        "DELETE FROM stocks",
    ],
)
async def test_no_server_starts_with_a_wrong_row_of_a_stock_that_changed_last(
    path: Path, change_it: str
) -> None:
    async with opened(path) as shop:
        await shop.record(add(5))
        await shop.record(add(5))
    change(path, f"{change_it} WHERE stream = 1")
    with pytest.raises(
        StorageError,
        match="kettle@lisbon does not belong to the log with event 2",
    ):
        async with opened(path):
            pass
    rebuild_alone(Database(path), lambda *_: None)
    async with opened(path) as shop:
        assert (await shop.record(add(1))).streams[0].version == 3


@pytest.mark.parametrize(
    "change_it", ["UPDATE stocks SET version = 7, position = 7", "DELETE FROM stocks"]
)
async def test_no_version_of_the_index_is_recorded_again_from_a_row_that_is_behind(
    path: Path, change_it: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "TAIL", 0)
    async with opened(path) as shop:
        for _ in range(INDEXED_EVERY + 1):
            await shop.record(add(5))
    change(path, change_it)
    async with opened(path) as shop:
        with pytest.raises(Internal):
            await shop.record(add(1))
    versions = [version for (version,) in rows(path, "SELECT version FROM events")]
    assert versions == [*range(1, INDEXED_EVERY + 2)]


async def _live_long(path: Path) -> None:
    """Leave a reservation of 1,201 events, of which 800 units are held."""
    async with opened(path) as shop:
        await shop.record(add(2_000))
        await shop.record(reserve(2_000))
        steps = [commit({KETTLES: 1}) if n % 2 else release({KETTLES: 1}) for n in range(1_200)]
        await asyncio.gather(*(shop.record(step) for step in steps))


async def test_a_reservation_with_a_long_history_is_folded_from_a_snapshot(
    path: Path, reads: Reads
) -> None:
    await _live_long(path)
    async with _reopened(path, reads) as shop:
        await shop.record(commit({KETTLES: 1}))
    async with _reopened(path, reads) as shop:
        after = await shop.record(commit({KETTLES: 1}))
        assert after.subjects
        assert after.subjects[0].held == 2_000 - 1_202
        assert reads.count < SNAPSHOT_EVERY
    assert len(rows(path, "SELECT * FROM subject_snapshots")) == 1
    checked(path)


async def test_snapshots_that_are_gone_are_made_again(path: Path, reads: Reads) -> None:
    await _live_long(path)
    async with _reopened(path, reads) as shop:
        await shop.record(commit({KETTLES: 1}))
    change(path, "DELETE FROM subject_snapshots")
    async with _reopened(path, reads) as shop:
        after = await shop.record(commit({KETTLES: 1}))
        assert after.subjects
        assert after.subjects[0].held == 2_000 - 1_202
        assert reads.count > 1_200
    async with _reopened(path, reads) as shop:
        await shop.record(commit({KETTLES: 1}))
        assert reads.count < SNAPSHOT_EVERY
    checked(path)


async def test_an_earlier_answer_does_not_come_from_a_later_snapshot(
    path: Path, reads: Reads
) -> None:
    async with opened(path) as shop:
        await shop.record(add(2_000))
        await shop.record(reserve(2_000), "first")
        await asyncio.gather(*(shop.record(commit({KETTLES: 1})) for _ in range(700)))
    async with _reopened(path, reads) as shop:
        await shop.record(commit({KETTLES: 1}))
    async with opened(path) as shop:
        again = await shop.record(reserve(2_000), "first")
        assert again.replayed
        assert again.subjects
        assert again.subjects[0].held == 2_000
        assert again.streams[0].levels == Levels(2_000, 2_000)
