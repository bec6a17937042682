"""The settings that PostgreSQL has, and those that it shares with a file."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Never

import pytest

from inventory_grpc.application.store import Unusable
from inventory_grpc.choices import Notify, Prepare
from inventory_grpc.infrastructure.postgres import head_poll as of_postgres
from inventory_grpc.infrastructure.postgres import notices
from inventory_grpc.infrastructure.postgres.server import Server
from inventory_grpc.infrastructure.sqlite import head_poll as of_sqlite
from tests.support import postgres
from tests.support.opened import checked, opened, rows
from tests.support.postgres_roles import execute
from tests.support.server_process import command_line
from tests.support.waiting import eventually
from tests.support.world import KETTLES, add, commit, policy, reserve

SCHEMA = 'Lisbon\'s "shop" \\1'
QUOTED = '"Lisbon\'s ""shop"" \\1"'

LISTENERS = (
    "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN %' AND pid <> pg_backend_pid()"
)


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.empty_schema() as url:
        yield url


@pytest.fixture
def schema() -> Iterator[None]:
    execute(postgres.url(), f"CREATE SCHEMA {QUOTED}")
    yield
    execute(postgres.url(), f"DROP SCHEMA {QUOTED} CASCADE")


@pytest.mark.usefixtures("schema")
async def test_a_schema_with_any_name_has_the_tables(url: str) -> None:
    async with opened(url, schema=SCHEMA) as shop:
        await shop.record(add(9))
        assert shop.parts.footprint.sizes()["events"] > 0
    assert not rows(url, "SELECT 1 FROM pg_tables WHERE schemaname = current_schema()")
    assert rows(url, f"SELECT count(*) FROM {QUOTED}.events") == [(1,)]  # noqa: S608  ours
    named = {"INVENTORY_DATABASE": url, "INVENTORY_SCHEMA": SCHEMA}
    for command in ("verify", "rebuild", "events", "migrate"):
        done = await asyncio.to_thread(command_line, command, environment=named)
        assert done.returncode == 0, done.stderr


async def test_a_schema_that_is_missing_is_named_with_what_to_do(url: str) -> None:
    with pytest.raises(Unusable, match=r'there is no schema "shop" at .*CREATE SCHEMA'):
        async with opened(url, schema="shop"):
            pass


@pytest.mark.parametrize(("prepare", "kept"), [(Prepare.OFF, 0), (Prepare.AUTO, 1)])
def test_statements_are_prepared_or_not(url: str, prepare: Prepare, kept: int) -> None:
    wire = Server(url, prepare=prepare).writer()
    try:
        count = notices._NOTIFY
        wire.query(count, position=1)
        assert wire.value("SELECT count(*) FROM pg_prepared_statements") == kept
    finally:
        wire.close()


async def test_without_prepared_statements_all_goes_on_after_an_error(url: str) -> None:
    async with opened(url, prepare=Prepare.OFF) as shop:
        await shop.record(policy(safety_stock=1))
        await shop.record(add(9))
        await shop.record(reserve(3))
        execute(url, "ALTER TABLE stocks RENAME TO gone")
        with pytest.raises(Exception, match="internal error"):
            await shop.record(add(1))
        execute(url, "ALTER TABLE gone RENAME TO stocks")
        await shop.record(commit())
        assert (await shop.levels()).on_hand == 6
    checked(url)


async def test_notified_servers_look_at_once_also_after_their_connection_was_lost(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "AGAIN_SECONDS", 0.05)
    chosen: dict[str, Any] = {"notify": Notify.ON, "head_poll_seconds": 60.0}
    async with opened(url, **chosen) as one, opened(url, **chosen) as other:
        await _listening(url)
        await other.until((await one.record(add(9))).position)
        await one.until((await other.record(add(1))).position)
        before = {pid for (pid,) in rows(url, LISTENERS)}
        for pid in before:
            execute(url, f"SELECT pg_terminate_backend({pid})")
        await one.record(add(1, KETTLES))
        await other.until(3)  # heard, or read when the connection was made anew
        await eventually(lambda: before.isdisjoint(pid for (pid,) in rows(url, LISTENERS)))
        await _listening(url)
        await one.until((await other.record(add(1))).position)
    checked(url)


async def _listening(url: str) -> None:
    await eventually(lambda: len(rows(url, LISTENERS)) == 2)


async def test_a_batch_has_at_most_so_many_commands(url: str) -> None:
    async with opened(url, max_batch=3) as shop:
        await shop.answers(*(shop.ask(add(1), f"{number}") for number in range(20)))
    sizes = rows(url, "SELECT count(*) FROM events GROUP BY xmin::text")
    assert max(size for (size,) in sizes) == 3
    assert sum(size for (size,) in sizes) == 20


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_the_log_is_polled_as_often_as_is_set(
    url: str, path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    asked: list[float] = []

    async def repeat(_: str, __: Callable[[], Awaitable[None]], seconds: float) -> Never:
        asked.append(seconds)
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(of_postgres if engine == "postgres" else of_sqlite, "repeat", repeat)
    async with opened(url if engine == "postgres" else path, head_poll_seconds=0.5):
        await eventually(lambda: bool(asked))
    assert asked == [0.5]
