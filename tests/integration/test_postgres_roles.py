"""Two roles in PostgreSQL: the owner changes tables, the servers only add to the log."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import psycopg
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from typer.testing import CliRunner

from inventory_grpc.application.store import Unusable
from inventory_grpc.cli import app
from inventory_grpc.infrastructure.postgres import migrating, migrations, roles, transaction
from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest
from tests.robustness.rpcs import OURS
from tests.support import postgres
from tests.support.caller import adding, batch, calling, line, message, reserving
from tests.support.opened import checked, opened, rows
from tests.support.postgres_roles import as_role, execute, role
from tests.support.samples import SAMPLES
from tests.support.server_process import server_process
from tests.support.waiting import eventually
from tests.support.world import KETTLES, TOASTERS, add, commit, policy, put, put_store, reserve

BULK: Final[dict[str, Message]] = {
    "ExecuteBatch": batch(adding(1)),
    "ExecuteStream": message(adding(1)),
}


class Place(NamedTuple):
    """A schema: the URL of its owner, that of the servers, and their role."""

    owner: str
    service: str
    role: str


@pytest.fixture
def place() -> Iterator[Place]:
    with postgres.empty_schema() as url, role() as name:
        yield Place(url, as_role(url, name), name)


@pytest.fixture
def made(place: Place) -> Place:
    """Return a schema with tables, on which the service's role has its rights."""
    migrating.migrate(place.owner, lambda _: None, finish=False, service_role=place.role)
    return place


