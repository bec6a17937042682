"""Failures of PostgreSQL: what each one is taken for, and unsafe servers, which are refused."""

import asyncio
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from inventory_grpc.application.failures import LogDamaged
from inventory_grpc.application.ledger.circuit_breaker import refusal_of, refusal_of_read
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.ports import Fault, StorageError, Transaction
from inventory_grpc.application.store import Durability, Unusable
from inventory_grpc.domain.book import Command
from inventory_grpc.infrastructure.postgres import lock_wait, opening, server
from inventory_grpc.infrastructure.postgres.faults import STANDBY, storage_errors
from inventory_grpc.infrastructure.postgres.lock_wait import LockWait
from inventory_grpc.infrastructure.postgres.readers import THREADS, Readers
from inventory_grpc.infrastructure.postgres.seen import SeenLog
from inventory_grpc.infrastructure.postgres.server import Server, lock_key
from inventory_grpc.infrastructure.postgres.statement import Statement
from inventory_grpc.infrastructure.postgres.storage import PostgresStorage
from inventory_grpc.infrastructure.postgres.wire import Failed, Lost, Wire
from inventory_grpc.infrastructure.store import open_store
from inventory_grpc.settings import Settings
from tests.support import postgres
from tests.support.clock import ManualClock
from tests.support.histories import Player, player
from tests.support.history import appending
from tests.support.postgres_server import PostgresServer, own_folder
from tests.support.stores import Store
from tests.support.world import KETTLES, NOON, add


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.empty_schema() as url:
        yield url


@pytest.fixture
async def shop(url: str) -> AsyncIterator[Player]:
    async with open_store(Settings(database=url), NOON) as opened:
        found = player(Store(opened.storage, opened.log, opened.views), ManualClock())
        await found.writer.start()
        yield found


async def answer(shop: Player, *commands: Command) -> None:
    for outcome in await shop.writer.answer([Submission.of(command) for command in commands]):
        assert isinstance(outcome, Outcome), outcome


def execute(url: str, statement: str) -> None:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute(statement.encode())


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        ("08006", Fault.BROKEN),
        ("25006", Fault.READ_ONLY),
        ("25P02", Fault.BROKEN),
        ("25P03", Fault.BROKEN),
        ("26000", Fault.BROKEN),
        ("28P01", Fault.BROKEN),
        ("3D000", Fault.BROKEN),
        ("40001", Fault.BUSY),
        ("40P01", Fault.BUSY),
        ("53000", Fault.BUSY),
        ("53100", Fault.FULL),
        ("53200", Fault.BUSY),
        ("53300", Fault.BROKEN),
        ("53400", Fault.BROKEN),
        ("54000", Fault.BUSY),
        ("54001", Fault.BUSY),
        ("55006", Fault.BUSY),
        ("55P03", Fault.BUSY),
        ("57014", Fault.BUSY),
        ("57P01", Fault.BROKEN),
        ("57P03", Fault.BROKEN),
        ("58030", Fault.BROKEN),
        ("23505", Fault.BUSY),
        ("F0001", Fault.BROKEN),
        ("XX001", Fault.DAMAGED),
        ("XX002", Fault.DAMAGED),
    ],
)
def test_an_error_of_the_server_is_a_fault_by_its_state(state: str, fault: Fault) -> None:
    """An error that the server reports is not unknown: it has rolled everything back."""
    with pytest.raises(StorageError) as caught, storage_errors(committing=True):
        raise Failed("told", state)
    assert (caught.value.fault, caught.value.committing) == (fault, False)
    assert state in caught.value.detail


@pytest.mark.parametrize("state", ["22003", "23514", "42P01", "42601", "XX000"])
def test_an_error_that_only_a_bug_can_cause_is_no_fault(state: str) -> None:
    with pytest.raises(Failed), storage_errors(committing=True):
        raise Failed("told", state)


@pytest.mark.parametrize("committing", [False, True])
def test_a_lost_connection_leaves_only_a_commit_unknown(*, committing: bool) -> None:
    with pytest.raises(StorageError) as caught, storage_errors(committing=committing):
        raise Lost("gone")
    assert (caught.value.fault, caught.value.committing) == (Fault.BROKEN, committing)


@contextmanager
def setting(name: str, value: str) -> Iterator[None]:
    """Change a setting of the session's server."""
    execute(postgres.url(), f"ALTER SYSTEM SET {name} = '{value}'")
    execute(postgres.url(), "SELECT pg_reload_conf()")
    try:
        yield
    finally:
        execute(postgres.url(), f"ALTER SYSTEM RESET {name}")
        execute(postgres.url(), "SELECT pg_reload_conf()")


