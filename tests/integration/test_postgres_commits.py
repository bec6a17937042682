"""Commits to PostgreSQL without a plain answer: cut off, late, with a warning, or no commit."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest

from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc.infrastructure.postgres import server as connections
from inventory_grpc.infrastructure.postgres import storage
from inventory_grpc.infrastructure.postgres.server import Server
from inventory_grpc.infrastructure.postgres.statement import Statement
from inventory_grpc.infrastructure.postgres.wire import Failed
from inventory_grpc.infrastructure.store import open_store
from inventory_grpc.settings import Settings
from tests.support import postgres
from tests.support.clock import ManualClock
from tests.support.histories import Player, player
from tests.support.opened import checked, requests_of
from tests.support.opened import events as events_in
from tests.support.postgres_proxy import Proxy, Trouble, proxied
from tests.support.stores import Store
from tests.support.world import NOON, add, put


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.empty_schema() as url:
        yield url


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    with proxied(url) as proxy:
        yield proxy


@pytest.fixture
async def shop(proxy: Proxy, url: str) -> AsyncIterator[Player]:
    """Return a writer whose connection goes through the proxy, and has committed nothing."""
    async with open_store(Settings(database=url), NOON):
        pass  # the first one commits the place of the log
    async with open_store(Settings(database=proxy.url), NOON) as opened:
        store = Store(opened.storage, opened.log, opened.views)
        found = player(store, ManualClock())
        await found.writer.start()
        yield found


before_or_after = pytest.mark.parametrize(
    ("trouble", "is_recorded"), [(Trouble.CUT_BEFORE, False), (Trouble.CUT_AFTER, True)]
)


async def answer(shop: Player, command: Command, request_id: str) -> Outcome:
    """Do *command*, which is remembered if it has a request id."""
    asked = Submission.of(command, Cause(request_id), repr(command).encode())
    [outcome] = await shop.writer.answer([asked])
    assert isinstance(outcome, Outcome)
    return outcome


@pytest.mark.parametrize("trouble", [Trouble.CUT_AFTER, Trouble.SWALLOW])
async def test_a_commit_whose_answer_was_lost_is_found_and_answered(
    shop: Player, proxy: Proxy, url: str, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "COMMIT_SECONDS", 2.0)
    proxy.trouble = trouble
    outcome = await answer(shop, add(5), "once")
    assert proxy.met.is_set()
    assert (outcome.position, outcome.replayed) == (1, False)
    assert (await answer(shop, add(5), "once")).replayed
    assert (await answer(shop, add(1), "then")).position == 2
    assert requests_of(events_in(url)) == {"once": 1, "then": 1}
    assert checked(url).position == 2


async def test_a_commit_that_never_arrived_is_told_as_not_recorded(
    shop: Player, proxy: Proxy, url: str
) -> None:
    proxy.trouble = Trouble.CUT_BEFORE
    with pytest.raises(StorageError) as caught:
        await answer(shop, add(5), "once")
    assert (caught.value.fault, caught.value.committing) == (Fault.BROKEN, False)
    assert (await answer(shop, add(5), "once")).position == 1
    assert requests_of(events_in(url)) == {"once": 1}


@before_or_after
async def test_a_command_without_a_request_is_looked_for_by_its_event(
    shop: Player, proxy: Proxy, trouble: Trouble, *, is_recorded: bool
) -> None:
    proxy.trouble = trouble
    asked = answer(shop, add(5), "")
    if is_recorded:
        assert (await asked).position == 1
    else:
        with pytest.raises(StorageError) as caught:
            await asked
        assert not caught.value.committing
    assert await shop.store.event_log.head() == int(is_recorded)


@before_or_after
async def test_an_answer_without_events_is_looked_for_by_its_request(
    shop: Player, proxy: Proxy, url: str, trouble: Trouble, *, is_recorded: bool
) -> None:
    async with open_store(Settings(database=url), NOON) as opened:
        other = player(Store(opened.storage, opened.log, opened.views), ManualClock())
        await answer(other, put(), "before")
    proxy.trouble = trouble
    asked = answer(shop, put(), "again")
    if is_recorded:
        assert (await asked).position == 1
        assert (await answer(shop, put(), "again")).replayed
    else:
        with pytest.raises(StorageError) as caught:
            await asked
        assert not caught.value.committing


async def test_an_outcome_that_cannot_be_found_soon_is_unknown(
    shop: Player, proxy: Proxy, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "OUTCOME_SECONDS", 0.3)
    proxy.trouble = Trouble.CUT_AFTER
    proxy.refuses = True
    with pytest.raises(StorageError) as caught:
        await answer(shop, add(5), "once")
    assert caught.value.committing
    proxy.refuses = False
    await shop.store.storage.recover()
    await shop.writer.start()
    assert (await answer(shop, add(5), "once")).replayed
    assert len(events_in(url)) == 1


@contextmanager
def missing_standby() -> Iterator[None]:
    """Have the server wait at each commit for a standby that there is not."""
    with closing(psycopg.connect(postgres.url(), autocommit=True)) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        connection.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
            connection.execute("SELECT pg_reload_conf()")


async def cancel_waits(task: "asyncio.Task[Any]") -> None:
    """Cancel all waits for the standby until *task* has failed."""
    with closing(psycopg.connect(postgres.url(), autocommit=True)) as connection:
        while not task.done():
            connection.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            )
            await asyncio.wait([task], timeout=0.01)


async def test_a_commit_that_no_standby_has_is_unknown_until_one_has_it(
    shop: Player, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server answers it with success and a warning, though a failover may lose it."""
    monkeypatch.setattr(storage, "OUTCOME_SECONDS", 0.3)
    with missing_standby():
        asked = asyncio.create_task(answer(shop, add(5), "once"))
        await cancel_waits(asked)
        with pytest.raises(StorageError) as caught:
            await asked
        assert caught.value.committing
        assert len(events_in(url)) == 1
        recovering = asyncio.create_task(shop.store.storage.recover())
        await cancel_waits(recovering)
        with pytest.raises(StorageError, match="COMMIT: canceling wait"):
            await recovering
        monkeypatch.setattr(storage, "COMMIT_SECONDS", 0.3)
        with pytest.raises(StorageError, match="no answer in time"):
            await shop.store.storage.recover()
    await shop.store.storage.recover()
    await shop.writer.start()
    assert (await answer(shop, add(5), "once")).replayed


