"""PostgreSQL: round trips of a batch, lost connections, lost commits and unsafe settings."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from typing import Any

import psycopg
import pytest

from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.application.queries.events import EventFilter
from inventory_grpc.application.store import Unusable
from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.values import Instant, Never, ReservationId, Span, StockId, Ttl
from inventory_grpc.infrastructure import clocks
from inventory_grpc.infrastructure.postgres import numbers, server
from inventory_grpc.infrastructure.postgres.wire import Wire
from inventory_grpc.infrastructure.store import open_store
from inventory_grpc.settings import Settings
from tests.support import postgres
from tests.support.clock import ManualClock
from tests.support.histories import player
from tests.support.opened import events, opened
from tests.support.stores import Store
from tests.support.waiting import eventually
from tests.support.world import (
    KETTLES,
    MINUTE,
    NOON,
    PORTO_KETTLES,
    TOASTERS,
    add,
    commit,
    extend,
    put,
    put_store,
    release,
    remove,
    reserve,
    retire_product,
    reverse,
    stock,
)


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.empty_schema() as url:
        yield url


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with open_store(Settings(database=url), NOON) as opened:
        yield Store(opened.storage, opened.log, opened.views)


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which each round trip of a writer adds its number of statements."""
    trips: list[int] = []
    run = Wire.run

    def counted(self: Wire, statements: Sequence[Any], *others: Any) -> Any:  # noqa: ANN401
        if threading.current_thread().name.startswith("postgres-writer"):
            trips.append(len(statements))
        return run(self, statements, *others)

    monkeypatch.setattr(Wire, "run", counted)
    return trips


async def answer(store: Store, *commands: Command) -> None:
    """Have a batch of *commands* decided by a writer without cached states."""
    writer = player(store, ManualClock(), at_hand=1).writer
    await writer.start()
    for outcome in await writer.answer([Submission.of(command) for command in commands]):
        assert isinstance(outcome, Outcome), outcome


def execute(url: str, statement: str) -> None:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute(statement.encode())


CUT_OFF_ALL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
    "AND application_name = 'inventory-grpc'"
)


@pytest.mark.parametrize(
    "command",
    [add(1), reserve(1, "r2"), commit(name="r1"), release(name="r1"), extend(Never(), "r1")],
)
async def test_a_batch_takes_two_round_trips_though_nothing_is_cached(
    store: Store, trips: list[int], command: Command
) -> None:
    await answer(store, add(5), reserve(1, "r1"))
    writer = player(store, ManualClock(), at_hand=1).writer
    await writer.start()
    trips.clear()
    [outcome] = await writer.answer([Submission.of(command)])
    assert isinstance(outcome, Outcome)
    assert len(trips) == 2


@pytest.mark.parametrize("stocks", [[KETTLES], [KETTLES, TOASTERS, PORTO_KETTLES]])
async def test_stocks_begun_elsewhere_take_one_round_trip_more(
    store: Store, url: str, trips: list[int], stocks: Sequence[StockId]
) -> None:
    writer = player(store, ManualClock()).writer
    await writer.start()
    for stock_id in stocks:  # they are refused, and the writer has the empty stocks at hand
        await writer.answer([Submission.of(remove(1, stock_id))])
    async with open_store(Settings(database=url), NOON) as opened:
        other = Store(opened.storage, opened.log, opened.views)
        await answer(other, *(add(5, stock_id) for stock_id in stocks))
    taken = []
    for _ in range(2):
        trips.clear()
        for outcome in await writer.answer([Submission.of(add(1, each)) for each in stocks]):
            assert isinstance(outcome, Outcome)
        taken.append(len(trips))
    assert taken == [3, 2]


