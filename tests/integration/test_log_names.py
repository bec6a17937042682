"""A log in PostgreSQL that is at another place refuses writes, until it has another name there."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing, contextmanager

import psycopg
import pytest
from typer.testing import CliRunner, Result

from inventory_grpc.application import failpoints
from inventory_grpc.application.failpoints import EXIT_CODE
from inventory_grpc.application.failures import LogDamaged, OtherLog, WritesRefused
from inventory_grpc.application.following import Start
from inventory_grpc.application.ledger import circuit_breaker
from inventory_grpc.application.ports import Fault
from inventory_grpc.choices import Failover
from inventory_grpc.cli import app
from inventory_grpc.infrastructure.log.names import LogName
from inventory_grpc.infrastructure.postgres import log_names
from inventory_grpc.infrastructure.postgres.opening import FORMAT, WITHOUT_NAMES
from inventory_grpc.infrastructure.postgres.server import Server
from tests.support import postgres
from tests.support.opened import Opened, change, checked, differences, events, opened, rows
from tests.support.server_process import command_line
from tests.support.waiting import eventually
from tests.support.world import add

PROMOTED = "UPDATE log_place SET timeline = timeline - 1"
RESTORED = "UPDATE log_place SET relation = '1/2'"
OTHER_SYSTEM = "UPDATE log_place SET system = system - 1"
MOVES = {"promoted": PROMOTED, "dump": RESTORED, "other system": OTHER_SYSTEM}

CUT_OFF = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE pid <> pg_backend_pid() AND application_name = 'inventory-grpc'"
)


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.empty_schema() as url:
        asyncio.run(_record(url))
        yield url


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have storage probed often."""
    monkeypatch.setattr(circuit_breaker, "FIRST_WAIT_SECONDS", 0.02)
    monkeypatch.setattr(circuit_breaker, "MAX_WAIT_SECONDS", 0.05)


async def _record(url: str, failover: Failover = Failover.REFUSE) -> None:
    async with opened(url, failover=failover) as shop:
        await shop.record(add(1))


def _adopt(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, ["adopt", *arguments], input=answer)


def _adopted(url: str, *options: str) -> str:
    result = _adopt(url, "--yes", *options)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def _names(url: str) -> list[LogName]:
    with closing(Server(url).reader()) as wire:
        return list(log_names.names_of(wire))


def _log_id(url: str) -> str:
    [(log_id,)] = rows(url, "SELECT log_id FROM log")
    return str(log_id)


async def _refused(shop: Opened) -> str:
    with pytest.raises(WritesRefused) as refused:
        await shop.record(add(1))
    return str(refused.value)


async def _until_fault(shop: Opened, fault: Fault | None) -> None:
    await eventually(lambda: shop.parts.breaker.fault is fault)


async def test_a_restart_is_no_failover(url: str) -> None:
    log_id = _log_id(url)
    for _ in range(2):
        await _record(url)
    assert [name.log_id for name in _names(url)] == [log_id]
    assert checked(url).position == 3


async def test_servers_that_are_first_at_the_same_time_keep_one_name() -> None:
    with postgres.empty_schema() as url:
        await asyncio.gather(*[_record(url) for _ in range(4)])
        assert [name.log_id for name in _names(url)] == [_log_id(url)]


@pytest.mark.parametrize("move", MOVES.values(), ids=[*MOVES])
async def test_at_another_place_a_new_server_reads_and_refuses_writes(url: str, move: str) -> None:
    change(url, move)
    async with opened(url) as shop:
        for _ in range(3):
            told = await _refused(shop)
            assert told.startswith("writes are refused: the log may have lost events: ")
            assert told.endswith("then run `inventory-grpc adopt`")
        assert shop.parts.breaker.fault is Fault.FAILED_OVER
        assert (await shop.levels()).on_hand == 1
    assert len(events(url)) == 1


async def test_a_new_timeline_is_kept_where_failovers_lose_nothing(url: str) -> None:
    log_id = _log_id(url)
    change(url, PROMOTED)
    await _record(url, failover=Failover.TRUSTED)
    await _record(url)
    assert [name.log_id for name in _names(url)] == [log_id]
    assert checked(url).position == 3


@pytest.mark.parametrize("move", [RESTORED, OTHER_SYSTEM])
async def test_a_restored_dump_is_no_failover_that_loses_nothing(url: str, move: str) -> None:
    change(url, move)
    async with opened(url, failover=Failover.TRUSTED) as shop:
        assert "restored from a dump" in await _refused(shop)


