"""A log in PostgreSQL that is at another place refuses writes, unless nothing is lost there."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from typer.testing import CliRunner

from inventory_grpc.application.ports import Fault
from inventory_grpc.application.store import Unusable
from inventory_grpc.choices import Failover
from inventory_grpc.cli import app
from inventory_grpc.infrastructure.postgres import log_names
from inventory_grpc.infrastructure.postgres.server import Server
from tests.support import postgres
from tests.support.log_names import (
    MOVES,
    OTHER_SYSTEM,
    PROMOTED,
    RESTORED,
    adopt,
    adopted,
    log_id_of,
    names_of,
    plain_role,
    record,
    told,
    without_names,
)
from tests.support.opened import change, checked, differences, events, opened, rows


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.empty_schema() as url:
        asyncio.run(record(url))
        yield url


async def test_a_restart_is_no_failover(url: str) -> None:
    log_id = log_id_of(url)
    for _ in range(2):
        await record(url)
    assert [name.log_id for name in names_of(url)] == [log_id]
    assert checked(url).position == 3


async def test_servers_that_are_first_at_the_same_time_keep_one_name() -> None:
    with postgres.empty_schema() as url:
        await asyncio.gather(*[record(url) for _ in range(4)])
        assert [name.log_id for name in names_of(url)] == [log_id_of(url)]


@pytest.mark.parametrize("move", MOVES.values(), ids=[*MOVES])
async def test_at_another_place_a_new_server_reads_and_refuses_writes(url: str, move: str) -> None:
    change(url, move)
    async with opened(url) as shop:
        for _ in range(3):
            words = await told(shop)
            assert words.startswith("writes are refused: the log may have lost events: ")
            assert words.endswith("then run `inventory-grpc adopt`")
        assert shop.parts.breaker.fault is Fault.FAILED_OVER
        assert (await shop.levels()).on_hand == 1
    assert len(events(url)) == 1


async def test_a_new_timeline_is_kept_where_failovers_lose_nothing(url: str) -> None:
    log_id = log_id_of(url)
    change(url, PROMOTED)
    await record(url, failover=Failover.TRUSTED)
    await record(url)
    assert [name.log_id for name in names_of(url)] == [log_id]
    assert checked(url).position == 3


@pytest.mark.parametrize("move", [RESTORED, OTHER_SYSTEM])
async def test_a_restored_dump_is_no_failover_that_loses_nothing(url: str, move: str) -> None:
    change(url, move)
    async with opened(url, failover=Failover.TRUSTED) as shop:
        assert "restored from a dump" in await told(shop)


def test_a_log_of_an_earlier_release_gets_its_names_by_migrate(url: str) -> None:
    without_names(url)
    assert not differences(url)
    result = adopt(url, "--yes")
    assert result.exit_code == 1
    assert "run `inventory-grpc migrate`" in result.stderr
    with pytest.raises(Unusable, match="the log lacks table log_names, table log_place"):
        asyncio.run(record(url))
    assert CliRunner().invoke(app, ["migrate", url, "--finish"]).exit_code == 0
    asyncio.run(record(url))
    assert rows(url, "SELECT format FROM log") == [(2,)]
    assert [name.log_id for name in names_of(url)] == [log_id_of(url)]
    assert checked(url).position == 2


async def test_a_plain_role_is_told_of_failovers(url: str) -> None:
    with plain_role(url) as plain:
        await record(plain)
        change(url, PROMOTED)
        async with opened(plain) as shop:
            await told(shop)
        adopted(plain)
        await record(plain)
    assert checked(url).position == 3


@pytest.fixture
def own_database() -> Iterator[str]:
    """Make a database, whose functions may be taken from roles."""
    if not postgres.is_there():
        pytest.skip(postgres.MISSING)
    name = f"own_{secrets.token_hex(4)}"
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            url = postgres.url().replace("/postgres?", f"/{name}?")
            asyncio.run(record(url))
            yield url
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.mark.parametrize(
    "function", ["pg_control_system()", "pg_walfile_name(pg_lsn)", "pg_current_wal_lsn()"]
)
async def test_where_postgresql_does_not_tell_of_failovers_they_have_to_be_trusted(
    own_database: str, function: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        plain_role(own_database) as plain,
        psycopg.connect(own_database, autocommit=True) as connection,
    ):
        connection.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC".encode())
        async with opened(plain) as shop:
            assert "PostgreSQL does not tell its role of failovers" in await told(shop)
        assert "INVENTORY_FAILOVER=trusted" in caplog.text
        assert "does not tell" in adopt(plain, "--yes").stderr
        for _ in range(2):
            await record(plain, failover=Failover.TRUSTED)
        role = plain.partition("//")[2].partition("@")[0]
        connection.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {role}".encode())
        await record(plain, failover=Failover.TRUSTED)
        await record(plain)
    assert checked(own_database).position == 5


def test_tables_of_another_log_in_the_search_path_are_not_taken_for_its_own(
    url: str, tmp_path: object
) -> None:
    [(schema,)] = rows(url, "SELECT current_schema()")
    assert CliRunner().invoke(app, ["copy", url, f"{tmp_path}/to.db", "--seal"]).exit_code == 0
    with postgres.empty_schema() as other:
        both = f"{other},{schema}"
        asyncio.run(record(both))
        without_names(other)
        with closing(Server(both).reader()) as wire:
            assert not log_names.are_kept(wire)
        assert CliRunner().invoke(app, ["migrate", both]).exit_code == 0
        asyncio.run(record(both))
        assert checked(other).position == 2