def _told(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [*arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


async def test_servers_do_everything_with_the_rights_of_their_role(
    made: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgets_at_once = "--remember-days", "0"
    async with server_process(made.service, tmp_path / "log", *forgets_at_once) as server:
        async with calling(await server.address()) as caller:
            rpcs = {rpc.name: rpc for rpc in OURS}
            for name, request in {**SAMPLES, **BULK}.items():
                await rpcs[name].answer(caller.channel, request.SerializeToString())
            await caller.commands.AddStock(adding(9, "toaster", request_id="delivery"))
            await caller.commands.ReserveStock(
                reserving(line(1, "toaster"), name="short", ttl=Duration(seconds=1))
            )
            await eventually(
                lambda: bool(rows(made.owner, "SELECT 1 FROM reservations WHERE state = 'expired'"))
            )
            await eventually(lambda: not rows(made.owner, "SELECT 1 FROM requests"), 30)
            assert len(await caller.log()) == rows(made.owner, "SELECT count(*) FROM events")[0][0]
            async for _ in caller.events.Subscribe(SubscribeRequest(stop_at_head=True)):
                pass
        assert {line["level"] for line in server.log()} <= {"info", "warning"}
    monkeypatch.setattr(transaction, "SNAPSHOT_EVERY", 2)
    async with opened(made.service) as shop:
        for command in (put(), put_store(), policy(safety_stock=1), add(9, TOASTERS)):
            await shop.record(command)
        await shop.record(reserve({KETTLES: 3, TOASTERS: 2}, "long"))
        for _ in range(3):
            await shop.record(commit({KETTLES: 1}, "long"))
    async with opened(made.service) as shop:
        await shop.record(commit(name="long"))
    assert rows(made.owner, "SELECT 1 FROM subject_snapshots")
    assert not rows(made.owner, "SELECT 1 FROM unsettled")
    checked(made.service)
    checked(made.owner)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET event = event",
        "DELETE FROM events",
        "TRUNCATE events",
        "UPDATE log SET log_id = 'mine'",
        "DELETE FROM stocks",
        "DELETE FROM streams",
        "UPDATE requests SET position = 1",
        "CREATE TABLE mine (a int)",
        "ALTER TABLE events ADD COLUMN mine int",
        "DROP TABLE requests",
        "CREATE INDEX mine ON events (kind)",
    ],
)
def test_what_no_server_does_its_role_may_not_do(made: Place, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(made.service, statement)


def test_each_table_has_rights_that_are_said(made: Place) -> None:
    tables = {item.table for item in migrations.expected(2) if item.kind == "table"}
    assert tables == set(roles.rights())
    granted = "SELECT count(DISTINCT table_name) FROM information_schema.role_table_grants"
    [(count,)] = rows(made.owner, f"{granted} WHERE grantee = '{made.role}'")
    assert count == len(tables)


def test_rights_that_a_role_had_before_are_taken_away(made: Place) -> None:
    [(schema,)] = rows(made.owner, "SELECT current_schema()")
    execute(made.owner, f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {made.role}")
    execute(made.service, "UPDATE events SET event = event")
    code, _, said = _told("migrate", made.owner, "--service-role", made.role)
    assert (code, f"{made.role} has the rights of a server" in said) == (0, True)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(made.service, "UPDATE events SET event = event")


def test_the_grants_are_printed_and_nothing_is_changed(made: Place) -> None:
    [(schema,)] = rows(made.owner, "SELECT current_schema()")
    execute(made.owner, f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {made.role}")
    code, printed, _ = _told("migrate", made.owner, "--dry-run", "--service-role", made.role)
    assert code == 0
    assert f'GRANT SELECT, INSERT ON "{schema}"."events" TO "{made.role}";' in printed
    with pytest.raises(Unusable, match="lacks DELETE on requests"):
        asyncio.run(_open(made.service))
    execute(made.owner, *printed.strip().split("\n"))
    asyncio.run(_open(made.service))


async def _open(url: str) -> None:
    async with opened(url):
        pass


def test_a_right_that_is_lacking_is_named_at_opening(made: Place) -> None:
    execute(made.owner, f"REVOKE INSERT ON events FROM {made.role}")
    execute(made.owner, f"REVOKE UPDATE ON log FROM {made.role}")
    with pytest.raises(Unusable) as refused:
        asyncio.run(_open(made.service))
    assert f"the role {made.role} lacks INSERT on events, UPDATE on log" in str(refused.value)
    assert f"run `inventory-grpc migrate --service-role {made.role}`" in str(refused.value)


@pytest.mark.parametrize("command", ["rebuild", "migrate", "copy"])
def test_what_the_owner_alone_can_do_names_the_owner(
    made: Place, command: str, tmp_path: Path
) -> None:
    target = tmp_path / "shop.db"
    arguments = {
        "rebuild": ["rebuild", "-d", made.service],
        "migrate": ["migrate", made.service],
        "copy": ["copy", made.service, str(target), "--seal"],
    }
    code, _, said = _told(*arguments[command])
    assert code == 1
    assert f"needs the owner of the tables, which is {postgres.USER}, or a member" in said
    assert f"{made.role} is neither" in said
    assert not target.exists()
    sealed = "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'seal'"
    assert not rows(made.owner, sealed)


def test_the_role_of_the_servers_verifies_prints_and_copies(made: Place, tmp_path: Path) -> None:
    for arguments in (
        ["verify", "-d", made.service],
        ["events", "-d", made.service],
        ["copy", made.service, str(tmp_path / "shop.db")],
    ):
        assert _told(*arguments)[0] == 0


def test_a_role_that_may_not_adopt_is_told_who_may(made: Place) -> None:
    asyncio.run(_open(made.service))
    code, _, said = _told("adopt", made.service, "--yes", "--restored")
    assert code == 1
    assert "permission denied for table log; the owner of the tables has this right" in said


@pytest.mark.parametrize("command", ["verify", "events"])
def test_a_role_without_rights_to_read_is_told_which_it_takes(made: Place, command: str) -> None:
    execute(made.owner, f"REVOKE SELECT ON events FROM {made.role}")  # noqa: S608  no query
    code, _, said = _told(command, "-d", made.service)
    assert code == 1
    assert f"the role {made.role} lacks SELECT on events: run this as the role of the" in said


def test_a_role_that_may_not_make_the_tables_is_told_who_does(place: Place) -> None:
    [(schema,)] = rows(place.owner, "SELECT current_schema()")
    with pytest.raises(Unusable, match=f"no schema .*{schema} .* that the role {place.role} may"):
        asyncio.run(_open(place.service))
    execute(place.owner, f"GRANT USAGE ON SCHEMA {schema} TO {place.role}")
    with pytest.raises(Unusable, match=f"the role {place.role} may not make tables in the schema"):
        asyncio.run(_open(place.service))
    assert not rows(place.owner, "SELECT 1 FROM pg_tables WHERE schemaname = current_schema()")


def test_the_owner_is_not_made_a_role_of_servers(made: Place) -> None:
    code, _, said = _told("migrate", made.owner, "--service-role", postgres.USER)
    assert code == 1
    assert f"the role {postgres.USER} owns the tables; the servers need another one" in said