async def test_a_connection_that_was_cut_off_is_broken_and_recovers(store: Store, url: str) -> None:
    await answer(store, add(5))
    execute(url, CUT_OFF_ALL)
    with pytest.raises(StorageError) as caught:
        await answer(store, add(1))
    assert caught.value.fault is Fault.BROKEN
    await store.storage.recover()
    await answer(store, add(1))
    kettles = (await store.views.latest.get(KETTLES)).value
    assert (kettles.levels.on_hand, kettles.version) == (6, 2)


async def test_a_log_that_ends_before_what_was_seen_is_refused(store: Store, url: str) -> None:
    await answer(store, add(5), add(1))
    execute(url, "DELETE FROM events WHERE position = 2")
    for attempt in (answer(store, add(1)), store.storage.recover()):
        with pytest.raises(StorageError) as caught:
            await attempt
        assert caught.value.fault is Fault.REWOUND


async def test_the_end_that_was_only_followed_is_seen_too(store: Store, url: str) -> None:
    """Followers have got it, so a failover that lost it must not go on from before it."""
    await answer(store, add(5))
    async with open_store(Settings(database=url), NOON) as opened:
        follower = player(Store(opened.storage, opened.log, opened.views), ManualClock()).writer
        await follower.start()
        await answer(store, add(1))
        await follower.catch_up()
        execute(url, "DELETE FROM events WHERE position = 2")
        with pytest.raises(StorageError) as caught:
            await follower.answer([Submission.of(add(1))])
        assert caught.value.fault is Fault.REWOUND


async def test_a_second_start_finds_the_log(url: str) -> None:
    settings = Settings(database=url)
    async with open_store(settings, NOON) as first, open_store(settings, NOON) as second:
        assert first.log.log_id == second.log.log_id


async def test_without_leave_no_log_is_made(url: str) -> None:
    with pytest.raises(Unusable, match="there is no inventory database"):
        async with open_store(Settings(database=url, create=False), NOON):
            pass


async def test_a_log_of_another_format_is_left_as_it_is(url: str) -> None:
    async with open_store(Settings(database=url), NOON):
        execute(url, "UPDATE log SET format = format + 1")
    with pytest.raises(Unusable, match="format"):
        async with open_store(Settings(database=url), NOON):
            pass


async def test_without_its_driver_the_error_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "inventory_grpc.infrastructure.postgres.store", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for name in [
        name for name in sys.modules if name.startswith("inventory_grpc.infrastructure.po")
    ]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(Unusable, match=r"install inventory-grpc\[postgres\]"):
        async with open_store(Settings(database="postgresql:///inventory"), NOON):
            pass


@pytest.mark.parametrize(
    "database", ["postgresql://ana:secret@db/inventory", "postgresql:///x?password=secret"]
)
def test_a_url_with_a_password_is_refused_and_not_shown(database: str) -> None:
    with pytest.raises(BadSetting, match="password") as caught:
        Settings(database=database)
    assert "secret" not in str(caught.value)


async def test_verify_names_the_row_that_differs_from_the_log(store: Store, url: str) -> None:
    await answer(store, add(5), reserve(1, "r1"))
    await answer(store, commit(name="r1"))
    whole = await verified(url)
    assert (whole.returncode, whole.stdout) == (0, "")
    assert "0 differences in 3 events" in whole.stderr
    execute(url, "UPDATE stocks SET on_hand = on_hand + 1")
    damaged = await verified(url)
    assert damaged.returncode == 1
    assert "stocks: unexpected row" in damaged.stdout
    told = " ".join(damaged.stderr.split())
    assert "only in tables made from the log: run `inventory-grpc rebuild`" in told
    execute(url, "UPDATE events SET hash = event WHERE position = 2")
    broken = await verified(url)
    assert "event 2: is missing, or breaks the hash chain" in broken.stdout
    told = " ".join(broken.stderr.split())
    assert "stop the servers and restore the database from a backup of PostgreSQL" in told


async def verified(url: str) -> "subprocess.CompletedProcess[str]":
    """Return the output of `inventory-grpc verify`."""
    command = [sys.executable, "-m", "inventory_grpc", "verify", "--database", url]
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False
    )


