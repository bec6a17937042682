"""Overdue reservations never refuse a command, and expire in short batches."""

import asyncio

import pytest

from inventory_grpc.application.ledger import expiry, upkeep
from inventory_grpc.application.ledger import loop as ledger
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.values import Never, ReservationId, Span, Ttl, Until
from tests.support.clock import ManualClock
from tests.support.engine import Engine, assemble, running, settle, until
from tests.support.history import appending, expired_in
from tests.support.model import Model
from tests.support.scribe import events_of
from tests.support.stores import Store, TroubledStore, in_memory
from tests.support.world import (
    HALF_AN_HOUR,
    KETTLES,
    MINUTE,
    SECOND,
    TOASTERS,
    add,
    extend,
    later,
    reserve,
    stock,
)


async def expired(engine: Engine) -> list[ReservationId]:
    """Return the reservations that have expired, in the order of the log."""
    return expired_in(await events_of(engine.store))


async def test_what_is_over_is_let_go_of_without_anybody_asking(engine: Engine) -> None:
    await engine.record(add(5))
    await engine.record(reserve(2))
    await engine.go_on(HALF_AN_HOUR.span - 1)
    assert await expired(engine) == []
    await engine.go_on(2)
    assert await expired(engine) == ["r1"]
    last = (await events_of(engine.store))[-1]
    assert last.cause == Cause(occur_time=later(30 * MINUTE))
    assert last.record_time == later(30 * MINUTE + 1)


async def test_at_its_very_time_a_hold_is_over(engine: Engine) -> None:
    await engine.record(add(5))
    await engine.record(reserve(2))
    await engine.go_on(HALF_AN_HOUR.span)
    assert await expired(engine) == ["r1"]


class LoopClock(ManualClock):
    """Time that passes by itself."""

    def monotonic(self) -> int:
        return round(asyncio.get_running_loop().time() * 1e6)


async def test_the_ledger_wakes_up_by_itself_when_a_hold_is_over() -> None:
    async with running(assemble(in_memory(), LoopClock())) as engine:
        await engine.record(add(5))
        await engine.record(reserve(2, expiration=Ttl(Span(50_000))))
        await until(lambda: engine.head.position == 3)
        events = await events_of(engine.store)
    assert 50_000 <= events[2].record_time - events[1].record_time < 60_000


async def held_by(store: Store, count: int) -> None:
    """Have so many customers each hold one kettle."""
    holds = (reserve(1, f"r{number}") for number in range(count))
    await store.storage.transact(appending(add(count), *holds))


async def test_what_is_over_at_once_goes_in_bounded_batches_oldest_first(
    idle: Engine, troubled: TroubledStore
) -> None:
    await held_by(idle.store, 600)
    troubled.batches.clear()
    idle.clock.go_on(31 * MINUTE)
    async with running(idle):
        await settle(100)
    assert troubled.batches == [256, 256, 88]
    assert await expired(idle) == [f"r{number}" for number in range(600)]


async def test_wide_carts_end_a_step_earlier(idle: Engine, troubled: TroubledStore) -> None:
    wide = dict.fromkeys((stock(f"product-{number}", "lisbon") for number in range(300)), 1)
    stocked = (add(10, stock_id) for stock_id in wide)
    holds = (reserve(wide, f"r{number}") for number in range(10))
    await idle.store.storage.transact(appending(*stocked, *holds))
    troubled.batches.clear()
    idle.clock.go_on(31 * MINUTE)
    async with running(idle):
        await settle(100)
    assert troubled.batches == [7 * 300, 3 * 300]
    assert max(troubled.batches) < expiry.MAX_EXPIRED_EVENTS + 500


async def test_commands_and_overdue_holds_take_turns(
    idle: Engine, troubled: TroubledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "MAX_COMMANDS", 1)
    monkeypatch.setattr(upkeep, "FORGET_PATIENCE_SECONDS", 60.0)  # it is for another story
    await held_by(idle.store, 4 * 256)
    troubled.batches.clear()
    idle.clock.go_on(31 * MINUTE)
    asked = [idle.ask(add(1, TOASTERS)) for _ in range(6)]
    await settle()
    async with running(idle):
        await asyncio.gather(*asked)
    # the first look at the log is with the first command: what is overdue is not known before
    assert troubled.batches == [1, 256, 1, 256, 1, 256, 1, 256, 1, 1]