@pytest.mark.usefixtures("_soon")
async def test_a_running_server_notices_when_it_connects_again_and_goes_on_when_adopted(
    url: str,
) -> None:
    log_id = _log_id(url)
    async with opened(url) as shop, opened(url) as other:
        for one in (shop, other):
            await one.record(add(1))
        await shop.until(3)
        change(url, PROMOTED)
        rows(url, CUT_OFF)
        for one in (shop, other):
            await _until_fault(one, Fault.FAILED_OVER)
            assert "a standby was promoted" in await _refused(one)
            assert (await one.levels()).on_hand == 3
        await asyncio.to_thread(_adopted, url)
        for one in (shop, other):
            await _until_fault(one, None)
            await one.record(add(1))
            assert one.parts.event_log.log_id == _log_id(url) != log_id
    assert checked(url).position == 5
    named = [event.event_id for event in events(url)]
    assert named == [f"{log_id}-{n}" for n in (1, 2, 3)] + [f"{_log_id(url)}-{n}" for n in (4, 5)]


@pytest.mark.usefixtures("_soon")
async def test_a_server_that_has_seen_what_is_lost_refuses_also_after_the_log_is_adopted(
    url: str,
) -> None:
    async with opened(url) as shop:
        await shop.record(add(1), "lost")
        _lose_last(url)
        change(url, PROMOTED)
        await asyncio.to_thread(_adopted, url)
        for number in range(2):
            await _record(url)
            with pytest.raises((LogDamaged, WritesRefused)):
                await shop.record(add(1))
            await _until_fault(shop, Fault.REWOUND)
            assert len(events(url)) == 2 + number


def _lose_last(url: str) -> None:
    """Leave what a standby has that lacks the last event."""
    change(url, "DELETE FROM events WHERE position = 2")
    rows(url, "DELETE FROM requests RETURNING 1")
    change(url, "UPDATE stocks SET on_hand = 1, version = 1")


async def test_followers_continue_up_to_the_end_of_the_name_they_know(url: str) -> None:
    await _record(url)
    first = _log_id(url)
    change(url, PROMOTED)
    _adopted(url)
    second = _log_id(url)
    await _record(url)
    change(url, PROMOTED)
    _adopted(url)
    async with opened(url) as shop:
        await shop.record(add(1))
        followers = shop.parts.followers
        for name, end in ((first, 2), (second, 3), (_log_id(url), 4)):
            for position in range(end + 1):
                assert await followers.resolve(Start(position), name) == (position, 4)
        for name, end in ((first, 2), (second, 3), ("unknown", -1)):
            for start in (Start(end + 1), Start(from_now=True)):
                with pytest.raises(OtherLog):
                    await followers.resolve(start, name)
    assert [name.after_position for name in _names(url)] == [0, 2, 3]


async def test_a_server_that_does_not_know_the_new_name_yet_is_told_it_by_a_follower(
    url: str,
) -> None:
    async with opened(url) as shop:
        before = shop.parts.event_log.log_id
        await asyncio.to_thread(_adopted, url, "--restored")
        new = _log_id(url)
        assert await shop.parts.followers.resolve(Start(1), new) == (1, 1)
        assert shop.parts.event_log.log_id == new != before


@pytest.mark.usefixtures("_soon")
async def test_no_server_writes_under_the_old_name_after_an_adoption(url: str) -> None:
    """Nothing but the operator knows that the files of PostgreSQL were put back."""
    async with AsyncExitStack() as stack:
        shops = [await stack.enter_async_context(opened(url)) for _ in range(2)]
        for shop in shops:
            await shop.record(add(1))
        await asyncio.to_thread(_adopted, url, "--restored")
        for shop in shops:
            with pytest.raises(WritesRefused):
                await shop.record(add(1))
            await _until_fault(shop, None)
            await shop.record(add(1))
    old, new = (name.log_id for name in _names(url))
    assert [event.event_id.partition("-")[0] for event in events(url)] == [old] * 3 + [new] * 2
    assert checked(url).position == 5


