"""The ledger runs commands in batches, each as if it were alone."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import cast

import pytest

from inventory_grpc.application.failures import Internal, Overloaded, ShuttingDown
from inventory_grpc.application.ledger import loop as ledger
from inventory_grpc.application.ledger import mailbox
from inventory_grpc.application.ledger.circuit_breaker import BreakerState
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Event
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import InsufficientStock
from inventory_grpc.infrastructure.codec import encoded
from tests.support.engine import PATIENCE_SECONDS, Engine, running, settle
from tests.support.history import appending
from tests.support.memory import tables
from tests.support.model import Model
from tests.support.scribe import events_of
from tests.support.stores import TroubledStore
from tests.support.world import KETTLES, TOASTERS, add, commit, remove, reserve, stock


async def test_what_is_answered_can_be_read_and_followed(engine: Engine) -> None:
    outcome = await engine.record(add(5))
    assert outcome.position == 1
    assert engine.head.position == 1
    reading = await engine.queries.latest(1).get(KETTLES)
    assert [reading.value] == outcome.streams
    assert reading.value.levels == Levels(5, 0)


async def test_a_cached_stock_is_never_older_than_an_answer(engine: Engine) -> None:
    for units in range(1, 10):
        await engine.record(add(1))
        assert (await engine.queries.latest().get(KETTLES)).value.levels.on_hand == units
        assert (await engine.queries.latest().get(KETTLES)).as_of == units


async def test_what_waits_is_recorded_in_one_transaction_in_order(
    idle: Engine, troubled: TroubledStore
) -> None:
    asked = [idle.ask(add(units)) for units in range(1, 51)]
    await settle()
    async with running(idle):
        outcomes = await asyncio.gather(*asked)
    assert troubled.batches == [50]
    assert [outcome.position for outcome in outcomes] == list(range(1, 51))
    assert [event.after.on_hand for event in await events_of(idle.store)][-1] == 1_275


async def test_of_many_who_want_the_last_units_exactly_as_many_get_them(engine: Engine) -> None:
    await engine.record(add(10))
    asked = [engine.ask(reserve(1, f"r{number}")) for number in range(100)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, InsufficientStock) for answer in answers) == 90
    model = Model(await engine.log())
    assert model.shelves[KETTLES].reserved == 10


async def test_a_refused_command_leaves_no_trace_among_the_others(idle: Engine) -> None:
    first, refused, last = idle.ask(add(5)), idle.ask(remove(6)), idle.ask(remove(5))
    async with running(idle):
        assert (await first).position == 1
        with pytest.raises(InsufficientStock):
            await refused
        assert (await last).position == 2
    assert len(await idle.log()) == 2


async def test_a_batch_holds_so_many_commands(
    idle: Engine, troubled: TroubledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "MAX_COMMANDS", 4)
    asked = [idle.ask(add(1)) for _ in range(10)]
    await settle()
    async with running(idle):
        assert [(await outcome).position for outcome in asked] == list(range(1, 11))
    assert troubled.batches == [4, 4, 2]


async def test_a_batch_stops_after_so_many_events_and_the_next_goes_on_in_order(
    idle: Engine, troubled: TroubledStore
) -> None:
    wide = dict.fromkeys((stock(f"product-{number}", "lisbon") for number in range(500)), 1)
    asked = [idle.ask(add(100, stock_id)) for stock_id in wide]
    asked += [idle.ask(reserve(wide, f"r{number}")) for number in range(11)]
    await settle()
    async with running(idle):
        positions = [(await outcome).position for outcome in asked]
    assert positions == [*range(1, 501), *range(1_000, 6_001, 500)]
    assert troubled.batches == [500 + 4 * 500, 5 * 500, 2 * 500]


async def test_a_full_mailbox_refuses_one_more_and_says_when_to_come_again(
    idle: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox, "MAX_WAITING", 3)
    asked = [idle.ask(add(1)) for _ in range(3)]
    await settle()
    with pytest.raises(Overloaded) as refused:
        await idle.record(add(1))
    assert refused.value.retry_seconds > 0
    async with running(idle):
        assert [(await outcome).position for outcome in asked] == [1, 2, 3]
        assert (await idle.record(add(1))).position == 4


async def test_a_command_whose_deadline_has_passed_is_never_begun(
    idle: Engine, troubled: TroubledStore
) -> None:
    now = asyncio.get_running_loop().time()
    late, in_time = idle.ask(add(1), deadline=now - 1), idle.ask(add(2), deadline=now + 60)
    async with running(idle):
        with pytest.raises(TimeoutError):
            await late
        assert (await in_time).position == 1
    assert len(await idle.log()) == 1
    assert troubled.transactions >= 1


async def test_a_deadline_is_looked_at_when_the_batch_begins_not_when_it_was_asked(
    engine: Engine, troubled: TroubledStore
) -> None:
    troubled.open.clear()
    engine.ask(add(1))
    await settle()
    now = asyncio.get_running_loop().time()
    late = engine.ask(add(2), deadline=now + 0.02)
    await asyncio.sleep(0.03)
    troubled.open.set()
    with pytest.raises(TimeoutError):
        await late
    await engine.record(add(4))
    assert [event.after.on_hand for event in await events_of(engine.store)] == [1, 5]


async def test_a_caller_who_leaves_before_the_command_is_begun_takes_it_along(
    idle: Engine,
) -> None:
    left, stayed = idle.ask(add(1)), idle.ask(add(2))
    await settle()
    left.cancel()
    await settle()
    async with running(idle):
        assert (await stayed).position == 1
    assert len(await idle.log()) == 1


async def test_a_caller_who_leaves_while_it_is_recorded_changes_nothing(
    engine: Engine, troubled: TroubledStore
) -> None:
    troubled.open.clear()
    left, stayed = engine.ask(add(1)), engine.ask(add(2))
    await settle()
    left.cancel()
    await settle()
    assert left.cancelled()
    troubled.open.set()
    assert (await stayed).position == 2
    assert len(await engine.log()) == 2
    assert (await engine.record(add(4))).streams[0].levels.on_hand == 7


async def test_closing_answers_what_waits_and_takes_no_more(
    idle: Engine, troubled: TroubledStore
) -> None:
    asked = [idle.ask(add(1)) for _ in range(3)]
    await settle()
    troubled.open.clear()
    run = asyncio.create_task(idle.ledger.run())
    await settle()
    idle.ledger.close()
    with pytest.raises(ShuttingDown):
        await idle.record(add(1))
    troubled.open.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await run
    assert [(await outcome).position for outcome in asked] == [1, 2, 3]


POISON = stock("poison", "lisbon")


@pytest.fixture
def _poison_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant a bug: one product's events cannot be stored."""

    def encoded_or_not(log_id: str, events: Iterable[Event]) -> Iterator[bytes]:
        for event in events:
            if event.key == POISON:
                raise ValueError("a bug")
            yield from encoded(log_id, [event])

    monkeypatch.setattr(tables, "encoded", encoded_or_not)