def wait_until_none_is_idle() -> None:
    """Wait until the server has ended all transactions in which a client is silent."""
    idle = "SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    with closing(psycopg.connect(postgres.url(), autocommit=True)) as connection:
        while connection.execute(idle).fetchall():
            time.sleep(0.01)


async def test_a_transaction_that_is_silent_for_too_long_is_not_recorded(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections._COMMON, "idle_in_transaction_session_timeout", "100ms")
    async with open_store(Settings(database=url), NOON) as opened:
        with pytest.raises(StorageError) as caught:
            await opened.storage.transact(lambda _: wait_until_none_is_idle())
        assert caught.value.fault is Fault.BROKEN
        await opened.storage.recover()
        shop = player(Store(opened.storage, opened.log, opened.views), ManualClock())
        await shop.writer.start()
        assert (await answer(shop, add(5), "once")).position == 1


def test_a_commit_that_rolls_back_is_no_commit(url: str) -> None:
    with closing(Server(url).writer()) as wire:
        wire.query("BEGIN")
        with pytest.raises(Failed):
            wire.query("SELECT 1 / 0")
        with pytest.raises(Failed, match="ROLLBACK") as caught:
            wire.commit([], 5.0)
        assert caught.value.state == "25P02"


def test_a_commit_of_nothing_is_unknown_for_its_warning(url: str) -> None:
    """As after a proxy has rolled the transaction back and reset the session."""
    with closing(Server(url).writer()) as wire:
        with pytest.raises(psycopg.OperationalError, match="no transaction in progress"):
            wire.commit([Statement("SELECT 1").bind()], 5.0)
        assert wire.is_closed
