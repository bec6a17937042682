"""A sync that fails loses nothing that was acknowledged.

While a reader is active, pages are moved out of the WAL only up to the reader's snapshot, and are
synced when the rest is moved. If that sync fails, the next one succeeds without them.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import apsw
import pytest

from inventory_grpc.application.failures import OutcomeUnknown, Unavailable
from inventory_grpc.application.ledger import circuit_breaker
from inventory_grpc.application.ledger.circuit_breaker import BreakerState
from inventory_grpc.infrastructure import store
from inventory_grpc.infrastructure.sqlite import checkpoints
from inventory_grpc.infrastructure.sqlite.connection import Database
from tests.support import fault_vfs
from tests.support.fault_vfs import Faults, FaultyDatabase, faulty_file_system
from tests.support.moves import Moves
from tests.support.opened import PATIENCE_SECONDS, Opened, checked, opened, stored
from tests.support.waiting import eventually
from tests.support.world import add, stock

PAGES: Final = 20
COMMANDS: Final = 60
"""More than enough for so few pages to be moved, and more than once."""

FAILURES: Final = 5
"""Several probes of the breaker."""


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    monkeypatch.setattr(store, "Database", partial(FaultyDatabase, vfs=fault_vfs.NAME))
    monkeypatch.setattr(circuit_breaker, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(circuit_breaker, "MAX_WAIT_SECONDS", 0.02)
    with faulty_file_system() as faults:
        yield faults


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> Moves:
    return Moves(monkeypatch)


@pytest.fixture
def move_soon(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have pages moved when there are a few, from the call of it on."""

    def begin() -> None:
        monkeypatch.setattr(checkpoints, "PAGES", PAGES)
        monkeypatch.setattr(checkpoints, "FEW", 0)  # by the thread, never by the writer

    return begin


class Shop:
    """Records without end, and remembers what was acknowledged."""

    def __init__(self, opened: Opened, moves: Moves) -> None:
        self._opened = opened
        self._moves = moves
        self.acknowledged = 0
        self.refused = 0

    async def record(self, commands: int = COMMANDS) -> None:
        for number in range(commands):
            try:
                await self._opened.record(add(1, stock(f"kettle-{number}", "lisbon")))
                self.acknowledged += 1
            except Unavailable:
                self.refused += 1

    async def record_until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not happened():
                await self.record(1)
                await asyncio.sleep(0)

    async def have_all_moved_and_not_synced(
        self, faults: Faults, move_soon: Callable[[], None]
    ) -> None:
        """Record during a read, whose snapshot holds back the checkpoint."""
        await self.record()
        with closing(Database(self._opened.path).reader()) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM events").get == self.acknowledged
            faults.calls.clear()
            move_soon()
            await self.record()
            await self._moves.ended()
            assert faults.calls["file write"]
            assert not faults.calls["file sync"]
            reader.execute("ROLLBACK")

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
    path: Path, faults: Faults, moves: Moves, move_soon: Callable[[], None]
) -> None:
    async with opened(path) as parts:
        shop = Shop(parts, moves)
        await shop.have_all_moved_and_not_synced(faults, move_soon)
        faults.fail(1, apsw.IOError, only="file sync")
        await shop.record_until(lambda: shop.refused > 0)  # until the file has been opened anew
        assert faults.failed == ["file sync"]
        await eventually(shop.is_mended)
        faults.calls.clear()
        await shop.record(4 * COMMANDS)
        assert faults.calls["file sync"] > 1, "and the WAL has begun anew"

        left = after_a_power_cut(path, faults)

    check_that_nothing_is_lost(left, shop)


async def test_nothing_is_written_while_syncs_keep_failing(
    path: Path, faults: Faults, moves: Moves, move_soon: Callable[[], None]
) -> None:
    async with opened(path) as parts:
        shop = Shop(parts, moves)
        await shop.have_all_moved_and_not_synced(faults, move_soon)
        states: list[BreakerState] = []
        parts.parts.breaker.on_change(states.append)
        faults.fail(1, apsw.IOError, only="file sync", for_good=True)
        await shop.record_until(lambda: len(faults.failed) >= FAILURES)
        assert shop.refused
        assert BreakerState.CLOSED not in states
        faults.mend()
        await eventually(shop.is_mended)
        await shop.record()

        left = after_a_power_cut(path, faults)

    check_that_nothing_is_lost(left, shop)


@pytest.mark.parametrize("error", [apsw.IOError, apsw.SQLError])
async def test_the_wal_stays_where_a_sync_fails_while_the_file_is_closed(
    path: Path,
    faults: Faults,
    moves: Moves,
    move_soon: Callable[[], None],
    error: type[apsw.Error],
) -> None:
    async with opened(path) as parts:
        shop = Shop(parts, moves)
        await shop.have_all_moved_and_not_synced(faults, move_soon)
        faults.fail(1, error, only="file sync")

    assert faults.failed == ["file sync"]
    check_that_nothing_is_lost(after_a_power_cut(path, faults), shop)


@pytest.mark.parametrize("more", [0, 1])
async def test_the_wal_stays_where_a_sync_failed_of_which_no_caller_has_heard(
    path: Path, faults: Faults, moves: Moves, move_soon: Callable[[], None], more: int
) -> None:
    async with opened(path) as parts:
        shop = Shop(parts, moves)
        await shop.have_all_moved_and_not_synced(faults, move_soon)
        faults.fail(1, apsw.IOError, only="file sync")
        moves.hold()
        await shop.record_until(moves.begun.is_set)
        moves.let_go()
        await moves.ended()
        assert faults.failed == ["file sync"]
        await shop.record(more)  # after which the writer has heard of it

    assert not shop.refused
    check_that_nothing_is_lost(after_a_power_cut(path, faults), shop)


async def test_a_file_is_opened_anew_once_nothing_is_moved_any_more(
    path: Path, faults: Faults, moves: Moves, move_soon: Callable[[], None]
) -> None:
    async with opened(path) as parts:
        shop = Shop(parts, moves)
        moves.hold()
        move_soon()
        await shop.record_until(moves.begun.is_set)
        faults.fail(1, apsw.IOError, only="wal sync")
        with pytest.raises(OutcomeUnknown):
            await parts.record(add(1), "in doubt")
        breaker = parts.parts.breaker
        await eventually(lambda: breaker.state is BreakerState.HALF_OPEN)
        await asyncio.sleep(0.05)
        assert breaker.state is BreakerState.HALF_OPEN
        moves.let_go()
        await eventually(shop.is_mended)
        again = await parts.record(add(1), "in doubt")
        await shop.record()
        assert shop.acknowledged == len(stored(path)) - 1
        assert again.streams[0].levels.on_hand == 1
    checked(path)
