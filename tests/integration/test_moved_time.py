"""Expiry, forgetting and time travel over hours and weeks, on each engine.

The time of a file goes on with the clock of the process. The time of a log in PostgreSQL is that of
the server, whose wall clock libfaketime moves.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from inventory_grpc.application.ledger import upkeep
from inventory_grpc.application.ports import MonotonicClock
from inventory_grpc.application.queries.stock import find_stock
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.values import Instant, Span, Ttl
from inventory_grpc.infrastructure import clocks
from inventory_grpc.infrastructure.postgres.transaction import PostgresTransaction
from inventory_grpc.infrastructure.sqlite.transaction import SqliteTransaction
from tests.support.engines import on_each_engine
from tests.support.opened import Opened, checked, events, opened, rows
from tests.support.postgres_server import own_server
from tests.support.waiting import eventually
from tests.support.world import DAY, KETTLES, MINUTE, add, remove, reserve

pytestmark = on_each_engine

WEEK: Final = 7 * DAY
"""The time for which requests are remembered."""

HOUR: Final = 60 * MINUTE
OLD: Final = 350
AT_ONCE: Final = 100
CLOCK: Final = "clock"


class Log(NamedTuple):
    """An empty log, and what moves its time on by so many microseconds."""

    database: Path | str
    go_on: Callable[[int], None]
    monotonic: MonotonicClock = clocks.monotonic

    def opened(self) -> AbstractAsyncContextManager[Opened]:
        return opened(self.database, monotonic=self.monotonic)


@pytest.fixture
def log(on_engine: str, tmp_path: Path) -> Iterator[Log]:
    passed = [0]
    if on_engine == "sqlite":
        file = tmp_path / "inventory.db"
        yield Log(file, passed.append, lambda: clocks.monotonic() + sum(passed))
        return
    with own_server(CLOCK) as server:

        def go_on(microseconds: int) -> None:
            passed.append(microseconds)
            following = server.folder / "following"
            following.write_text(f"+{sum(passed) / 1e6:f}", "ascii")
            following.rename(server.folder / CLOCK)  # it is read at any time

        yield Log(server.url, go_on)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have requests be looked for all the time; return how many were forgotten at each look."""
    monkeypatch.setattr(upkeep, "FORGET_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(upkeep, "FORGOTTEN_AT_ONCE", AT_ONCE)
    steps: list[int] = []
    for transaction in (SqliteTransaction, PostgresTransaction):
        _count(transaction, steps, monkeypatch)
    return steps


def _count(
    transaction: type[SqliteTransaction | PostgresTransaction],
    steps: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forget: Callable[..., int] = transaction.forget

    def counting(self: object, before: Instant, limit: int) -> int:
        steps.append(forget(self, before, limit))
        return steps[-1]

    monkeypatch.setattr(transaction, "forget", counting)


async def test_requests_are_forgotten_after_their_time_in_bounded_steps(
    log: Log, steps: list[int]
) -> None:
    async with log.opened() as shop:
        await shop.record(add(1_000))
        await asyncio.gather(*(shop.record(remove(1), f"old-{n}") for n in range(OLD)))
        assert (await shop.record(remove(1), "old-0")).replayed
        log.go_on(WEEK)
        await asyncio.gather(*(shop.record(add(1), f"new-{n}") for n in range(20)))
        old = "SELECT request_id FROM requests WHERE request_id LIKE 'old%'"
        await eventually(lambda: not rows(log.database, old))
        assert (await shop.record(add(1), "new-0")).replayed
        assert not (await shop.record(remove(1), "old-0")).replayed, "it is judged afresh"
    assert max(steps) == AT_ONCE
    assert sum(steps) == OLD
    checked(log.database)


async def test_nothing_is_forgotten_before_its_time(log: Log, steps: list[int]) -> None:
    async with log.opened() as shop:
        await shop.record(add(9), "delivery")
        log.go_on(WEEK - HOUR)
        looks = len(steps)
        await eventually(lambda: len(steps) >= looks + 3)
        assert (await shop.record(add(9), "delivery")).replayed
    assert sum(steps) == 0


async def test_a_hold_expires_after_its_time_and_not_before(log: Log) -> None:
    async with log.opened() as shop:
        await shop.record(add(9))
        await shop.record(reserve(2, "short", expiration=Ttl(Span(HOUR))))
        await shop.record(reserve(3, "long", expiration=Ttl(Span(DAY))))
        log.go_on(HOUR - MINUTE)
        await shop.record(add(1))
        assert await shop.levels() == Levels(10, 5)
        log.go_on(2 * MINUTE)
        await shop.record(add(1))  # it tells the engine the time
        await eventually(lambda: "short" in _expired(log.database))
        assert await shop.levels(min_position=6) == Levels(11, 3)
        log.go_on(DAY)
        await shop.record(add(1))
        await eventually(lambda: "long" in _expired(log.database))
    model = checked(log.database)
    assert {name: one.state for name, one in model.promises.items()} == {
        "short": "expired",
        "long": "expired",
    }
    times = [event.record_time.ToMicroseconds() for event in events(log.database)]
    assert times == sorted(times)
    assert times[-1] - times[0] > DAY


def _expired(database: Path | str) -> list[str]:
    return [
        event.reservation_expired.reservation_id
        for event in events(database)
        if event.HasField("reservation_expired")
    ]


async def test_a_read_of_an_earlier_time_shows_what_was_so(log: Log) -> None:
    async with log.opened() as shop:
        for units in (1, 2, 3):
            await shop.record(add(units))
            log.go_on(DAY)
        recorded = [event.record_time.ToMicroseconds() for event in events(log.database)]
        for earlier, later in pairwise(recorded):
            assert later - earlier >= DAY
        for number, on_hand in enumerate((1, 3, 6)):
            at = await shop.parts.queries.at_time(Instant(recorded[number] + HOUR))
            assert (await find_stock(at, KETTLES)).value.levels == Levels(on_hand, 0)