def until_set(name: str, value: str) -> None:
    """Wait until new sessions have the value."""
    while True:
        with closing(psycopg.connect(postgres.url())) as connection:
            if connection.execute(f"SHOW {name}".encode()).fetchall() == [(value,)]:
                return


async def test_a_server_that_does_not_sync_is_refused_unless_that_was_asked_for(url: str) -> None:
    with setting("fsync", "off"):
        until_set("fsync", "off")
        with pytest.raises(Unusable, match="fsync=off"):
            async with open_store(Settings(database=url), NOON):
                pass
        relaxed = Settings(database=url, durability=Durability.RELAXED)
        async with open_store(relaxed, NOON) as opened:
            assert await opened.log.head() == 0
    until_set("fsync", "on")


async def test_a_server_that_is_too_old_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "OLDEST_SERVER", 990_000)
    with pytest.raises(Unusable, match="is too old"):
        async with open_store(Settings(database=url), NOON):
            pass


async def test_a_database_in_another_encoding_is_refused(url: str) -> None:
    del url  # it is skipped where there is no server
    name = f"test_{secrets.token_hex(6)}"
    execute(
        postgres.url(),
        f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
    )
    try:
        named = f"{postgres.url()}{'&' if '?' in postgres.url() else '?'}dbname={name}"
        with pytest.raises(Unusable, match="encoding LATIN1: UTF8 is needed"):
            async with open_store(Settings(database=named), NOON):
                pass
    finally:
        execute(postgres.url(), f"DROP DATABASE {name}")


async def test_a_database_that_takes_no_writes_is_read_only_and_goes_on_when_it_does(
    shop: Player, url: str
) -> None:
    await answer(shop, add(5))
    with setting("default_transaction_read_only", "on"):
        until_set("default_transaction_read_only", "on")
        execute(url, CUT_OFF_ALL)
        with pytest.raises(StorageError):
            await answer(shop, add(1))
        with pytest.raises(StorageError) as caught:
            await shop.store.storage.recover()
        assert caught.value.fault is Fault.READ_ONLY
        assert (await shop.store.views.latest.get(KETTLES)).value.version == 1
    until_set("default_transaction_read_only", "off")
    await shop.store.storage.recover()
    await answer(shop, add(1))


CUT_OFF_ALL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
    "AND application_name = 'inventory-grpc'"
)


async def test_of_several_hosts_the_primary_is_used_for_writes_and_reads(url: str) -> None:
    primary = str(conninfo_to_dict(url)["host"])
    with own_folder() as folder:
        programs = postgres.programs()
        assert programs is not None
        PostgresServer(programs, Path(primary)).standby(folder)
        for hosts in (f"{folder},{primary}", f"{primary},{folder}"):
            named = url.replace(f"host={primary}", f"host={hosts}")
            async with open_store(Settings(database=named), NOON) as opened:
                shop = player(Store(opened.storage, opened.log, opened.views), ManualClock())
                await shop.writer.start()
                before = await opened.log.head()
                await answer(shop, add(1))
                assert await opened.log.head() == before + 1
        alone = url.replace(f"host={primary}", f"host={folder}")
        with pytest.raises(StorageError) as caught:
            async with open_store(Settings(database=alone), NOON):
                pass
        assert caught.value.public_message() == f"the database is read-only: {STANDBY}"


async def test_another_log_behind_the_url_is_refused_for_reads_and_writes(
    shop: Player, url: str
) -> None:
    """Such as of another database, to which a name now leads."""
    await answer(shop, add(5))
    execute(url, "UPDATE log SET log_id = reverse(log_id)")
    execute(url, CUT_OFF_ALL)
    refusals = []
    for attempt in (
        lambda: answer(shop, add(1)),
        shop.store.storage.recover,
        shop.store.storage.recover,
        lambda: shop.store.views.latest.get(KETTLES),
    ):
        with pytest.raises(StorageError) as caught:
            await attempt()
        refusals.append(caught.value.fault)
    assert refusals == [Fault.BROKEN, Fault.REWOUND, Fault.REWOUND, Fault.REWOUND]
    execute(url, "UPDATE log SET log_id = reverse(log_id)")
    await shop.store.storage.recover()
    await answer(shop, add(1))


async def test_a_reader_that_connects_to_a_log_without_what_was_seen_is_refused(
    shop: Player, url: str
) -> None:
    """A fresh server may have given the positions a second meaning by then."""
    await answer(shop, add(5), add(1))
    execute(url, "DELETE FROM events WHERE position = 2")
    execute(url, CUT_OFF_ALL)
    for _ in range(2 * THREADS):
        with pytest.raises(StorageError) as caught:
            await shop.store.event_log.head()
    assert caught.value.fault is Fault.REWOUND


