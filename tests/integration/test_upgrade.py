"""A file of an earlier format is upgraded when it is opened; events, hashes and answers stay."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from inventory_grpc.application import failpoints
from inventory_grpc.application.ports import StorageError
from inventory_grpc.cli import app
from inventory_grpc.infrastructure import read_models
from inventory_grpc.infrastructure.log.ids import KIND_OF_KEY
from inventory_grpc.infrastructure.log.replay import LogInconsistent
from inventory_grpc.infrastructure.sqlite import opening, schema
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.high_water import mark_of
from inventory_grpc.infrastructure.sqlite.log_row import row_of_file
from inventory_grpc.infrastructure.sqlite.opening import InUse, prepare, rebuild_alone
from inventory_grpc.infrastructure.sqlite.schema import NotOurs, check_header
from tests.support.format_1 import KEPT, no_alerts, to_format_1, unpack
from tests.support.opened import change, checked, hash_of, opened, rows, stored, table_of
from tests.support.world import (
    KETTLES,
    NOON,
    PORTO_KETTLES,
    R1,
    R2,
    TOASTERS,
    add,
    commit,
    count,
    release,
    remove,
    reserve,
)

TABLES = ("streams", "subjects", "events", "requests", *read_models.TABLES)
NOT_IN_EVENTS = re.compile(r"--[^\n]*|[\s\"]+")


@pytest.fixture
def carts(path: Path) -> Path:
    unpack(KEPT, path)
    return path


async def _live(path: Path) -> None:
    """Leave a bit of everything that both formats keep."""
    async with opened(path) as shop:
        await shop.record(add(90), "delivery")
        await shop.record(count(40, TOASTERS, expected=0))
        await shop.record(add(9, PORTO_KETTLES))
        for number in range(20):
            await shop.record(reserve({KETTLES: 3, TOASTERS: 2}, f"cart-{number}"), f"r{number}")
            await shop.record(commit({KETTLES: number % 3 + 1}, f"cart-{number}"))
        await shop.record(reserve(2, R1))
        await shop.record(release(0, R1))
        await shop.record(release(0, R1), "nothing-to-release")
        await shop.record(remove(1))


UNITS_OF_LINE: Final = 4
"""The numbers of a line that all releases have stored."""


def _tables(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    tables = {table: table_of(path, table) for table in TABLES}
    return {**tables, "requests": [tuple(map(_answer, row)) for row in tables["requests"]]}


def _answer(value: object) -> object:
    """Return a stored answer without what earlier releases did not store of reservations."""
    if not (isinstance(value, str) and value.startswith('{"position"')):
        return value
    content = json.loads(value)
    for _, state in content["subjects"]:
        state.pop("channel", None)
        state["lines"] = [[key, units[:UNITS_OF_LINE]] for key, units in state["lines"]]
    return content


def _take_checksum(path: Path) -> None:
    """Take the checksum of the second page away."""
    data = bytearray(path.read_bytes())
    data[2 * 4096 - 8 : 2 * 4096] = bytes(8)
    path.write_bytes(data)


def _schema(path: Path) -> dict[str, Any]:
    """Return all that the file says of its tables and indexes, without layout and comments."""
    found: dict[str, Any] = {}
    for kind, name, table, sql in rows(path, "SELECT type, name, tbl_name, sql FROM sqlite_schema"):
        columns = rows(path, f"PRAGMA {'table' if kind == 'table' else 'index'}_xinfo({name})")
        found[name] = kind, table, NOT_IN_EVENTS.sub("", sql or ""), columns
    return found


@pytest.mark.parametrize(
    "kept",
    [KEPT, KEPT.with_name("format-1.db.gz"), KEPT.with_name("format-2.db.gz")],
    ids=lambda kept: kept.name,
)
async def test_events_hashes_and_positions_stay(path: Path, kept: Path) -> None:
    unpack(kept, path)
    log = "SELECT position, stream, version, ordinal, kind, event, hash FROM events"
    before, row = rows(path, log), row_of_file(path)
    async with opened(path):
        pass
    assert rows(path, log) == before
    after = row_of_file(path)
    assert (row, check_header(path)) == (after, schema.FORMAT)
    checked(path, silent=len(stored(path)))


async def test_the_tables_are_those_of_a_new_file(carts: Path) -> None:
    new = carts.with_name("new.db")
    async with opened(carts), opened(new) as shop:
        await shop.record(add(1))  # which keeps the time, for the first time
    assert _schema(carts) == _schema(new)


async def test_an_upgraded_file_holds_what_a_file_of_this_release_holds(
    path: Path,
) -> None:
    with no_alerts():
        await _live(path)
    expected, mark = _tables(path), mark_of(path)
    to_format_1(path)
    assert check_header(path) == 1
    async with opened(path) as shop:
        assert (await shop.record(release(0, R1), "nothing-to-release")).replayed
    assert _tables(path) == expected
    assert mark_of(path) == mark
    checked(path, silent=len(stored(path)))


async def test_requests_are_answered_as_before(carts: Path) -> None:
    async with opened(carts) as shop:
        nothing = await shop.record(release({}, R2), "nothing-to-release")
        payment = await shop.record(commit({KETTLES: 2}, R1), "payment-1")
    assert (nothing.replayed, nothing.position) == (True, 11)
    assert nothing.subjects
    assert nothing.subjects[0].state.value == "released"
    assert [stock.stock_id for stock in nothing.streams] == [PORTO_KETTLES]
    assert (payment.replayed, payment.streams[0].version) == (True, 4)


async def test_every_kind_of_key_has_a_number_of_its_own() -> None:
    from inventory_grpc.domain.registry import STREAMS, SUBJECTS  # noqa: PLC0415  beside its use

    assert set(KIND_OF_KEY) == {*STREAMS, *SUBJECTS}
    assert len(set(KIND_OF_KEY.values())) == len(KIND_OF_KEY)


async def test_rebuild_upgrades_as_well_and_says_so(
    carts: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = CliRunner().invoke(app, ["rebuild", "-d", str(carts)])
    assert result.exit_code == 0
    assert "earlier releases cannot open it again" in caplog.text
    assert check_header(carts) == schema.FORMAT
    checked(carts, silent=len(stored(carts)))


def test_the_header_says_so_also_where_somebody_else_has_the_file_open(carts: Path) -> None:
    with closing(Database(carts).reader()) as reader:
        reader.execute("SELECT count(*) FROM events").fetchall()
        assert rebuild_alone(Database(carts), lambda _done, _of: None) == 72
        assert check_header(carts) == schema.FORMAT


@pytest.mark.parametrize("command", ["verify", "events"])
def test_commands_that_read_the_log_refuse_a_file_of_format_1(carts: Path, command: str) -> None:
    before = hash_of(carts)
    result = CliRunner().invoke(app, [command, "-d", str(carts)])
    assert result.exit_code == 1
    assert f"has format 1, this program reads {schema.FORMAT}" in result.stderr
    assert "`inventory-grpc rebuild`" in result.stderr
    assert hash_of(carts) == before


async def test_a_backup_of_format_1_is_one_of_format_1_and_can_be_restored(carts: Path) -> None:
    before = stored(carts)
    copy, target = carts.with_name("copy.db"), carts.with_name("restored.db")
    assert CliRunner().invoke(app, ["backup", "-d", str(carts), str(copy)]).exit_code == 0
    assert CliRunner().invoke(app, ["restore", "-d", str(target), str(copy)]).exit_code == 0
    assert check_header(target) == check_header(copy) == 1
    assert CliRunner().invoke(app, ["clock", "-d", str(target)]).exit_code == 0
    async with opened(target):
        pass
    assert stored(target) == before
    checked(target, silent=len(stored(target)))


async def test_repair_of_a_file_of_format_1_leaves_one_of_this_format(carts: Path) -> None:
    before = stored(carts)
    _take_checksum(carts)
    result = CliRunner().invoke(app, ["repair", "-d", str(carts)])
    assert (result.exit_code, "1 pages" in result.stderr) == (0, True), result.stderr
    assert (check_header(carts), stored(carts)) == (schema.FORMAT, before)
    checked(carts, silent=len(stored(carts)))


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE events SET version = 99 WHERE position = 6", "event 6"),
        ("UPDATE events SET version = 1000 - version WHERE stream = 1", "event 1:"),
    ],
    ids=["a gap", "versions that fall"],
)
def test_a_log_that_contradicts_itself_is_not_upgraded(
    carts: Path, statement: str, named: str
) -> None:
    change(carts, statement)
    before = hash_of(carts)
    with pytest.raises(LogInconsistent, match=named), prepare(Database(carts), NOON):
        pass
    assert hash_of(carts) == before


def test_a_newer_format_is_refused_also_where_only_the_wal_says_so(carts: Path) -> None:
    with closing(Database(carts).reader()) as reader:
        reader.execute("BEGIN; SELECT count(*) FROM events")  # so that the WAL stays
        with closing(Database(carts).writer()) as connection:
            connection.wal_autocheckpoint(0)
            connection.pragma("user_version", schema.FORMAT + 1)
        assert check_header(carts) == 1
        before = hash_of(carts)
        with pytest.raises(NotOurs, match="newer inventory-grpc"), prepare(Database(carts), NOON):
            pass
        assert hash_of(carts) == before


@pytest.fixture
def armed() -> Iterator[None]:
    yield
    failpoints.arm("")


@pytest.mark.usefixtures("armed")
def test_an_upgrade_that_fails_leaves_the_file_as_it_was(carts: Path) -> None:
    before = {table: table_of(carts, table) for table in ("streams", "events", "requests")}
    failpoints.arm("rebuild_mid=error:full")
    with pytest.raises(StorageError), prepare(Database(carts), NOON):
        pass
    assert check_header(carts) == 1
    assert {table: table_of(carts, table) for table in before} == before
    failpoints.arm("")
    with prepare(Database(carts), NOON):
        pass
    checked(carts, silent=len(stored(carts)))


def test_a_start_waits_as_long_as_another_process_upgrades(
    carts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "PATIENCE_SECONDS", 0.05)
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with opening.locked(Database(carts), exclusive=True):
            held.set()
            over.wait(0.5)

    holding = threading.Thread(target=hold)
    holding.start()
    held.wait()
    with prepare(Database(carts), NOON):
        pass
    holding.join()
    assert check_header(carts) == schema.FORMAT
    with (
        opening.locked(Database(carts), exclusive=True),
        pytest.raises(InUse),
        prepare(Database(carts), NOON),
    ):
        pass