@pytest.mark.usefixtures("_poison_cannot_be_written")
async def test_a_faulty_command_is_not_the_fate_of_the_others(idle: Engine) -> None:
    good = [idle.ask(add(units)) for units in (1, 2, 3)]
    faulty = idle.ask(add(1, POISON))
    refused = idle.ask(remove(100))
    also_good = idle.ask(reserve({KETTLES: 6}))
    await settle()
    async with running(idle):
        assert [(await outcome).position for outcome in good] == [1, 2, 3]
        with pytest.raises(Internal) as told:
            await faulty
        with pytest.raises(InsufficientStock):
            await refused
        assert (await also_good).position == 4
        assert "bug" not in str(told.value)
        assert told.value.error_id in str(told.value)
        assert idle.breaker.state is BreakerState.CLOSED
        assert (await idle.record(add(1, TOASTERS))).position == 5
        assert Model(await idle.log()).shelves[KETTLES].reserved == 6
        assert (await idle.queries.latest().get(KETTLES)).value.levels == Levels(6, 6)


@pytest.mark.usefixtures("_poison_cannot_be_written")
async def test_what_was_decided_before_the_fault_is_decided_again_from_the_log(
    idle: Engine,
) -> None:
    await idle.store.storage.transact(appending(add(9), reserve(3, "old")))
    asked = [idle.ask(reserve(2)), idle.ask(commit(name="old")), idle.ask(add(1))]
    faulty = idle.ask(add(1, POISON))
    await settle()
    async with running(idle):
        assert [(await outcome).position for outcome in asked] == [3, 4, 5]
        with pytest.raises(Internal):
            await faulty
    model = Model(await idle.log())
    assert (model.shelves[KETTLES].on_hand, model.shelves[KETTLES].reserved) == (7, 2)


@pytest.mark.usefixtures("_poison_cannot_be_written")
async def test_a_faulty_cart_leaves_no_half_of_it(engine: Engine) -> None:
    await engine.record(add(5))
    with pytest.raises(Internal):
        await engine.record(add(1, POISON))
    assert (await engine.record(remove(5))).streams[0].levels == Levels(0, 0)
    assert [event.version for event in await events_of(engine.store)] == [1, 2]


async def test_any_number_of_faulty_commands_keeps_the_breaker_closed(engine: Engine) -> None:
    for _ in range(30):
        with pytest.raises(Internal):
            await engine.record(cast("Command", object()))
    assert engine.breaker.state is BreakerState.CLOSED
    assert (await engine.record(add(1))).position == 1


async def test_any_number_of_refusals_keeps_the_breaker_closed(engine: Engine) -> None:
    for _ in range(100):
        with pytest.raises(InsufficientStock):
            await engine.record(reserve(1))
    assert engine.breaker.state is BreakerState.CLOSED


async def test_a_caller_of_a_faulty_command_may_leave_before_it_fails(
    idle: Engine, troubled: TroubledStore
) -> None:
    run = asyncio.create_task(idle.ledger.run())
    await settle()
    troubled.open.clear()
    left = idle.ask(cast("Command", object()))
    await settle()
    left.cancel()
    await settle()
    troubled.open.set()
    await settle()
    idle.ledger.close()
    await asyncio.wait([run])
    assert run.exception() is None, "the writer is gone"