@pytest.mark.parametrize("step", ["adopt_before_commit", "adopt_after_commit"])
def test_an_adoption_that_is_killed_was_made_or_not(url: str, step: str) -> None:
    change(url, PROMOTED)
    before = _log_id(url)
    ended = command_line("adopt", url, "--yes", environment={failpoints.VARIABLE: f"{step}=exit"})
    assert ended.returncode == EXIT_CODE, ended.stderr
    is_made = step == "adopt_after_commit"
    assert (_log_id(url) != before) == is_made
    assert len(_names(url)) == 1 + is_made
    again = _adopt(url, "--yes")
    assert again.exit_code == int(is_made), again.stderr
    assert ("nothing is to be adopted" in again.stderr) == is_made
    assert len(_names(url)) == 2
    asyncio.run(_record(url))
    assert not differences(url)


def test_adopt_shows_what_it_has_found_and_asks(url: str) -> None:
    log_id, [(timeline,)] = _log_id(url), rows(url, "SELECT timeline FROM log_place")
    change(url, PROMOTED)
    without = _adopt(url)
    assert without.exit_code == 1
    assert "use --yes" in without.stderr
    assert _log_id(url) == log_id
    said = _adopted(url)
    for words in (log_id, "position 1 of", f"timeline {timeline}", f"timeline {timeline - 1}"):
        assert words in said
    assert "a standby was promoted" in said


def test_adopt_refuses_where_nothing_is_to_be_adopted(url: str) -> None:
    log_id = _log_id(url)
    result = _adopt(url, "--yes")
    assert result.exit_code == 1
    assert "nothing is to be adopted" in result.stderr
    assert _log_id(url) == log_id
    change(url, PROMOTED)
    asyncio.run(_record(url, failover=Failover.TRUSTED))
    assert _adopt(url, "--yes").exit_code == 1
    with postgres.empty_schema() as empty:
        assert "there is no inventory database" in _adopt(empty, "--yes").stderr


def test_adopt_is_not_for_files(tmp_path: object) -> None:
    path = f"{tmp_path}/shop.db"
    asyncio.run(_record(path))
    result = _adopt(path, "--yes")
    assert result.exit_code == 1
    assert "inventory-grpc restore" in result.stderr


def test_a_sealed_log_is_not_adopted(url: str, tmp_path: object) -> None:
    assert CliRunner().invoke(app, ["copy", url, f"{tmp_path}/to.db", "--seal"]).exit_code == 0
    result = _adopt(url, "--yes", "--restored")
    assert result.exit_code == 1
    assert "the log has moved" in result.stderr


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ("UPDATE log SET log_id = reverse(log_id)", "that of the log is"),
        ("UPDATE log_names SET after_position = 4 WHERE number = 3", "after the end of the log"),
        ("UPDATE log_names SET after_position = 0 WHERE number = 3", "begins before"),
        ("UPDATE log_names SET after_position = 1 WHERE number > 1", "is not the first of"),
        ("UPDATE log_names SET after_position = 3 WHERE number > 1", "which begins after it"),
    ],
)
def test_verify_checks_the_names(url: str, wrong: str, found: str) -> None:
    asyncio.run(_record(url))
    for _ in range(2):
        change(url, PROMOTED)
        _adopted(url)
    asyncio.run(_record(url))
    assert not differences(url)
    change(url, wrong)
    assert any(found in difference for difference in differences(url))


def test_a_log_that_moves_within_postgresql_takes_its_names_along(url: str) -> None:
    first = _log_id(url)
    change(url, PROMOTED)
    _adopted(url)
    asyncio.run(_record(url))
    with postgres.empty_schema() as target:
        assert CliRunner().invoke(app, ["copy", url, target, "--seal"]).exit_code == 0
        assert _names(target) == _names(url)
        asyncio.run(_record(target))
        with closing(Server(target).reader()) as wire:
            assert log_names.end_of(wire, first) == 1
        assert not differences(target)
    with postgres.empty_schema() as copy:
        assert CliRunner().invoke(app, ["copy", url, copy]).exit_code == 0
        asyncio.run(_record(copy))
        assert [name.log_id for name in _names(copy)] == [_log_id(copy)]
        assert not differences(copy)


def test_a_log_that_may_have_lost_events_is_not_sealed(url: str, tmp_path: object) -> None:
    change(url, PROMOTED)
    result = CliRunner().invoke(app, ["copy", url, f"{tmp_path}/to.db", "--seal"])
    assert result.exit_code == 1
    assert "the log may have lost events" in result.stderr
    _adopted(url)
    asyncio.run(_record(url))
    again = CliRunner().invoke(app, ["copy", url, f"{tmp_path}/to.db", "--seal"])
    assert again.exit_code == 1
    assert "an unfinished copy of another log" in again.stderr


