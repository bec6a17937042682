"""Checkpoints run while others write, and the WAL stays within its bound."""

import asyncio
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, Self

import apsw
import pytest

from inventory_grpc.application.ports import StorageError
from inventory_grpc.application.store import Durability
from inventory_grpc.infrastructure.sqlite import checkpoints, connection
from inventory_grpc.infrastructure.sqlite.checkpoints import Checkpoints
from inventory_grpc.infrastructure.sqlite.connection import Database, one_state
from tests.support import fault_vfs
from tests.support.fault_vfs import Faults, faulty_file_system
from tests.support.moves import Moves
from tests.support.opened import checked, opened, stored
from tests.support.world import add, stock

PAGES: Final = 20
FEW: Final = 0.4
MOST: Final = 80
ONE_COMMIT: Final = 12
"""Pages, and more than any commit of these stories writes."""

PAGE_BYTES: Final = 4_096
FRAME_BYTES: Final = PAGE_BYTES + 24
COMMITS: Final = 400


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "PAGES", PAGES)
    monkeypatch.setattr(checkpoints, "FEW", FEW)
    monkeypatch.setattr(checkpoints, "MOST", MOST)


def wal_pages(path: Path) -> int:
    """Return for how many pages there is room in the WAL: the most it has had."""
    return path.with_name(f"{path.name}-wal").stat().st_size // FRAME_BYTES


class Scribe:
    """A writer whose WAL is looked after."""

    def __init__(self, database: Database) -> None:
        self.checkpoints = Checkpoints(database)
        self.path = database.path
        self.written = 0
        self._connection = database.creator()
        self._connection.execute("CREATE TABLE notes (note BLOB)")

    def __enter__(self) -> Self:
        self.checkpoints.watch(self._connection)
        return self

    def __exit__(self, *_: object) -> None:
        self.checkpoints.stop()
        self.checkpoints.shut_down()
        self._connection.close()

    def begin_anew(self) -> None:
        self.checkpoints.stop()
        self.checkpoints.watch(self._connection)

    def write(self, size: int = 5_000) -> None:
        """Commit *size* bytes, by default about two pages."""
        self._connection.execute("INSERT INTO notes VALUES (zeroblob(?))", [size])
        self.written += 1
        self.checkpoints.after_commit(self._connection)

    def stored(self) -> int:
        """Return what is in the main file alone, now that nothing is moved any more."""
        self.checkpoints.stop()
        connection = Database(self.path).immutable()
        try:
            count: int = connection.execute("SELECT count(*) FROM notes").get
        except apsw.SQLError:  # not even the table
            return 0
        else:
            return count
        finally:
            connection.close()


def test_pages_are_moved_and_the_wal_begins_anew(path: Path) -> None:
    with Scribe(Database(path)) as scribe:
        for _ in range(COMMITS):
            scribe.write()

        assert wal_pages(path) <= MOST + ONE_COMMIT
        assert scribe.stored() > COMMITS - MOST


def test_commits_of_many_pages_share_a_checkpoint(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves = Moves(monkeypatch)
    with Scribe(Database(path)) as scribe:
        for _ in range(checkpoints.COMMITS - 1):
            scribe.write(PAGES * PAGE_BYTES)
        assert not moves.begun.is_set()
        scribe.write()
        assert moves.begun.wait(10)


def test_a_commit_of_very_many_pages_is_checkpointed_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "MANY", MOST)
    moves = Moves(monkeypatch)
    with Scribe(Database(path)) as scribe:
        scribe.write(MOST * PAGE_BYTES)
        assert moves.begun.wait(10)