async def test_holds_that_are_over_only_just_yield_to_what_waits(
    idle: Engine, troubled: TroubledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "MAX_COMMANDS", 1)
    await held_by(idle.store, 300)
    troubled.batches.clear()
    idle.clock.go_on(30 * MINUTE + SECOND // 10)
    asked = [idle.ask(add(1, TOASTERS)) for _ in range(4)]
    await settle()
    async with running(idle):
        await asyncio.gather(*asked)
        await settle()
    assert troubled.batches == [1, 1, 1, 1, 256, 44]


async def test_nobody_waits_long_while_very_many_holds_are_let_go_of(
    idle: Engine, troubled: TroubledStore
) -> None:
    holds = 3_000
    await held_by(idle.store, holds)
    troubled.batches.clear()
    idle.clock.go_on(31 * MINUTE)
    waits: list[int] = []
    async with running(idle):
        while not waits or not await is_done(idle):
            begun = troubled.transactions
            await idle.record(add(1, TOASTERS))
            waits.append(troubled.transactions - begun)
    assert len(await expired(idle)) == holds
    assert max(troubled.batches) <= 256
    # the answer takes some turns of the loop to its caller, and each may be a step
    assert max(waits) < 10 < sum(waits)


async def is_done(engine: Engine) -> bool:
    earliest = await engine.store.storage.observe(lambda t: t.pending().expiry)
    return earliest is None


async def test_however_many_wait_overdue_holds_get_their_turn(idle: Engine) -> None:
    await held_by(idle.store, 1_000)
    idle.clock.go_on(31 * MINUTE)
    async with running(idle):
        while not await is_done(idle):
            answers = await asyncio.gather(*(idle.ask(add(1, TOASTERS)) for _ in range(20)))
            assert len(answers) == 20
    assert len(await expired(idle)) == 1_000


async def test_two_ledgers_on_one_log_let_go_of_each_hold_once() -> None:
    store = in_memory()
    await held_by(store, 700)
    one = assemble(store)
    other = assemble(store, one.clock)
    one.clock.go_on(31 * MINUTE)
    async with running(one), running(other):
        await settle(100)
    assert sorted(await expired(one)) == sorted(f"r{number}" for number in range(700))
    assert Model(await one.log()).shelves[KETTLES].reserved == 0


async def test_a_step_of_the_wall_clock_expires_nothing(engine: Engine) -> None:
    await engine.record(add(5))
    await engine.record(reserve(2))
    engine.clock.step_wall(60 * MINUTE)
    await engine.go_on(MINUTE)
    assert await expired(engine) == []
    engine.clock.step_wall(-120 * MINUTE)
    await engine.go_on(30 * MINUTE)
    assert await expired(engine) == ["r1"]


async def test_a_hold_without_an_end_is_never_let_go_of(engine: Engine) -> None:
    await engine.record(add(5))
    await engine.record(reserve(2, expiration=Never()))
    await engine.go_on(10_000 * 24 * 60 * MINUTE)
    assert await expired(engine) == []


async def test_what_was_extended_is_over_at_its_new_time(engine: Engine) -> None:
    await engine.record(add(5))
    await engine.record(reserve(1, "longer"))
    await engine.record(reserve(1, "shorter"))
    await engine.record(extend(Until(later(40 * MINUTE)), "longer"))
    await engine.record(extend(Until(later(10 * MINUTE)), "shorter"))
    await engine.go_on(10 * MINUTE + 1)
    assert await expired(engine) == ["shorter"]
    await engine.go_on(29 * MINUTE)
    assert await expired(engine) == ["shorter"]
    await engine.go_on(MINUTE)
    assert await expired(engine) == ["shorter", "longer"]


async def test_how_long_the_oldest_has_been_overdue_can_be_asked(
    engine: Engine, troubled: TroubledStore
) -> None:
    await engine.record(add(5))
    await engine.record(reserve(2))
    assert engine.ledger.expiry_lag() == 0
    troubled.open.clear()
    engine.clock.go_on(30 * MINUTE + 7 * SECOND)
    assert engine.ledger.expiry_lag() == 7 * SECOND
    troubled.open.set()
    await engine.go_on(0)
    assert engine.ledger.expiry_lag() == 0
