"""A sync that fails may lose what was written before it, but nothing that was acknowledged.

While somebody reads, pages are moved out of the WAL up to where the reader is, and synced only
when the rest is moved. If that sync fails, the next one succeeds without them.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import apsw
import pytest

from inventory_grpc import bootstrap
from inventory_grpc.application import circuit_breaker
from inventory_grpc.application.circuit_breaker import BreakerState
from inventory_grpc.application.failures import OutcomeUnknown, Unavailable
from inventory_grpc.infrastructure.sqlite import checkpoints
from inventory_grpc.infrastructure.sqlite.connection import Database
from tests.support import fault_vfs
from tests.support.fault_vfs import Faults, FaultyDatabase, faulty_file_system
from tests.support.opened import Opened, checked, opened, stored
from tests.support.waiting import eventually
from tests.support.world import add, stock

PAGES: Final = 20
COMMANDS: Final = 60
"""More than enough for so few pages to be moved, and more than once."""


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    monkeypatch.setattr(bootstrap, "Database", partial(FaultyDatabase, vfs=fault_vfs.NAME))
    monkeypatch.setattr(circuit_breaker, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(circuit_breaker, "MAX_WAIT_SECONDS", 0.02)
    with faulty_file_system() as faults:
        yield faults


@pytest.fixture
def move_soon(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have pages moved when there are a few, from the call of it on."""

    def begin() -> None:
        monkeypatch.setattr(checkpoints, "PAGES", PAGES)
        monkeypatch.setattr(checkpoints, "FEW", 0)  # by the thread, never by the writer

    return begin


class Shop:
    """Records without end, and remembers what was acknowledged."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self.acknowledged = 0
        self.refused = 0

    async def record(self, commands: int = COMMANDS) -> None:
        for number in range(commands):
            try:
                await self._opened.record(add(1, stock(f"kettle-{number}", "lisbon")))
                self.acknowledged += 1
            except Unavailable:
                self.refused += 1

    async def have_all_moved_and_not_synced(
        self, faults: Faults, move_soon: Callable[[], None]
    ) -> None:
        """Record while somebody reads, behind whom nothing is moved."""
        await self.record()
        with closing(Database(self._opened.path).reader()) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM events").get == self.acknowledged
            faults.calls.clear()
            move_soon()
            await self.record()
            reader.execute("ROLLBACK")
        assert faults.calls["file write"]
        assert not faults.calls["file sync"]

    def is_mended(self) -> bool:
        return self._opened.parts.breaker.state is BreakerState.CLOSED


def after_a_power_cut(path: Path, faults: Faults) -> Path:
    """Return a copy of what is on the disk; in the WAL no sync has failed."""
    copy = path.with_name("copy.db")
    copy.write_bytes(faults.platter)
    wal = path.with_name(f"{path.name}-wal")
    copy.with_name(f"{copy.name}-wal").write_bytes(wal.read_bytes() if wal.exists() else b"")
    return copy


def check_that_nothing_is_lost(path: Path, shop: Shop) -> None:
    assert len(stored(path)) == shop.acknowledged
    checked(path)


async def test_the_whole_wal_is_moved_again_after_a_sync_that_failed(
    path: Path, faults: Faults, move_soon: Callable[[], None]
) -> None:
    async with opened(path) as parts:
        shop = Shop(parts)
        await shop.have_all_moved_and_not_synced(faults, move_soon)
        faults.fail(1, apsw.IOError, only="file sync")
        await shop.record()
        assert faults.failed == ["file sync"]
        assert shop.refused, "nothing is written until the file has been opened anew"
        await eventually(shop.is_mended)
        faults.calls.clear()
        await shop.record(4 * COMMANDS)
        assert faults.calls["file sync"] > 1, "and the WAL has begun anew"

        left = after_a_power_cut(path, faults)

    check_that_nothing_is_lost(left, shop)


async def test_nothing_is_written_while_syncs_keep_failing(
    path: Path, faults: Faults, move_soon: Callable[[], None]
) -> None:
    async with opened(path) as parts:
        shop = Shop(parts)
        await shop.have_all_moved_and_not_synced(faults, move_soon)
        states: list[BreakerState] = []
        parts.parts.breaker.on_change(states.append)
        faults.fail(1, apsw.IOError, only="file sync", for_good=True)
        async with asyncio.timeout(10):
            while len(faults.failed) < 5:
                await shop.record(1)
                await asyncio.sleep(0.001)
        assert shop.refused
        assert BreakerState.CLOSED not in states
        faults.mend()
        await eventually(shop.is_mended)
        await shop.record()

        left = after_a_power_cut(path, faults)

    check_that_nothing_is_lost(left, shop)


async def test_the_wal_stays_where_a_sync_fails_while_the_file_is_closed(
    path: Path, faults: Faults, move_soon: Callable[[], None]
) -> None:
    async with opened(path) as parts:
        shop = Shop(parts)
        await shop.have_all_moved_and_not_synced(faults, move_soon)
        faults.fail(1, apsw.IOError, only="file sync")

    assert faults.failed == ["file sync"]
    check_that_nothing_is_lost(after_a_power_cut(path, faults), shop)


@pytest.mark.parametrize("more", [0, 1])
async def test_the_wal_stays_where_a_sync_failed_of_which_no_caller_has_heard(
    path: Path, faults: Faults, move_soon: Callable[[], None], more: int
) -> None:
    async with opened(path) as parts:
        shop = Shop(parts)
        await shop.have_all_moved_and_not_synced(faults, move_soon)
        faults.fail(1, apsw.IOError, only="file sync")
        async with asyncio.timeout(10):
            while not faults.failed:
                await shop.record(1)
                await asyncio.sleep(0.02)  # for the thread that moves pages
        await shop.record(more)  # after which the writer has heard of it

    assert shop.refused <= more
    check_that_nothing_is_lost(after_a_power_cut(path, faults), shop)


async def test_a_file_is_opened_anew_once_nothing_is_moved_any_more(
    path: Path, faults: Faults, move_soon: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    move = checkpoints._checkpoint

    def move_late(connection: apsw.Connection) -> int:
        begun.set()
        assert go_on.wait(10)
        return move(connection)

    async with opened(path) as parts:
        shop = Shop(parts)
        monkeypatch.setattr(checkpoints, "_checkpoint", move_late)
        move_soon()
        while not begun.is_set():
            await shop.record(1)
        faults.fail(1, apsw.IOError, only="wal sync")
        with pytest.raises(OutcomeUnknown):
            await parts.record(add(1), "in doubt")
        breaker = parts.parts.breaker
        await eventually(lambda: breaker.state is BreakerState.HALF_OPEN)
        await asyncio.sleep(0.05)
        assert breaker.state is BreakerState.HALF_OPEN
        go_on.set()
        await eventually(shop.is_mended)
        again = await parts.record(add(1), "in doubt")
        await shop.record()
        assert shop.acknowledged == len(stored(path)) - 1
        assert again.stocks[0].levels.on_hand == 1
    checked(path)