def test_a_copy_that_has_more_than_its_original_seals_nothing(url: str, tmp_path: object) -> None:
    """A failover beside the copy has lost the last event."""
    asyncio.run(_record(url))
    target = f"{tmp_path}/to.db"
    stopped = {failpoints.VARIABLE: "copy_checked=exit"}
    assert command_line("copy", url, target, "--seal", environment=stopped).returncode == EXIT_CODE
    _lose_last(url)
    result = CliRunner().invoke(app, ["copy", url, target, "--seal"])
    assert result.exit_code == 1
    assert "events up to 2 that the original lacks" in result.stderr
    asyncio.run(_record(url))
    result = CliRunner().invoke(app, ["copy", url, target, "--seal"])
    assert result.exit_code == 1
    assert "that the original lacks" in result.stderr
    asyncio.run(_record(url))


def _without_names(url: str) -> None:
    """Make the log what an earlier release has left."""
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE log_names, log_place")
        connection.execute("UPDATE log SET format = %s", (WITHOUT_NAMES,))


def test_a_log_of_an_earlier_release_gets_its_name_from_the_first_server(url: str) -> None:
    _without_names(url)
    assert not differences(url)
    result = _adopt(url, "--yes")
    assert result.exit_code == 1
    assert "start a server on it first" in result.stderr
    asyncio.run(_record(url))
    assert rows(url, "SELECT format FROM log") == [(FORMAT,)]
    assert [name.log_id for name in _names(url)] == [_log_id(url)]
    assert checked(url).position == 2


@contextmanager
def _plain_role(url: str) -> Iterator[str]:
    """Make a role that may read and write the tables in the schema, and no more."""
    role = f"plain_{secrets.token_hex(4)}"
    [(schema,)] = rows(url, "SELECT current_schema()")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN".encode())
        connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}".encode())
        connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {role}".encode())
        try:
            yield url.replace(f"{postgres.USER}@", f"{role}@")
        finally:
            connection.execute(f"DROP OWNED BY {role}".encode())
            connection.execute(f"DROP ROLE {role}".encode())


async def test_a_role_without_rights_serves_a_log_of_an_earlier_release_as_before(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    _without_names(url)
    with _plain_role(url) as plain:
        await _record(plain)
        async with opened(plain) as shop:
            with pytest.raises(OtherLog):
                await shop.parts.followers.resolve(Start(), "unknown")
    assert rows(url, "SELECT format FROM log") == [(WITHOUT_NAMES,)]
    assert "a failover that loses commits is not noticed" in caplog.text


async def test_a_plain_role_is_told_of_failovers(url: str) -> None:
    with _plain_role(url) as plain:
        await _record(plain)
        change(url, PROMOTED)
        async with opened(plain) as shop:
            await _refused(shop)
        _adopted(plain)
        await _record(plain)
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
            asyncio.run(_record(url))
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
        _plain_role(own_database) as plain,
        psycopg.connect(own_database, autocommit=True) as connection,
    ):
        connection.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC".encode())
        async with opened(plain) as shop:
            assert "PostgreSQL does not tell its role of failovers" in await _refused(shop)
        assert "INVENTORY_FAILOVER=trusted" in caplog.text
        assert "does not tell" in _adopt(plain, "--yes").stderr
        for _ in range(2):
            await _record(plain, failover=Failover.TRUSTED)
        role = plain.partition("//")[2].partition("@")[0]
        connection.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {role}".encode())
        await _record(plain, failover=Failover.TRUSTED)
        await _record(plain)
    assert checked(own_database).position == 5


def test_tables_of_another_log_in_the_search_path_are_not_taken_for_its_own(
    url: str, tmp_path: object
) -> None:
    [(schema,)] = rows(url, "SELECT current_schema()")
    assert CliRunner().invoke(app, ["copy", url, f"{tmp_path}/to.db", "--seal"]).exit_code == 0
    with postgres.empty_schema() as other:
        both = f"{other},{schema}"
        asyncio.run(_record(both))
        _without_names(other)
        with closing(Server(both).reader()) as wire:
            assert not log_names.are_kept(wire)
        asyncio.run(_record(both))
        assert checked(other).position == 2
