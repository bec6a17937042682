"""`migrate` on PostgreSQL: tables are changed by name, while servers run, killed at any moment."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Final

import psycopg
import pytest
from grpc import StatusCode
from typer.testing import CliRunner

from inventory_grpc.application.store import Unusable
from inventory_grpc.cli import app
from inventory_grpc.infrastructure.postgres import catalogue, lock_attempts, migrating, migrations
from inventory_grpc.infrastructure.postgres.migrations import MIGRATIONS, Migration
from tests.support import postgres
from tests.support.caller import adding, calling, refused
from tests.support.opened import checked, opened, rows
from tests.support.server_process import command_line, server_process
from tests.support.world import KETTLES, PORTO_KETTLES, TOASTERS, add, reserve, stock

OF_TESTS: Final = Migration(
    "labels",
    expand="""
ALTER TABLE streams ADD COLUMN IF NOT EXISTS label text;
CREATE TABLE IF NOT EXISTS labels (
  label text PRIMARY KEY
)
""",
    indexes=("CREATE INDEX streams_by_label ON streams (label)",),
    move="UPDATE streams SET label = name WHERE stream > %(after)s AND stream <= %(upto)s",
    contract="DROP INDEX IF EXISTS streams_by_store",
    format=3,
    rights={"labels": "SELECT"},
)
"""A change of all parts: a column and a table, an index, rows that are filled, and an end."""

PARTS: Final = 7
"""Moments in it: what is expanded, one index, three pages of rows, the last rows, and the end."""


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.empty_schema() as url:
        asyncio.run(_live(url))
        yield url


async def _live(url: str) -> None:
    async with opened(url) as shop:
        await shop.record(add(9, KETTLES))
        await shop.record(add(9, TOASTERS))
        await shop.record(add(9, PORTO_KETTLES))
        await shop.record(reserve({KETTLES: 3, TOASTERS: 2}))


def _be_newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a release that has one migration more, and little patience."""
    monkeypatch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, OF_TESTS))
    monkeypatch.setattr(migrating, "PAGE", 2)
    monkeypatch.setattr(migrating, "_SETTINGS", {"lock_timeout": "100ms"})
    monkeypatch.setattr(lock_attempts, "PAUSE_SECONDS", 0.05)