@pytest.mark.parametrize(
    "refuse", [lambda error: refusal_of(error, 1.0), lambda e: refusal_of_read(e, 1.0)]
)
def test_a_log_without_what_was_seen_is_told_in_its_own_words(
    refuse: Callable[[StorageError], object],
) -> None:
    refusal = refuse(StorageError(Fault.REWOUND))
    assert isinstance(refusal, LogDamaged)
    assert "lacks events that were seen" in str(refusal)
    assert "verify" in str(refuse(StorageError(Fault.DAMAGED)))


async def test_readers_that_connect_together_are_all_closed(url: str) -> None:
    async with open_store(Settings(database=url), NOON):
        pass

    class Slow(Wire):
        """Takes its time to say whether it is closed, so others are asked meanwhile."""

        @property
        def is_closed(self) -> bool:
            time.sleep(0.05)
            return super().is_closed

    class SlowServer(Server):
        def reader(self) -> Wire:
            return Slow(self.connect({}))

    found = Readers(SlowServer(url), SeenLog())
    reading, seen = threading.Barrier(THREADS), list[Wire]()

    def read(wire: Wire) -> None:
        seen.append(wire)
        reading.wait(20)

    for _ in range(2):
        await asyncio.gather(*(found.read(read) for _ in range(THREADS)))
        for wire in seen[:THREADS]:
            wire.close()
    await found.close()
    found.shut_down()
    assert len(seen) == 2 * THREADS
    assert all(wire.is_closed for wire in seen)


def test_a_session_keeps_no_statements_that_were_prepared_before_an_error(url: str) -> None:
    fine, failing = Statement("SELECT 1"), Statement("SELECT 1 / $zero::int8")
    with closing(Server(url).writer()) as wire:
        for _ in range(5):
            with pytest.raises(Failed):
                wire.run([fine.bind(), failing.bind(zero=0)])
        wire.query("BEGIN")
        wire.query(fine)
        wire.query("ROLLBACK")
        assert wire.value("SELECT count(*) FROM pg_prepared_statements") == 1


async def test_a_lock_that_another_session_keeps_is_busy_and_nothing_is_written(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(server._OF_WRITER, "lock_timeout", "100ms")
    async with open_store(Settings(database=url), NOON) as opened:
        shop = player(Store(opened.storage, opened.log, opened.views), ManualClock())
        await shop.writer.start()
        with closing(psycopg.connect(url, autocommit=True)) as other:
            key = lock_key(opened.log.log_id)
            other.execute("SELECT pg_advisory_lock(%s)", (key,))
            for _ in range(2):
                with pytest.raises(StorageError) as caught:
                    await answer(shop, add(5))
                assert (caught.value.fault, caught.value.committing) == (Fault.BUSY, False)
            waits: LockWait = opened.maintenance  # type: ignore[assignment]
            assert waits._since is not None
        await answer(shop, add(5))
        assert waits._since is None
        assert await opened.log.head() == 1


@pytest.mark.parametrize(
    ("error", "is_long"),
    [
        (Failed("busy", lock_wait.LOCK_NOT_AVAILABLE), True),
        (Failed("cancelled", "57014"), False),
        (Lost("gone"), False),
        (StorageError(Fault.REWOUND), False),
        (None, False),
    ],
)
def test_only_a_lock_that_is_held_counts_as_a_wait(
    error: Exception | None, monkeypatch: pytest.MonkeyPatch, *, is_long: bool
) -> None:
    monkeypatch.setattr(lock_wait, "REPORT_SECONDS", 0.0001)
    wait = LockWait()
    with suppress(Failed, Lost, StorageError), wait:
        if error is not None:
            raise error
    asyncio.run(asyncio.sleep(0.001))
    wait.check()
    assert wait.blocks_commands is is_long


async def test_a_violated_key_is_busy_once_and_a_bug_when_it_comes_again(
    shop: Player, url: str
) -> None:
    await answer(shop, add(5))
    # the next event has this version, of which the log knows nothing
    execute(
        url,
        "INSERT INTO events (position, stream, version, ordinal, kind, hash, event) "
        "SELECT 99, stream, 2, 0, kind, hash, event FROM events WHERE position = 1",
    )
    storage = shop.store.storage
    assert isinstance(storage, PostgresStorage)

    def write(transaction: Transaction) -> None:
        appending(add(1))(transaction)

    with pytest.raises(StorageError) as caught:
        await storage.transact(write)
    assert caught.value.fault is Fault.BUSY
    with pytest.raises(Failed, match="duplicate key"):
        await storage.transact(write)
