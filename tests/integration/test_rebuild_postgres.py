"""`rebuild` on PostgreSQL makes the tables anew while servers write; `events` prints its log."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from typer.testing import CliRunner

from inventory_grpc.application import failpoints
from inventory_grpc.application.ports import StorageError
from inventory_grpc.choices import Failover
from inventory_grpc.cli import app
from inventory_grpc.infrastructure.postgres import rebuilding, replay
from inventory_grpc.infrastructure.postgres.rebuilding import rebuild
from inventory_grpc.infrastructure.postgres.wire import Wire
from tests.support import postgres
from tests.support.opened import checked, opened, rows
from tests.support.postgres_server import own_folder, own_server, url_of
from tests.support.world import KETTLES, TOASTERS, add, commit, release, remove, reserve


async def _live(url: str) -> None:
    async with opened(url) as shop:
        for number in range(6):
            await shop.answers(shop.ask(add(2), f"add-{number}"), shop.ask(remove(1)))
        await shop.record(add(9, TOASTERS))
        await shop.record(reserve({KETTLES: 3, TOASTERS: 2}), "reserve")
        await shop.record(commit({KETTLES: 1}))
        await shop.record(release(0))


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.empty_schema() as url:
        asyncio.run(_live(url))
        yield url


def _execute(url: str, *statements: str) -> None:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _schemas(url: str) -> list[str]:
    [(own,)] = rows(url, "SELECT current_schema()")
    found = rows(url, "SELECT nspname FROM pg_namespace ORDER BY 1")
    return [name for (name,) in found if name.startswith(own)]


def _told(command: str, url: str, *more: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [command, "--database", url, *more])
    return result.exit_code, result.stdout, result.stderr


def test_tables_that_are_wrong_or_older_are_made_anew(url: str) -> None:
    before = rows(url, "SELECT * FROM reservation_lines ORDER BY 1, 2")
    _execute(
        url,
        "UPDATE stocks SET on_hand = on_hand + 1",
        "DELETE FROM reservation_lines",
    )
    assert "run `inventory-grpc rebuild`" in _told("verify", url)[2]
    _execute(url, "UPDATE log SET read_models = read_models - 1")
    assert "run `inventory-grpc rebuild`" in _told("verify", url)[2]
    code, _, said = _told("rebuild", url)
    assert (code, said.strip()) == (0, "tables rebuilt from 18 events")
    checked(url)
    assert rows(url, "SELECT * FROM reservation_lines ORDER BY 1, 2") == before
    assert len(_schemas(url)) == 1


def test_the_new_tables_have_the_rights_and_indexes_of_the_old_ones(url: str) -> None:
    _execute(url, "GRANT SELECT ON stocks TO pg_monitor", "GRANT INSERT ON stores TO PUBLIC")
    rights = (
        "SELECT relname::text, relacl::text FROM pg_class "
        "WHERE relnamespace = current_schema()::regnamespace AND relacl IS NOT NULL ORDER BY 1"
    )
    indexes = (
        "SELECT indexname::text, indexdef FROM pg_indexes "
        "WHERE schemaname = current_schema() ORDER BY 1"
    )
    before = rows(url, rights), rows(url, indexes)
    rebuild(url, lambda *_: None)
    assert (rows(url, rights), rows(url, indexes)) == before


async def test_servers_write_and_read_meanwhile(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "PAGE", 4)
    monkeypatch.setattr(rebuilding, "PAGE", 4)
    async with opened(url) as shop:
        loop = asyncio.get_running_loop()
        run, written = Wire.run, 0

        def beside_a_writer(self: Wire, *arguments: object) -> object:
            nonlocal written
            of_rebuild = "asyncio_" in threading.current_thread().name
            if of_rebuild and not self.in_transaction and written < 40:
                written += 1
                for command in (add(2), reserve(1, f"beside-{written}")):
                    asked = shop.record(command)
                    asyncio.run_coroutine_threadsafe(asked, loop).result()
            return run(self, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(Wire, "run", beside_a_writer)
        await asyncio.to_thread(rebuild, url, lambda *_: None)
        monkeypatch.undo()
        assert written == 40
        on_hand = (await shop.levels()).on_hand
        await shop.record(add(1))
        assert (await shop.levels()).on_hand == on_hand + 1
    checked(url)


def test_a_rebuild_that_failed_has_changed_nothing_and_is_repeated(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(failpoints, "_armed", {})
        failpoints.arm("rebuild_mid=error:broken")
        code, _, said = _told("rebuild", url)
        failpoints.arm("")
    assert code == 1
    assert "storage failed" in said
    checked(url)
    _execute(url, f"CREATE SCHEMA {_schemas(url)[0]}_rebuild")  # as one that was killed has left
    assert _told("rebuild", url)[0] == 0
    checked(url)


@pytest.mark.parametrize("last_page", [False, True], ids=["at first", "at last"])
async def test_after_a_failover_meanwhile_the_tables_are_as_they_were_and_it_is_repeated(
    monkeypatch: pytest.MonkeyPatch, *, last_page: bool
) -> None:
    monkeypatch.setattr(replay, "PAGE", 4)
    monkeypatch.setattr(rebuilding, "PAGE", 4)
    with own_server() as primary, own_folder() as folder:
        await _live(primary.url)
        standby = primary.standby(folder)
        url = url_of(primary, standby)

        def fail_over(position: int, head: int) -> None:
            if position == head or not last_page:
                standby.wait_for("SELECT count(*) = 1 FROM pg_namespace WHERE nspname ~ '_rebuild'")
                primary.kill()
                standby.promote()

        with pytest.raises(StorageError):
            await asyncio.to_thread(rebuild, url, fail_over)
        checked(url)
        assert len(_schemas(url)) == 2, "the new tables are left beside the old ones"
        assert await asyncio.to_thread(rebuild, url, lambda *_: None) == 18
        assert len(_schemas(url)) == 1
        async with opened(url, failover=Failover.TRUSTED) as shop:
            await shop.record(add(1))
        checked(url)


def test_one_at_a_time(url: str) -> None:
    with closing(psycopg.connect(url)) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext(current_schema()))")
        code, _, said = _told("rebuild", url)
    assert code == 1
    assert "another process is rebuilding" in said


def test_from_a_log_that_contradicts_itself_nothing_is_made(url: str) -> None:
    _execute(url, "UPDATE events SET hash = event WHERE position = 2")
    before = rows(url, "SELECT * FROM stocks ORDER BY 1")
    code, _, said = _told("rebuild", url)
    assert code == 1
    assert "event 2: is missing, or breaks the hash chain" in said
    assert rows(url, "SELECT * FROM stocks ORDER BY 1") == before


def test_what_a_role_may_not_do_is_said_in_one_line(url: str) -> None:
    [own] = _schemas(url)
    _execute(
        url,
        "CREATE ROLE ben LOGIN",
        f"GRANT USAGE ON SCHEMA {own} TO ben",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {own} TO ben",
    )
    try:
        as_ben = url.replace("postgresql://postgres@", "postgresql://ben@")
        code, _, said = _told("rebuild", as_ben)
    finally:
        _execute(url, "DROP OWNED BY ben", "DROP ROLE ben")
    assert code == 1
    assert said.startswith("error: to rebuild needs the owner of the tables, which is postgres")
    assert len(said.splitlines()) == 1


def test_events_are_printed_as_those_of_a_file(url: str) -> None:
    code, said, _ = _told("events", url)
    assert code == 0
    events = [json.loads(line) for line in said.splitlines()]
    assert [int(event["position"]) for event in events] == [*range(1, 19)]
    code, said, _ = _told("events", url, "--after", "12", "--product", "toaster")
    assert [json.loads(line)["product_id"] for line in said.splitlines()] == ["toaster"] * 3
    assert "beyond the log" in _told("events", url, "--after", "99")[2]


@pytest.mark.parametrize("command", ["events", "verify", "rebuild"])
def test_where_there_is_no_log_that_is_said_and_none_is_made(command: str) -> None:
    with postgres.empty_schema() as url:
        code, _, said = _told(command, url)
        assert code == 1
        assert "there is no inventory database at" in said
        assert not rows(url, "SELECT 1 FROM pg_tables WHERE schemaname = current_schema()")
