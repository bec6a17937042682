"""Servers reach PostgreSQL through PgBouncer, which gives its sessions to them in turn."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from typer.testing import CliRunner

from inventory_grpc.application.store import Durability, Unusable
from inventory_grpc.choices import Notify, Prepare
from inventory_grpc.cli import app
from inventory_grpc.client import InventoryClient
from inventory_grpc.infrastructure.postgres import migrating
from inventory_grpc.infrastructure.postgres.events import read_head
from inventory_grpc.infrastructure.postgres.server import Server
from inventory_grpc.infrastructure.postgres.session import Pooling
from inventory_grpc.infrastructure.postgres.wire import Failed
from tests.operations.postgres.deliveries import Requests
from tests.operations.postgres.fleet import Fleet, fleet
from tests.support.opened import checked, opened
from tests.support.pgbouncer import PgBouncer, pgbouncer
from tests.support.postgres_roles import execute
from tests.support.postgres_server import PostgresServer, own_server
from tests.support.world import add

ROLE: Final = "inventory"
CANCELS: Final = 20
CANCEL: Final = (
    "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity "
    "WHERE usename = 'inventory' AND state <> 'idle'"
)


class Pooled(NamedTuple):
    """A log whose role has its rights, and a pooler before it."""

    server: PostgresServer
    pooler: PgBouncer

    @property
    def url(self) -> str:
        return self.pooler.url()

    def give_settings(self) -> None:
        """Give the role the settings that opening the log asks for."""
        with pytest.raises(Unusable) as refused:
            asyncio.run(_open(self.url))
        told = str(refused.value)
        assert "lock_timeout is 0" in told
        assert "idle_in_transaction_session_timeout is 0" in told
        _, _, commands = told.partition("then reconnect the pooler: ")
        execute(self.server.url, commands)
        self.pooler.command("RECONNECT")


@contextmanager
def _pooled(mode: str) -> Iterator[Pooled]:
    with ExitStack() as stack:
        server = stack.enter_context(own_server())
        pooler = stack.enter_context(pgbouncer(server.folder, server.folder / "pooler", mode, ROLE))
        execute(server.url, f"CREATE ROLE {ROLE} LOGIN")
        migrating.migrate(server.url, lambda _: None, finish=False, service_role=ROLE)
        yield Pooled(server, pooler)


@pytest.fixture(params=["transaction", "session"])
def without_settings(request: pytest.FixtureRequest) -> Iterator[Pooled]:
    with _pooled(request.param) as pooled:
        yield pooled


@pytest.fixture
def each_mode(without_settings: Pooled) -> Pooled:
    without_settings.give_settings()
    return without_settings


@pytest.fixture
def of_transactions() -> Iterator[Pooled]:
    with _pooled("transaction") as pooled:
        pooled.give_settings()
        yield pooled


async def _open(url: str, **chosen: Any) -> None:  # noqa: ANN401  of any type
    async with opened(url, **chosen) as shop:
        await shop.record(add(1))


def _told(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*arguments])
    return result.exit_code, " ".join(result.stderr.split())


def test_settings_that_the_role_lacks_are_found_at_opening_with_the_commands_to_set_them(
    without_settings: Pooled,
) -> None:
    without_settings.give_settings()
    asyncio.run(_open(without_settings.url))
    checked(without_settings.url)
    with pytest.raises(Unusable, match=r'synchronous_commit is on.* SET "synchronous_commit" = '):
        asyncio.run(_open(without_settings.url, durability=Durability.RELAXED))
    in_schema = without_settings.pooler.url(options="-csearch_path=shop")
    with pytest.raises(Unusable, match=r'search_path is "\$user", public.* "search_path" = shop;'):
        asyncio.run(_open(in_schema))


class Load(NamedTuple):
    pooled: Pooled
    servers: Fleet


@pytest.fixture
async def load(each_mode: Pooled, tmp_path: Path) -> AsyncIterator[Load]:
    async with fleet(each_mode.url, tmp_path, 2) as servers:
        yield Load(each_mode, servers)


async def test_servers_behind_a_pooler_are_killed_and_nothing_is_lost_or_doubled(
    load: Load,
) -> None:
    requests, loop = Requests(), asyncio.get_running_loop()

    def kill_each() -> None:
        for which in (0, 1, 0):
            load.servers.kill(which)
            asyncio.run_coroutine_threadsafe(load.servers.restart(which), loop).result()

    await _sent(load, requests, kill_each)


async def test_a_pooler_is_killed_and_nothing_is_lost_or_doubled(load: Load) -> None:
    def kill_twice() -> None:
        for _ in range(2):
            load.pooled.pooler.kill()
            load.pooled.pooler.start()

    await _sent(load, Requests(), kill_twice)


async def test_statements_are_cancelled_behind_a_pooler_and_nothing_is_lost_or_doubled(
    load: Load,
) -> None:
    pause = threading.Event()

    def cancel_often() -> None:
        cancelled = 0
        while cancelled < CANCELS:
            [(count,)] = load.pooled.server.query(CANCEL)
            cancelled += count
            pause.wait(0.01)

    await _sent(load, Requests(), cancel_often)


async def _sent(load: Load, requests: Requests, trouble: Callable[[], object]) -> None:
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(InventoryClient(address))
            for address in load.servers.addresses
        ]
        await requests.send(clients, trouble)
    requests.check(load.pooled.server.url)
    checked(load.pooled.url)


def test_a_pooler_of_transactions_is_found_and_statements_are_not_prepared(
    of_transactions: Pooled, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(_open(of_transactions.url))
    assert "a pooler of transactions was found: statements are not prepared" in caplog.text
    with pytest.raises(Failed) as failed:
        _prepare_in_turn(Server(of_transactions.url, prepare=Prepare.ON))
    assert failed.value.state in {"26000", "42P05"}
    _prepare_in_turn(Server(of_transactions.url))
    _prepare_in_turn(Server(of_transactions.url, prepare=Prepare.OFF))


def _prepare_in_turn(server: Server) -> None:
    """Have two clients read, each in the session that the other one has had."""
    with closing(server.reader()) as one, closing(server.reader()) as other:
        read_head(one)
        with other.one_state():
            read_head(other)
            read_head(one)


async def test_notifications_need_a_session(each_mode: Pooled) -> None:
    if Server(each_mode.url).pooling is Pooling.TRANSACTION:
        with pytest.raises(Unusable, match=r"notify=on needs a session .* INVENTORY_NOTIFY=off"):
            await _open(each_mode.url, notify=Notify.ON)
        return
    chosen: dict[str, Any] = {"notify": Notify.ON, "head_poll_seconds": 60.0}
    async with opened(each_mode.url, **chosen) as one, opened(each_mode.url, **chosen) as other:
        for _ in range(3):
            await other.until((await one.record(add(1))).position)
            await one.until((await other.record(add(1))).position)


def test_what_needs_a_session_of_its_own_is_refused_through_a_pooler(
    each_mode: Pooled, tmp_path: Path
) -> None:
    through = each_mode.url
    for arguments in (
        ["rebuild", "-d", through],
        ["migrate", through],
        ["copy", through, str(tmp_path / "shop.db")],
    ):
        code, said = _told(*arguments)
        assert code == 1
        assert "leads to a pooler: this needs a session of its own" in said
    for command in ("verify", "events"):
        assert _told(command, "-d", through)[0] == 0