def _execute(url: str, *statements: str) -> None:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _told(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["migrate", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def _migrate(url: str, *, finish: bool = False) -> list[str]:
    said: list[str] = []
    migrating.migrate(url, said.append, finish=finish, service_role=None)
    return said


def _found(url: str) -> catalogue.Found:
    with closing(psycopg.connect(url)) as connection:
        return catalogue.found(connection)


def _open(url: str) -> None:
    async def open_once() -> None:
        async with opened(url):
            pass

    asyncio.run(open_once())


def test_the_definitions_name_each_object_that_they_make(url: str) -> None:
    named = migrations.expected(2)
    there = _found(url)
    assert named <= there.valid
    assert {item for item in there.valid - named if item.kind not in {"index", "key"}} == set()
    left = {item.name for item in there.valid - named if item.kind == "index"}
    assert all(name.endswith(("_pkey", "_key")) or "_key" in name for name in left), left
    assert {item.kind for item in named} == {"table", "column", "key", "index"}


@pytest.mark.parametrize(
    ("change", "lacking", "remedy"),
    [
        ("DROP TABLE migrations", "table migrations", "run `inventory-grpc migrate`"),
        ("ALTER TABLE migrations DROP moved", "column migrations.moved int8", "from a backup"),
        ("DROP TABLE stocks", "table stocks", "run `inventory-grpc rebuild`"),
        ("ALTER TABLE stocks DROP low_stock", "column stocks.low_stock int8", "grpc rebuild`"),
        (
            "ALTER TABLE stocks ALTER on_hand TYPE numeric",
            "column stocks.on_hand int8",
            "run `inventory-grpc rebuild`",
        ),
        ("ALTER TABLE events DROP alerts", "column events.alerts int8", "from a backup"),
        (
            "ALTER TABLE events DROP CONSTRAINT events_stream_version_position_key",
            "unique key events (stream, version)",
            "restore the database from a backup of PostgreSQL",
        ),
    ],
)
def test_an_object_that_is_lacking_is_named_at_opening_with_what_to_do(
    url: str, change: str, lacking: str, remedy: str
) -> None:
    _execute(url, change)
    with pytest.raises(Unusable) as refused:
        _open(url)
    assert f"the log lacks {lacking}" in str(refused.value)
    assert remedy in str(refused.value)
    if "backup" in remedy:
        assert "no migration makes that" in _told(url)[2]
        return
    command = ["rebuild", "-d", url] if "rebuild" in remedy else ["migrate", url]
    assert CliRunner().invoke(app, command).exit_code == 0
    _open(url)
    checked(url)


@pytest.mark.parametrize(
    "change",
    [
        "DROP INDEX events_of_subject",
        "DROP INDEX lines_amended",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'events_of_subject'::regclass",
    ],
)
def test_an_index_that_is_missing_or_invalid_is_told_and_made_beside_servers(
    url: str, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    _execute(url, change)
    _open(url)
    name = "lines_amended" if "lines" in change else "events_of_subject"
    invalid = " (INVALID)" if "indisvalid" in change else ""
    table = "reservation_lines" if "lines" in change else "events"
    what = f"index {name} on {table}{invalid}"
    assert f"the log lacks {what}" in caplog.text
    assert what in _told("--dry-run", url)[1]
    assert f"{what}: made" in _migrate(url)
    assert _told("--dry-run", url)[1] == ""
    caplog.clear()
    _open(url)
    assert "lacks" not in caplog.text


def test_an_index_whose_making_was_killed_is_found_and_made_again(url: str) -> None:
    _execute(url, "DROP INDEX streams_by_store")
    with closing(psycopg.connect(url)) as busy:
        busy.execute("UPDATE streams SET kind = kind")  # which the index has to wait for
        with closing(psycopg.connect(url, autocommit=True)) as maker:
            maker.execute("SET lock_timeout = '100ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                maker.execute(
                    "CREATE INDEX CONCURRENTLY streams_by_store ON streams (store_id, product_id)"
                )
    assert "index streams_by_store on streams (INVALID): made" in _migrate(url)
    assert not _found(url).invalid


async def test_killed_at_any_part_it_is_run_again_while_a_server_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed_at = 0
    while True:
        with postgres.empty_schema() as url, monkeypatch.context() as patched:
            await _live(url)
            async with opened(url) as shop:
                _be_newer(patched)
                was_killed = await _migrate_killed(url, patched, killed_at)
                assert rows(url, "SELECT format FROM log") == [(2,)] or not was_killed
                await shop.record(add(1, KETTLES))
                await asyncio.to_thread(_migrate, url, finish=True)
                await shop.record(add(1, TOASTERS))
            assert rows(url, "SELECT format FROM log") == [(OF_TESTS.format,)]
            assert not rows(url, "SELECT 1 FROM streams WHERE label IS DISTINCT FROM name")
            assert _told("--dry-run", url)[:2] == (0, "")
            async with opened(url) as shop:
                await shop.record(add(1, KETTLES))
            patched.undo()
            with pytest.raises(Unusable, match=r"has format 3 .* use a newer inventory-grpc"):
                async with opened(url):
                    pass
        if not was_killed:
            break
        killed_at += 1
    assert killed_at == PARTS


async def _migrate_killed(url: str, patched: pytest.MonkeyPatch, at: int) -> bool:
    """Return whether there was a part with this number, at which it was killed."""
    parts = count()

    def reach(_: str) -> None:
        if next(parts) == at:
            raise _Killed

    with patched.context() as armed:
        armed.setattr(migrating, "reach", reach)
        try:
            await asyncio.to_thread(_migrate, url, finish=True)
        except _Killed:
            return True
    return False


class _Killed(Exception):
    pass


async def test_until_it_is_finished_the_release_before_goes_on_and_then_writes_nothing(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server_process(url, tmp_path / "log") as before:
        async with calling(await before.address()) as caller:
            await caller.commands.AddStock(adding(1))
            _be_newer(monkeypatch)
            with pytest.raises(Unusable, match=r"lacks column streams.label text, table labels"):
                async with opened(url):
                    pass
            await asyncio.to_thread(_migrate, url)
            assert "labels: `--finish` raises the format to 3" in _told("--dry-run", url)[1]
            async with opened(url) as newer:
                await newer.record(add(1, KETTLES))
                await caller.commands.AddStock(adding(1))
                await asyncio.to_thread(_migrate, url, finish=True)
                head = rows(url, "SELECT max(position) FROM events")
                refusal = await refused(caller.commands.AddStock(adding(1)))
                assert refusal.code is StatusCode.UNAVAILABLE
                assert rows(url, "SELECT max(position) FROM events") == head
                await newer.record(add(1, KETTLES))
        told = (tmp_path / "log").read_text("utf-8")
        assert "the log has format 3 now, and this program has 2: use a newer" in told
    checked(url)


async def test_what_is_recorded_before_the_end_is_moved_under_the_lock(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(url) as shop:
        _be_newer(monkeypatch)
        loop, recorded = asyncio.get_running_loop(), 0

        def hear(what: str) -> None:
            nonlocal recorded
            if "moved up to" in what:
                asked = shop.record(add(1, stock("kettle", "faro")))
                recorded = asyncio.run_coroutine_threadsafe(asked, loop).result().position

        await asyncio.to_thread(migrating.migrate, url, hear, finish=True, service_role=None)
        assert recorded
    assert rows(url, f"SELECT label FROM streams WHERE stream = {recorded}") == [("kettle@faro",)]  # noqa: S608  a number


def test_a_lock_that_is_held_is_waited_for_and_told(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _be_newer(monkeypatch)
    said: list[str] = []
    with closing(psycopg.connect(url)) as busy:
        busy.execute("SELECT 1 FROM streams")

        def hear(what: str) -> None:
            said.append(what)
            if len(said) == 3:
                busy.rollback()

        migrating.migrate(url, hear, finish=False, service_role=None)
    waiting = "labels: waiting for a lock (canceling statement due to lock timeout"
    assert [what.startswith(waiting) for what in said[:4]] == [True] * 3 + [False]
    assert "labels: expanded" in said


def test_a_lock_that_is_not_given_ends_it_after_some_attempts(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _be_newer(monkeypatch)
    monkeypatch.setattr(lock_attempts, "ATTEMPTS", 3)
    with closing(psycopg.connect(url)) as busy:
        busy.execute("SELECT 1 FROM streams")
        code, _, said = _told(url)
    assert code == 1
    assert said.count("trying again") == 2
    assert "after 3 attempts: pg_locks and pg_stat_activity show who holds it" in said
    assert _told(url)[0] == 0


def test_two_do_not_migrate_at_the_same_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _be_newer(monkeypatch)
    others = list[list[str]]()

    def reach(_: str) -> None:
        monkeypatch.setattr(migrating, "reach", lambda _: None)
        monkeypatch.setattr(lock_attempts, "ATTEMPTS", 2)
        with pytest.raises(Unusable, match="another process is migrating this log"):
            others.append(_migrate(url))
        monkeypatch.setattr(lock_attempts, "ATTEMPTS", 30)

    monkeypatch.setattr(migrating, "reach", reach)
    assert "labels: expanded" in _migrate(url)
    assert not others


def test_several_servers_make_the_tables_once() -> None:
    with postgres.empty_schema() as url:
        together = threading.Barrier(4)

        def start() -> None:
            together.wait()
            _open(url)

        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(start) for _ in range(4)]:
                done.result()
        assert rows(url, "SELECT count(*) FROM log") == [(1,)]


def test_the_tables_are_made_with_all_migrations_done(monkeypatch: pytest.MonkeyPatch) -> None:
    _be_newer(monkeypatch)
    with postgres.empty_schema() as url:
        assert _told("--dry-run", url)[1] == "there are no tables\n"
        code, _, said = _told(url)
        assert (code, said) == (0, "the tables are those of this release")
        assert _told("--dry-run", url)[:2] == (0, "")
        assert rows(url, "SELECT format FROM log") == [(3,)]
        assert not {one for one in _found(url).valid if one.name == "streams_by_store"}
        _open(url)


def test_without_arguments_what_is_left_is_shown_and_nothing_is_changed(url: str) -> None:
    _execute(url, "DROP TABLE migrations")
    done = command_line("migrate", environment={"INVENTORY_DATABASE": url})
    assert (done.returncode, done.stdout) == (0, "lacks table migrations\n")
    assert "table migrations" in str(_told("--dry-run", url))
    assert _told(url)[0] == 0
    done = command_line("migrate", environment={"INVENTORY_DATABASE": url})
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing is left to do" in done.stderr


def test_a_file_is_not_migrated(tmp_path: Path) -> None:
    code, _, said = _told(str(tmp_path / "shop.db"))
    assert code == 1
    assert "is a file, which servers upgrade when they open it" in said
    assert not [*tmp_path.iterdir()]


def test_a_log_of_a_newer_release_is_left_as_it_is(url: str) -> None:
    _execute(url, "UPDATE log SET format = 9")
    for arguments in ([url], ["--dry-run", url]):
        code, _, said = _told(*arguments)
        assert code == 1
        assert "the log has format 9, and this program has 2: use a newer inventory-grpc" in said
