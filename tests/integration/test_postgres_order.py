"""Writers on PostgreSQL take turns, and positions become visible in their order.

The lock is for order and fairness: without it, unique keys still let no writer take the position of
another one.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, closing
from itertools import pairwise
from typing import Any, Final

import psycopg
import pytest
from psycopg import sql

from inventory_grpc.application.failures import OutcomeUnknown, Unavailable
from inventory_grpc.application.ledger import circuit_breaker
from inventory_grpc.infrastructure.postgres import first_trip
from inventory_grpc.infrastructure.postgres.duplicates import UNIQUE_VIOLATION, Duplicates
from inventory_grpc.infrastructure.postgres.first_trip import LOCK
from inventory_grpc.infrastructure.postgres.statement import Statement
from inventory_grpc.infrastructure.postgres.storage import PostgresStorage
from inventory_grpc.infrastructure.postgres.wire import Failed
from tests.support import postgres
from tests.support.effort import runs
from tests.support.opened import Opened, checked, events, opened, requests_of
from tests.support.world import add

SHOPS: Final = 3
NO_LOCK: Final = Statement("SELECT $key::int8::text")
RETRY_SECONDS: Final = 0.01

CALLERS: Final = 64
"""Of each writer, so that one always has the next batch ready."""

LARGEST_SHARE: Final = 1.3
"""The batches of the busiest writer, as a multiple of those of any other."""

LEAST_TURNS: Final = 0.75
"""The share of batches after which another writer has the next one."""


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.empty_schema() as url:
        yield url


@pytest.fixture
async def shops(url: str) -> AsyncIterator[list[Opened]]:
    """Return three engines, each of which would be a process of its own."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(opened(url)) for _ in range(SHOPS)]


@pytest.fixture
def conflicts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the violations of unique keys, as they come."""
    found: list[str] = []
    note: Callable[..., None] = Duplicates.note

    def noting(duplicates: Duplicates, error: Exception) -> None:
        cause = error.__cause__
        if isinstance(cause, Failed) and cause.state == UNIQUE_VIOLATION:
            found.append(str(cause))
        note(duplicates, error)

    monkeypatch.setattr(Duplicates, "note", noting)
    return found


async def _insist(shop: Opened, request_id: str) -> int:
    """Ask until it is answered; return the position."""
    while True:
        try:
            return (await shop.record(add(1), request_id)).position
        except (Unavailable, OutcomeUnknown):
            await asyncio.sleep(RETRY_SECONDS)


@pytest.mark.parametrize("lock", [LOCK, NO_LOCK], ids=["with the lock", "without it"])
async def test_three_writers_lose_and_repeat_nothing_and_with_the_lock_they_never_collide(
    shops: list[Opened],
    url: str,
    conflicts: list[str],
    lock: Statement,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(first_trip, "LOCK", lock)
    monkeypatch.setattr(circuit_breaker, "FIRST_WAIT_SECONDS", 0.02)
    monkeypatch.setattr(circuit_breaker, "MAX_WAIT_SECONDS", 0.05)
    each = runs(least=60, ci=150, deep=3_000)

    async def call(number: int) -> dict[str, int]:
        names = [f"{number}-{one}" for one in range(each)]
        return {name: await _insist(shops[number % SHOPS], name) for name in names}

    answered = await asyncio.gather(*(call(number) for number in range(2 * SHOPS)))
    positions = {name: position for one in answered for name, position in one.items()}
    assert bool(conflicts) == (lock is NO_LOCK)
    log = events(url)
    assert {event.request_id: event.position for event in log} == positions
    assert requests_of(log) == dict.fromkeys(positions, 1)
    assert sorted(positions.values()) == list(range(1, len(positions) + 1))
    assert checked(url).position == len(positions)


async def test_no_writer_has_much_more_batches_than_another(
    shops: list[Opened], monkeypatch: pytest.MonkeyPatch
) -> None:
    order, total = list[PostgresStorage](), runs(least=200, ci=300, deep=3_000)
    committed, over = PostgresStorage._committed, asyncio.Event()

    def counted(storage: PostgresStorage, transaction: object) -> None:
        order.append(storage)
        if len(order) == total:
            loop.call_soon_threadsafe(over.set)
        committed(storage, transaction)  # type: ignore[arg-type]

    async def call(shop: Opened) -> None:
        while not over.is_set():
            await shop.record(add(1))

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(PostgresStorage, "_committed", counted)
    await asyncio.gather(*(call(shop) for shop in shops for _ in range(CALLERS)))
    batches = Counter(order)
    assert len(batches) == SHOPS
    turns = sum(one is not following for one, following in pairwise(order))
    assert turns > LEAST_TURNS * len(order)
    assert max(batches.values()) <= LARGEST_SHARE * min(batches.values()), batches


class Tail:
    """A reader who goes on behind the last number that it has seen."""

    def __init__(self, connection: psycopg.Connection[Any], table: str) -> None:
        self._connection = connection
        query = "SELECT position FROM {} WHERE position > %s ORDER BY position"
        self._after = sql.SQL(query).format(sql.Identifier(table))
        self.seen: list[int] = []

    def read(self) -> None:
        last = self.seen[-1] if self.seen else 0
        self.seen += [n for (n,) in self._connection.execute(self._after, (last,)).fetchall()]


def test_a_reader_of_a_bare_sequence_misses_what_is_committed_late(url: str) -> None:
    """Numbers of a sequence are given before the commit: the next test could fail."""
    with (
        closing(psycopg.connect(url, autocommit=True)) as reader,
        closing(psycopg.connect(url)) as slow,
        closing(psycopg.connect(url, autocommit=True)) as fast,
    ):
        reader.execute("CREATE TABLE bare (position bigserial PRIMARY KEY)")
        tail = Tail(reader, "bare")
        for connection in (slow, fast):
            connection.execute("INSERT INTO bare DEFAULT VALUES")
        tail.read()
        slow.commit()
        tail.read()
    assert tail.seen == [2]


async def test_a_reader_of_the_log_misses_nothing(shops: list[Opened], url: str) -> None:
    each, writers = runs(least=60, ci=150, deep=3_000), 8
    with closing(psycopg.connect(url, autocommit=True)) as reader:
        tail = Tail(reader, "events")

        async def write(number: int) -> None:
            for _ in range(each):
                await shops[number % SHOPS].record(add(1))

        writing = asyncio.gather(*(write(number) for number in range(writers)))
        looks = 0
        while not writing.done():
            await asyncio.to_thread(tail.read)
            looks += 1
        await writing
        tail.read()
    assert looks > writers, "it seldom looked"
    assert tail.seen == list(range(1, writers * each + 1))
