"""`verify` finds every difference between the file and its log, and names it in one line."""

import asyncio
import random
import re
import shutil
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Final

import apsw
import pytest
from typer.testing import CliRunner

from inventory_grpc.cli import app
from inventory_grpc.infrastructure import read_models
from inventory_grpc.infrastructure.sqlite import replay
from inventory_grpc.infrastructure.sqlite.backup import back_up
from inventory_grpc.infrastructure.sqlite.companions import companion
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.read_only_files import readable
from inventory_grpc.infrastructure.sqlite.transaction import SNAPSHOT_EVERY
from inventory_grpc.infrastructure.sqlite.verify import verify
from tests.support.opened import change, checked, opened, rows, stored
from tests.support.world import (
    DAMAGED,
    KETTLES,
    R2,
    TOASTERS,
    add,
    commit,
    move,
    release,
    remove,
    reserve,
)

Damage = Callable[[Path], None]


async def _live(path: Path) -> None:
    """Leave a bit of everything, long enough for snapshots."""
    async with opened(path) as shop:
        for number in range(SNAPSHOT_EVERY // 2 + 1):
            await shop.answers(shop.ask(add(2), f"add-{number}"), shop.ask(remove(1)))
        await shop.record(add(9, TOASTERS))
        await shop.record(reserve({KETTLES: 3, TOASTERS: 2}), "reserve")
        await shop.record(commit({KETTLES: 1}))
        await shop.record(reserve({KETTLES: 1}, R2))
        await shop.record(release(0, R2))
        await shop.record(release(0, R2), "nothing-to-do")
        await shop.record(move(3, TOASTERS, into=DAMAGED))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a sound file, once."""
    path = tmp_path_factory.mktemp("original") / "inventory.db"
    asyncio.run(_live(path))
    return path


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    """Copy it, to be damaged."""
    return Path(shutil.copy(original, tmp_path))


def _told(path: Path) -> tuple[int, list[str], str]:
    """Return what the command line says: the exit code, its lines, and what is for people."""
    result = CliRunner().invoke(app, ["verify", "--database", str(path)])
    return result.exit_code, result.stdout.splitlines(), result.stderr


def test_a_cart_may_go_on_on_the_next_page(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for page in (1, 2, 3, 504):
        monkeypatch.setattr(replay, "PAGE", page)
        assert list(verify(Database(path), lambda _: None)) == []


def _flip(path: Path, position: int, byte: int) -> None:
    event = bytearray(stored(path)[position - 1])
    event[byte] ^= 1
    change(path, "UPDATE events SET event = ? WHERE position = ?", bytes(event), position)


def _sql(statement: str) -> Damage:
    return lambda path: change(path, statement)


def _a_snapshot_of_a_reservation(path: Path) -> None:
    change(path, "INSERT INTO subject_snapshots SELECT subject, 505, '{}' FROM subjects")


DAMAGES: Final[dict[str, tuple[Damage, str]]] = {
    "a flipped bit in an event": (
        lambda path: _flip(path, 400, -1),
        r"event 400: is missing, or breaks the hash chain",
    ),
    "an event that is gone": (
        _sql("DELETE FROM events WHERE position = 300"),
        r"event 300: is missing, or breaks the hash chain",
    ),
    "an event that is kept under another version": (
        _sql("UPDATE events SET version = 100000 WHERE position = 77"),
        r"event 77: version, ordinal, kind are \(77, 0, .*\), kept as \(100000, 0, .*\)",
    ),
    "an event that is kept with another subject": (
        _sql("UPDATE events SET subject = 1 WHERE position = 506"),
        r"event 506: is about \[2, 'r1'\], kept under 1, None of \[None, None\]",
    ),
    "an event that is kept with a second subject": (
        _sql("UPDATE events SET second_subject = 504 WHERE position = 506"),
        r"event 506: is about \[2, 'r1'\], kept under 504, 504 of .*",
    ),
    "a stream of another kind": (
        _sql("UPDATE streams SET kind = 3 WHERE stream = 503"),
        r"event 503: is of toaster in lisbon, kept in stream 503 of \[3, .*",
    ),
    "a stream that no event begins": (
        _sql("INSERT INTO streams VALUES (77, 1, NULL, 'pan', 'faro')"),
        r"streams: no event begins \(77, 1, None, 'pan', 'faro', 'pan@faro'\)",
    ),
    "a subject with another name": (
        _sql("UPDATE subjects SET name = 'r9' WHERE name = 'r1'"),
        r"event 504: is about \[2, 'r1'\], kept under 504, None of \[2, 'r9'\]",
    ),
    "a subject with another number": (
        _sql("UPDATE subjects SET subject = 503 WHERE name = 'r1'"),
        r"event 505: is about \[2, 'r1'\], kept under 504, None of \[None, None\]",
    ),
    "a subject that no event begins": (
        _sql("INSERT INTO subjects VALUES (77, 2, 'r9')"),
        r"subjects: no event begins \(77, 2, 'r9'\)",
    ),
    "a stream with another name": (
        _sql("UPDATE streams SET store_id = 'porto' WHERE stream = 503"),
        r"event 503: is of toaster in lisbon, kept in stream 503 of .*porto.*",
    ),
    "a wrong level": (
        _sql("UPDATE stocks SET on_hand = on_hand + 1 WHERE stream = 1"),
        r"stocks: unexpected row \(1, 508, 251, .*",
    ),
    "a wrong number of units in a state": (
        _sql("""UPDATE stocks SET particulars = '[[["damaged",2]]]' WHERE stream = 503"""),
        r"""stocks: missing row \(503, .*'\[\[\["damaged",3\]\],.*\]'\)""",
    ),
    "units in a state that no event moved there": (
        _sql("""UPDATE stocks SET particulars = '[[["damaged",2]]]' WHERE stream = 1"""),
        r"stocks: missing row \(1, .*None\)",
    ),
    "a stock that is missing": (
        _sql("DELETE FROM stocks WHERE stream = 503"),
        r"stocks: missing row \(503, 509, 9, 2, 3, .*",
    ),
    "a stock with the position of an earlier event": (
        _sql("UPDATE stocks SET position = 502 WHERE stream = 1"),
        r"stocks: missing row \(1, 508, .*",
    ),
    "a link that skips an event": (
        _sql("UPDATE events SET previous = 75 WHERE position = 77"),
        r"event 77: is not the next one of kettle in lisbon",
    ),
    "a link to another stock": (
        _sql("UPDATE events SET previous = 503, version = 2 WHERE position = 508"),
        r"event 508: is not the next one of kettle in lisbon",
    ),
    "a first event with a link": (
        _sql("UPDATE events SET previous = 1 WHERE position = 503"),
        r"event 503: is not the next one of toaster in lisbon",
    ),
    "events without links": (
        _sql("UPDATE events SET previous = NULL WHERE position BETWEEN 70 AND 90"),
        r"event 77: is not the next one of kettle in lisbon",
    ),
    "a reservation line that is missing": (
        _sql("DELETE FROM reservation_lines WHERE reservation = 504 AND stream = 503"),
        r"reservation_lines: missing row \(504, 503, 2, 2, 0, 0, 0, .*",
    ),
    "a reservation that never was": (
        _sql("INSERT INTO reservations VALUES (9, 'ana', NULL, '', 'active', 1, NULL, NULL)"),
        r"reservations: unexpected row \(9, 'ana', .*",
    ),
    "a wrong snapshot of a reservation": (
        _a_snapshot_of_a_reservation,
        r"subject_snapshots: 504 differs from the log",
    ),
    "a request with other events": (
        _sql("UPDATE requests SET position = 2 WHERE request_id = 'add-7'"),
        r"requests: add-7 is not the request of event 2",
    ),
    "a request with events that are not there": (
        _sql("UPDATE requests SET position = 99999 WHERE request_id = 'reserve'"),
        r"requests: reserve is not the request of event 99999",
    ),
}


def test_a_sound_file_has_no_differences(path: Path) -> None:
    code, lines, summary = _told(path)
    assert (code, lines) == (0, [])
    assert "0 differences in 509 events" in summary


def test_commands_that_read_leave_no_file_beside_a_backup(path: Path, tmp_path: Path) -> None:
    (folder := tmp_path / "backups").mkdir()
    copy = back_up(Database(path), folder / "monday.db", lambda *_: None).path
    for command in ("verify", "events"):
        assert CliRunner().invoke(app, [command, "-d", str(copy)]).exit_code == 0
    back_up(Database(copy), tmp_path / "again.db", lambda *_: None)
    assert list(folder.iterdir()) == [copy]


async def test_a_server_that_starts_while_its_file_is_read_keeps_its_wal(path: Path) -> None:
    async with AsyncExitStack() as server:
        with readable(Database(path)) as database, closing(database.reader()) as reader:
            reader.execute("SELECT count(*) FROM events").fetchall()
            shop = await server.enter_async_context(opened(path))
            await shop.record(add(1))
        assert companion(path, "-wal").stat().st_size
        added = await shop.record(add(1))
    assert checked(path).position == added.position


@pytest.mark.parametrize("what", DAMAGES)
def test_damage_is_found_and_named(path: Path, what: str) -> None:
    damage, expected = DAMAGES[what]
    damage(path)
    code, lines, summary = _told(path)
    assert code == 1
    assert any(re.fullmatch(expected, line) for line in lines), lines
    assert f"{len(lines)} difference" in summary
    is_of_tables = {line.partition(":")[0] for line in lines} <= set(read_models.TABLES)
    assert ("run `inventory-grpc rebuild`" in summary) == is_of_tables
    assert ("restore a backup" in summary) == (not is_of_tables)


def test_no_flipped_bit_in_the_body_of_an_event_goes_unnoticed(path: Path) -> None:
    chance = random.Random(11)
    for position in (250, 503, 504, 506):
        event = stored(path)[position - 1]
        for byte in chance.sample(range(len(event)), 8):
            _flip(path, position, byte)
            assert list(verify(Database(path), lambda _: None)), (position, byte)
            _flip(path, position, byte)
    checked(path)


def test_no_flipped_bit_on_the_disk_goes_unnoticed(path: Path) -> None:
    pages = rows(path, "SELECT pageno FROM dbstat WHERE name = 'events' AND pagetype = 'leaf'")
    whole, chance = path.read_bytes(), random.Random(5)
    for (page,) in chance.sample(pages, 8):
        damaged = bytearray(whole)
        damaged[(page - 1) * 4096 + chance.randrange(4096)] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        code, _, summary = _told(path)
        assert code == 1
        assert "error:" in summary
    path.write_bytes(whole)
    checked(path)


def test_commands_across_the_pages_in_which_the_log_is_read_are_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "PAGE", 504)
    checked(path)
    with closing(Database(path).writer()) as connection:
        replay.rebuild(connection, 509, lambda _: None)
    checked(path)


def test_what_is_no_database_of_ours_is_said_in_one_line(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("kettles", encoding="utf-8")
    for path in (other, tmp_path / "missing.db"):
        code, lines, summary = _told(path)
        assert (code, lines) == (1, [])
        assert "error:" in summary
        assert "Traceback" not in summary
    assert not (tmp_path / "missing.db").exists()


def test_sqlite_says_nothing_is_wrong_where_only_the_content_is(path: Path) -> None:
    _flip(path, 400, -1)
    with closing(apsw.Connection(str(path))) as connection:
        assert connection.pragma("integrity_check") == "ok"
