"""The ledger acknowledges nothing that storage has lost, and recovers by itself."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from inventory_grpc.application.failures import (
    LogDamaged,
    OutcomeUnknown,
    ShuttingDown,
    StorageFull,
    WritesRefused,
)
from inventory_grpc.application.ledger import loop as ledger
from inventory_grpc.application.ledger import upkeep
from inventory_grpc.application.ledger.circuit_breaker import BreakerState
from inventory_grpc.application.ledger.loop import LedgerBroken
from inventory_grpc.application.ledger.mailbox import Entry
from inventory_grpc.application.ports import Expected, Fault, KeptTime, StorageError, Transaction
from inventory_grpc.domain.event import Event
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import InsufficientStock
from tests.support.clock import ManualClock
from tests.support.engine import PATIENCE_SECONDS, Engine, assemble, running, settle, until
from tests.support.history import Faulty, appending
from tests.support.model import Model
from tests.support.scribe import events_of
from tests.support.stores import TroubledStore, in_memory
from tests.support.world import KETTLES, MINUTE, NOON, add, remove, reserve

BROKEN = StorageError(Fault.BROKEN)
COMMIT_FAILED = StorageError(Fault.BROKEN, committing=True)
BUSY = StorageError(Fault.BUSY)


async def mended(engine: Engine) -> None:
    """Wait until the breaker has closed again."""
    await until(lambda: engine.breaker.state is BreakerState.CLOSED)


async def test_a_failure_is_told_and_nothing_was_recorded(
    engine: Engine, troubled: TroubledStore
) -> None:
    await engine.record(add(5))
    troubled.fail_next(BROKEN)
    with pytest.raises(WritesRefused) as refused:
        await engine.record(add(1))
    assert refused.value.retry_seconds > 0
    assert engine.breaker.state is BreakerState.OPEN
    assert len(await engine.log()) == 1


async def test_while_it_is_broken_commands_are_refused_at_once_and_reads_go_on(
    engine: Engine, troubled: TroubledStore
) -> None:
    await engine.record(add(5))
    troubled.break_down(BROKEN)
    with pytest.raises(WritesRefused):
        await engine.record(add(1))
    begun = troubled.transactions
    for _ in range(5):
        with pytest.raises(WritesRefused):
            await engine.record(add(1))
    assert troubled.transactions == begun
    assert (await engine.queries.latest(1).get(KETTLES)).value.levels == Levels(5, 0)
    troubled.mend()


async def test_it_is_reopened_by_the_ledger_itself_and_writes_go_on(
    engine: Engine, troubled: TroubledStore
) -> None:
    await engine.record(add(5))
    troubled.fail_next(BROKEN)
    with pytest.raises(WritesRefused):
        await engine.record(add(1))
    await mended(engine)
    assert troubled.recoveries == 1
    assert (await engine.record(add(2))).position == 2
    assert (await engine.queries.latest(2).get(KETTLES)).value.levels == Levels(7, 0)


async def test_it_is_tried_again_until_it_works(engine: Engine, troubled: TroubledStore) -> None:
    troubled.break_down(BROKEN)
    with pytest.raises(WritesRefused):
        await engine.record(add(1))
    await until(lambda: troubled.recoveries >= 2)
    assert engine.breaker.state is not BreakerState.CLOSED
    troubled.mend()
    await mended(engine)
    assert (await engine.record(add(1))).position == 1


@pytest.mark.parametrize("kept", [True, False], ids=["on disk", "lost"])
async def test_after_a_commit_that_failed_the_outcome_is_unknown_and_asking_again_tells(
    engine: Engine, troubled: TroubledStore, *, kept: bool
) -> None:
    await engine.record(add(5))
    troubled.fail_next(COMMIT_FAILED, kept=kept)
    with pytest.raises(OutcomeUnknown) as unknown:
        await engine.record(reserve(2), "one")
    assert unknown.value.facts() == {"request_id": "one"}
    await mended(engine)
    again = await engine.record(reserve(2), "one")
    assert again.replayed == kept
    assert again.position == 2
    assert again.streams[0].levels == Levels(5, 2)
    assert (await engine.queries.latest(2).get(KETTLES)).value.levels == Levels(5, 2)
    assert Model(await engine.log()).shelves[KETTLES].version == 2


async def test_everybody_in_the_batch_is_told_that_it_failed(
    idle: Engine, troubled: TroubledStore
) -> None:
    troubled.fail_next(COMMIT_FAILED)
    asked = [idle.ask(add(1), f"request-{number}") for number in range(5)]
    refused = idle.ask(remove(100), "refused")
    await settle()
    run = asyncio.create_task(idle.ledger.run())
    answers = await asyncio.gather(*asked, refused, return_exceptions=True)
    assert all(isinstance(answer, OutcomeUnknown) for answer in answers)
    idle.ledger.close()
    await run
    assert await idle.log() == []


async def test_after_a_commit_that_failed_nothing_is_written_before_it_was_reopened(
    idle: Engine, troubled: TroubledStore
) -> None:
    await idle.store.storage.transact(appending(add(5), reserve(1)))
    idle.clock.go_on(31 * MINUTE)
    troubled.fail_next(COMMIT_FAILED)
    begun = troubled.transactions
    run = asyncio.create_task(idle.ledger.run())
    asked = [idle.ask(add(1)) for _ in range(3)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert not [answer for answer in answers if not isinstance(answer, Exception)]
    assert (troubled.transactions - begun, troubled.recoveries) == (1, 0)
    await mended(idle)
    idle.ledger.close()
    await run


async def test_after_a_commit_that_failed_in_a_batch_with_a_bug_nothing_more_is_written(
    idle: Engine, troubled: TroubledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, seen = troubled.transact, list[BaseException]()

    async def transact(work: object, prepare: Callable[[], Expected]) -> object:
        try:
            return await original(work, prepare)  # type: ignore[arg-type]
        except Exception as error:
            seen.append(error)
            if len(seen) == 1:  # the batch is about to be done again, one by one
                troubled.fail_next(COMMIT_FAILED)
            raise

    monkeypatch.setattr(troubled, "transact", transact)
    asked = [idle.ask(add(1)) for _ in range(3)]
    faulty = idle.ask(Faulty())
    await settle()
    run = asyncio.create_task(idle.ledger.run())
    await asyncio.gather(*asked, faulty, return_exceptions=True)
    await mended(idle)
    assert [type(error) for error in seen] == [ZeroDivisionError, StorageError]
    assert await idle.log() == []
    idle.ledger.close()
    await run


async def test_a_full_disk_and_damage_are_called_what_they_are(
    engine: Engine, troubled: TroubledStore
) -> None:
    troubled.break_down(StorageError(Fault.FULL))
    for _ in range(2):
        with pytest.raises(StorageFull) as full:
            await engine.record(add(1))
    assert full.value.retry_seconds > 0
    troubled.break_down(StorageError(Fault.DAMAGED))
    await until(lambda: engine.breaker.fault is Fault.DAMAGED)
    with pytest.raises(LogDamaged):
        await engine.record(add(1))
    troubled.mend()
    await mended(engine)


async def test_a_lock_that_others_hold_is_told_and_opens_nothing(
    engine: Engine, troubled: TroubledStore
) -> None:
    await engine.record(add(1))
    troubled.fail_next(BUSY)
    with pytest.raises(WritesRefused):
        await engine.record(add(1))
    assert engine.breaker.state is BreakerState.CLOSED
    assert (await engine.record(add(1))).position == 2


async def test_a_lock_that_others_hold_again_and_again_opens_it(
    engine: Engine, troubled: TroubledStore
) -> None:
    troubled.fail_next(*[BUSY] * 10)
    for _ in range(20):
        if engine.breaker.state is not BreakerState.CLOSED:
            break
        with pytest.raises(WritesRefused):
            await engine.record(add(1))
    assert engine.breaker.state is BreakerState.OPEN


async def test_what_was_decided_in_a_batch_that_failed_is_not_believed(
    engine: Engine, troubled: TroubledStore
) -> None:
    await engine.record(add(5))
    await engine.record(reserve(2))
    troubled.fail_next(StorageError(Fault.BUSY, committing=True))
    with pytest.raises(OutcomeUnknown):
        await engine.record(reserve(3, "r2"))
    await mended(engine)
    assert (await engine.record(reserve(3, "r3"))).streams[0].levels == Levels(5, 5)
    with pytest.raises(InsufficientStock):
        await engine.record(reserve(1, "r4"))
    assert [event.version for event in await events_of(engine.store)] == [1, 2, 3]


async def test_it_gives_up_when_it_was_broken_for_too_long(
    idle: Engine, troubled: TroubledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "GIVE_UP_SECONDS", 0.1)
    run = asyncio.create_task(idle.ledger.run())
    troubled.break_down(BROKEN)
    with pytest.raises(WritesRefused):
        await idle.record(add(1))
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(LedgerBroken):
            await run


async def test_it_does_not_give_up_on_a_full_disk(
    engine: Engine, troubled: TroubledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "GIVE_UP_SECONDS", 0.0)
    troubled.break_down(StorageError(Fault.FULL))
    with pytest.raises(StorageFull):
        await engine.record(add(1))
    await until(lambda: troubled.recoveries >= 1)
    troubled.mend()
    await mended(engine)
    assert (await engine.record(add(1))).position == 1


async def test_closing_does_not_wait_for_storage_that_is_broken(
    idle: Engine, troubled: TroubledStore
) -> None:
    troubled.break_down(BROKEN)
    run = asyncio.create_task(idle.ledger.run())
    with pytest.raises(WritesRefused):
        await idle.record(add(1))
    idle.ledger.close()
    async with asyncio.timeout(1.0):
        await run


async def test_a_bug_in_recovery_does_not_end_it(
    engine: Engine, troubled: TroubledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    recover, bugs = troubled.recover, [RuntimeError("can't start new thread")]

    async def fail_once() -> None:
        if bugs:
            raise bugs.pop()
        await recover()

    monkeypatch.setattr(troubled, "recover", fail_once)
    troubled.fail_next(BROKEN)
    with pytest.raises(WritesRefused):
        await engine.record(add(1))
    await mended(engine)
    assert not bugs
    assert (await engine.record(add(2))).position == 1


async def test_what_follows_a_commit_cannot_make_an_error_of_its_answer(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that failed is done again, one by one: what is committed would be done twice."""
    publish, bugs = engine.bus.publish, [ValueError("a bug")]

    def fail_once(events: Sequence[Event]) -> None:
        if bugs:
            raise bugs.pop()
        publish(events)

    monkeypatch.setattr(engine.bus, "publish", fail_once)
    asked = [engine.ask(add(1)) for _ in range(3)]
    assert [(await one).position for one in asked] == [1, 2, 3]
    assert not bugs
    assert (await engine.queries.latest().get(KETTLES)).value.levels == Levels(3, 0)
    assert len(await engine.log()) == 3