@pytest.mark.parametrize(("moved", "by_thread"), [(5, True), (15, False)])
async def test_the_writer_moves_what_remains_if_it_is_little(
    path: Path, monkeypatch: pytest.MonkeyPatch, moved: int, *, by_thread: bool
) -> None:
    moves = Moves(monkeypatch)
    with Scribe(Database(path)) as scribe:
        for _ in range(moved):
            scribe.write()
        with closing(Database(path).reader()) as reader, one_state(reader):
            reader.execute("SELECT count(*) FROM notes").fetchall()
            for _ in range(checkpoints.COMMITS - moved):
                scribe.write()
            await moves.ended()
        moves.begun.clear()
        scribe.write()
        assert scribe.stored() == scribe.written
        assert moves.begun.is_set() == by_thread


def test_the_writer_waits_where_the_wal_would_grow_beyond_its_bound(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves = Moves(monkeypatch)
    moves.hold()
    with Scribe(Database(path)) as scribe:

        def write() -> None:
            for _ in range(COMMITS):
                scribe.write()

        writing = threading.Thread(target=write)
        writing.start()
        assert moves.begun.wait(10)
        writing.join(0.3)

        assert writing.is_alive()
        assert PAGES // 2 < scribe.written <= MOST
        assert wal_pages(path) <= MOST + ONE_COMMIT
        moves.let_go()
        writing.join(10)
        assert scribe.written == COMMITS
        assert wal_pages(path) <= MOST + ONE_COMMIT


def test_after_a_long_read_the_wal_shrinks_to_its_bound_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = MOST * FRAME_BYTES
    monkeypatch.setattr(connection, "WAL_LIMIT_BYTES", bound)
    with Scribe(Database(path, Durability.RELAXED)) as scribe:
        with closing(Database(path).reader()) as reader, one_state(reader):
            reader.execute("SELECT count(*) FROM notes").fetchall()
            for _ in range(COMMITS):
                scribe.write()
            assert wal_pages(path) > 2 * MOST, "it was not read in"
        for _ in range(COMMITS):
            scribe.write()
        assert wal_pages(path) <= MOST + ONE_COMMIT


def test_a_reader_that_closes_last_does_not_checkpoint(path: Path) -> None:
    copy = path.with_name("copy.db")
    with Scribe(Database(path)) as scribe:
        for _ in range(3):
            scribe.write()
        for end in ("", "-wal"):  # as a process leaves them that was killed
            shutil.copy(f"{path}{end}", f"{copy}{end}")
    before = {end: Path(f"{copy}{end}").read_bytes() for end in ("", "-wal")}
    with closing(Database(copy).reader()) as reader:
        assert reader.execute("SELECT count(*) FROM notes").get == scribe.written
    assert {end: Path(f"{copy}{end}").read_bytes() for end in before} == before


@pytest.fixture
def faults() -> Iterator[Faults]:
    with faulty_file_system() as faults:
        yield faults


@pytest.mark.parametrize("call", ["file write", "file sync"])
def test_what_cannot_be_moved_fails_no_commit_and_is_told_until_the_file_is_opened_anew(
    path: Path, faults: Faults, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Scribe(Database(path, vfs=fault_vfs.NAME)) as scribe:
        faults.fail(1, apsw.IOError, only=call)
        for _ in range(COMMITS):
            scribe.write()

        for _ in range(2):
            with pytest.raises(StorageError):
                scribe.checkpoints.check()
        assert faults.failed == [call]
        assert len(caplog.records) == 1
        assert wal_pages(path) > COMMITS, "what may be lost stays in the WAL"

        scribe.begin_anew()
        scribe.checkpoints.check()
        for _ in range(COMMITS):
            scribe.write()
        assert scribe.stored() > 2 * COMMITS - MOST


async def test_a_busy_server_moves_pages_and_loses_nothing(path: Path) -> None:
    async with opened(path) as shop:
        for _ in range(20):
            adding = (add(1, stock(f"kettle-{n}", "lisbon")) for n in range(60))
            await asyncio.gather(*(shop.record(command) for command in adding))
        assert wal_pages(path) <= MOST + 20 * ONE_COMMIT
    checked(path)
    assert len(stored(path)) == 20 * 60