async def test_a_number_that_a_batch_needs_is_not_evicted_by_another_one(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbers, "KNOWN_STREAMS", 2)
    async with open_store(Settings(database=url), NOON) as opened:
        store = Store(opened.storage, opened.log, opened.views)
        writer = player(store, ManualClock()).writer
        await writer.start()
        for stock_id in (TOASTERS, KETTLES, PORTO_KETTLES):
            await writer.answer([Submission.of(add(1, stock_id))])
        both = [Submission.of(add(1, stock_id)) for stock_id in (KETTLES, TOASTERS)]
        for outcome in await writer.answer(both):
            assert isinstance(outcome, Outcome)


@pytest.mark.parametrize(
    ("named", "variables", "mode"),
    [
        ({}, {}, {"sslmode": "prefer"}),
        ({"host": "/run/postgresql"}, {}, {"sslmode": "prefer"}),
        ({"host": "db.example.com"}, {}, {"sslmode": "verify-full"}),
        ({"host": "localhost,db.example.com"}, {}, {"sslmode": "verify-full"}),
        ({"hostaddr": "192.0.2.1"}, {}, {"sslmode": "verify-full"}),
        ({}, {"PGHOST": "db.example.com"}, {"sslmode": "verify-full"}),
        ({"sslmode": "require"}, {}, {}),
        ({}, {"PGHOST": "db.example.com", "PGSSLMODE": "verify-ca"}, {}),
        ({"service": "inventory"}, {}, {}),
    ],
)
def test_beyond_this_machine_tls_is_verified_unless_a_mode_is_named(
    monkeypatch: pytest.MonkeyPatch,
    named: dict[str, str],
    variables: dict[str, str],
    mode: dict[str, str],
) -> None:
    for name in ("PGHOST", "PGHOSTADDR", "PGSSLMODE", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert server._default_sslmode(named) == mode


async def test_a_hold_ends_by_the_clock_of_the_server_and_not_by_that_of_a_fast_machine(
    url: str,
) -> None:
    def fast() -> Instant:
        return Instant(clocks.wall() + 24 * 60 * MINUTE)

    async with (
        opened(url) as right,
        opened(url, wall=fast, boot=lambda: "another machine") as ahead,
    ):
        await right.record(add(9))
        await ahead.record(reserve(2, "long", expiration=Ttl(Span(60 * MINUTE))))
        await right.record(reserve(3, "short", expiration=Ttl(Span(100_000))))
        await right.until(4)
        await ahead.record(add(1))
        assert (await right.levels(min_position=5)) == Levels(10, 2)
        assert ahead.parts.clock.difference() > 23 * 60 * MINUTE
    times = [event.record_time.ToMicroseconds() for event in events(url)]
    assert times == sorted(times)
    assert times[-1] - times[0] < MINUTE


async def test_repeated_requests_are_answered_in_as_many_round_trips_as_one(
    store: Store, trips: list[int]
) -> None:
    commands: list[Command] = [add(9), *(reserve(1, f"r{number}") for number in range(4))]
    asked = [
        Submission.of(command, Cause(f"{number}"), repr(command).encode())
        for number, command in enumerate([*commands, commit(name="r0")])
    ]
    writer = player(store, ManualClock(), at_hand=1).writer
    await writer.start()
    given = await writer.answer(asked)
    taken = []
    for some in (asked[1:2], asked):
        trips.clear()
        again = await writer.answer(some)
        assert all(isinstance(outcome, Outcome) and outcome.replayed for outcome in again)
        taken.append(len(trips))
    whole = [outcome._replace(replayed=True) for outcome in given if isinstance(outcome, Outcome)]
    assert again == whole
    assert taken == [4, 4]


async def test_repeated_requests_on_the_catalogue_are_answered_in_as_many_round_trips_as_one(
    store: Store, trips: list[int]
) -> None:
    commands: list[Command] = [
        put("kettle"),
        put("kettle", name="Kettle, red"),
        put("toaster"),
        put_store("lisbon"),
        put("kettle", name="Kettle, blue"),
        retire_product("toaster"),
    ]
    asked = [
        Submission.of(command, Cause(f"{number}"), repr(command).encode())
        for number, command in enumerate(commands)
    ]
    writer = player(store, ManualClock(), at_hand=1).writer
    await writer.start()
    given = await writer.answer(asked)
    taken = []
    for some in (asked[1:2], asked):
        trips.clear()
        again = await writer.answer(some)
        taken.append(len(trips))
    whole = [outcome._replace(replayed=True) for outcome in given if isinstance(outcome, Outcome)]
    assert again == whole
    assert taken == [taken[0]] * 2


TIMES = 12
"""A statement is planned anew five times, and then for any parameters."""
OWN_ROWS = 25
"""More rows than each time are read of a stock and two reservations."""

ROWS_READ = (
    "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int8 FROM pg_stat_user_tables "
    "WHERE schemaname = current_schema() AND relname IN "
    "('streams', 'stocks', 'subjects', 'reservations', 'reservation_lines')"
)


async def test_tables_that_grew_since_they_were_analyzed_are_not_read_for_a_few_keys(
    url: str,
) -> None:
    stocks = [stock(f"kettle-{number}", "lisbon") for number in range(400)]
    async with opened(url) as shop:
        await asyncio.gather(*(shop.record(add(9, stock_id)) for stock_id in stocks))
        holds = (reserve({stock_id: 1}, f"r{number}") for number, stock_id in enumerate(stocks))
        await asyncio.gather(*map(shop.record, holds))
    before = await read_by_all(url)
    async with opened(url) as shop:
        for number, stock_id in enumerate(stocks[:TIMES]):
            await shop.record(reserve({stock_id: 1}, f"new-{number}"))
            await shop.record(commit(name=f"r{number}"))
            assert (await shop.levels(stock_id)).on_hand == 8
            assert (await shop.parts.queries.newest.get(ReservationId(f"r{number}"))).value
    assert await read_by_all(url) - before <= TIMES * OWN_ROWS


async def read_by_all(url: str) -> int:
    """Return the rows that were read by sessions, which count them when they end."""
    sessions = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'inventory-grpc'"
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        await eventually(lambda: not connection.execute(sessions).fetchall())
        [(count,)] = connection.execute(ROWS_READ.encode()).fetchall()
    return int(count)


async def test_reversals_take_as_many_round_trips_as_one(store: Store, trips: list[int]) -> None:
    await answer(store, *(add(number) for number in range(1, 8)))
    writer = player(store, ManualClock(), at_hand=1).writer
    await writer.start()
    taken = []
    for positions in ([1], [2, 3, 4], [5, 6, 7]):
        trips.clear()
        for outcome in await writer.answer([Submission.of(reverse(one)) for one in positions]):
            assert isinstance(outcome, Outcome)
        taken.append(len(trips))
    assert taken == [taken[0]] * 3


async def test_a_page_of_large_events_is_not_read_beyond_its_bytes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    cause = Cause(reference="x" * 25_000)
    writer = player(store, ManualClock()).writer
    await writer.start()
    await writer.answer([Submission.of(add(1), cause) for _ in range(40)])
    received = 0
    run = Wire.run

    def counted(self: Wire, *asked: Any) -> Any:  # noqa: ANN401
        nonlocal received
        results = run(self, *asked)
        received += sum(
            len(one) for rows in results for row in rows for one in row if isinstance(one, bytes)
        )
        return results

    monkeypatch.setattr(Wire, "run", counted)
    for matching in (EventFilter(), EventFilter(product_ids=frozenset({"kettle"}))):
        received = 0
        page = await store.event_log.page(10, 40, matching, 512, 60_000)
        assert (len(page.events), page.scanned) == (3, 13)
        assert received < sum(map(len, page.events)) + 100