async def test_news_of_others_that_could_not_be_read_are_read_later(
    engine: Engine, troubled: TroubledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "FOLLOW_AGAIN_SECONDS", 0.01)
    observe, bugs = troubled.observe, [ValueError("a bug")]

    async def fail_once(work: Callable[[Transaction], object]) -> object:
        if bugs:
            raise bugs.pop()
        return await observe(work)

    await troubled.transact(appending(add(5)))
    monkeypatch.setattr(troubled, "observe", fail_once)
    engine.ledger.follow()
    await until(lambda: engine.head.position == 1)
    assert not bugs


async def test_a_writer_that_ends_leaves_nobody_waiting(
    idle: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await idle.ledger.start()
    asked = [idle.ask(add(1)), idle.ask(add(1))]
    bulk = idle.ask_all(add(1), add(1))
    await settle()

    def take(_: int) -> list[Entry]:
        raise ValueError("a bug")

    monkeypatch.setattr(idle.ledger._mailbox, "take", take)
    with pytest.raises(ValueError, match="a bug"):
        await idle.ledger.run()
    async with asyncio.timeout(PATIENCE_SECONDS):
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(answer) for answer in (*answers, *await bulk)] == [ShuttingDown] * 4
    with pytest.raises(ShuttingDown):
        await idle.record(add(1))


async def test_a_time_that_was_lost_with_a_commit_is_kept_again_after_recovery(
    troubled: TroubledStore,
) -> None:
    engine = assemble(in_memory(troubled), ManualClock(boot="first"))
    async with running(engine):
        await engine.record(add(1))
        await engine.record(add(1))
        troubled.fail_next(COMMIT_FAILED)
        with pytest.raises(OutcomeUnknown):
            await engine.record(add(1))
        troubled._tables.kept_time = None
        await mended(engine)
        await engine.record(add(1))
    assert troubled._tables.kept_time == KeptTime("first", NOON)
