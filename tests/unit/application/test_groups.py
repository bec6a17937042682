"""Commands in a group are independent of each other, and leave room for other callers."""

import asyncio
from collections.abc import Sequence
from itertools import chain

import pytest

from inventory_grpc.application.failures import (
    Internal,
    OutcomeUnknown,
    RequestIdReused,
    ShuttingDown,
    WritesRefused,
)
from inventory_grpc.application.ledger import batch, mailbox
from inventory_grpc.application.ledger import batch as batch_module
from inventory_grpc.application.ledger import bulk as group
from inventory_grpc.application.ledger import loop as ledger
from inventory_grpc.application.ledger.circuit_breaker import BreakerState
from inventory_grpc.application.ledger.mailbox import Answer
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.domain.book import Book
from inventory_grpc.domain.event import Change
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import InsufficientStock
from inventory_grpc.domain.stock_commands import AddStock
from tests.support.engine import PATIENCE_SECONDS, Engine, assemble, running, settle, until
from tests.support.stores import Store, TroubledStore
from tests.support.world import KETTLES, add, commit, remove, reserve

ROOM = 4


@pytest.fixture
def _little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let groups wait outside while four commands are in the mailbox, and come in by two."""
    monkeypatch.setattr(mailbox, "BULK_ROOM", ROOM)
    monkeypatch.setattr(group, "MAX_TOGETHER", 2)
    monkeypatch.setattr(ledger, "MAX_COMMANDS", 2)


little_room = pytest.mark.usefixtures("_little_room")


async def soon(answers: "asyncio.Task[Sequence[Answer]]") -> Sequence[Answer]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await answers


def positions(answers: Sequence[Answer]) -> list[int]:
    """Return where each was recorded; all were."""
    assert all(isinstance(answer, Outcome) for answer in answers), answers
    return [answer.position for answer in answers if isinstance(answer, Outcome)]


async def test_answers_come_in_the_order_of_the_commands_and_one_refused_is_no_other_ones_fate(
    store: Store,
) -> None:
    async with running(assemble(store)) as engine:
        answers = await soon(
            engine.ask_all(add(5), remove(6), reserve(2), commit(), add(1), request_ids=["a", "b"])
        )
        assert isinstance(answers[1], InsufficientStock)
        assert positions([*answers[:1], *answers[2:]]) == [1, 2, 3, 4]
        assert (await engine.queries.latest(4).get(KETTLES)).value.levels == Levels(4, 0)


async def test_a_group_is_recorded_in_one_transaction(
    engine: Engine, troubled: TroubledStore
) -> None:
    assert positions(await soon(engine.ask_all(*[add(1)] * 300))) == list(range(1, 301))
    assert troubled.batches == [300]


@pytest.mark.parametrize(("commands", "events"), [(2, 2_048), (512, 2)])
async def test_a_group_that_exceeds_a_transaction_goes_on_before_other_commands(
    idle: Engine,
    troubled: TroubledStore,
    monkeypatch: pytest.MonkeyPatch,
    commands: int,
    events: int,
) -> None:
    monkeypatch.setattr(ledger, "MAX_COMMANDS", commands)
    monkeypatch.setattr(batch, "MAX_EVENTS", events)
    five = idle.ask_all(*[add(1)] * 5)
    await settle()
    alone = idle.ask(add(100))
    await settle()
    async with running(idle):
        assert positions(await soon(five)) == [1, 2, 3, 4, 5]
        assert (await alone).position == 6
    assert troubled.batches == [2, 2, 2]
    assert idle.ledger.commands_waiting() == 0


@pytest.mark.parametrize(("commands", "events"), [(2, 2_048), (512, 2)])
async def test_what_is_left_of_a_group_is_not_begun_when_its_caller_leaves(
    engine: Engine,
    troubled: TroubledStore,
    monkeypatch: pytest.MonkeyPatch,
    commands: int,
    events: int,
) -> None:
    monkeypatch.setattr(ledger, "MAX_COMMANDS", commands)
    monkeypatch.setattr(batch, "MAX_EVENTS", events)
    troubled.open.clear()
    begun = troubled.transactions
    leaving = engine.ask_all(*[add(1)] * 5)
    await until(lambda: troubled.transactions > begun)
    leaving.cancel()
    await asyncio.wait([leaving])
    troubled.open.set()
    assert (await engine.record(add(10))).position == 3
    assert engine.ledger.commands_waiting() == 0


async def test_a_request_is_the_same_alone_and_among_others(store: Store) -> None:
    async with running(assemble(store)) as engine:
        first = await engine.record(add(5), "alone")
        again, new, twice = await soon(
            engine.ask_all(add(5), add(2), add(2), request_ids=["alone", "both", "both"])
        )
        assert again == first._replace(replayed=True)
        assert isinstance(new, Outcome)
        assert twice == new._replace(replayed=True)
        assert (await engine.record(add(2), "both")) == new._replace(replayed=True)
        [other] = await soon(engine.ask_all(add(3), request_ids=["alone"]))
        assert isinstance(other, RequestIdReused)
        assert (await engine.queries.latest(2).get(KETTLES)).value.levels == Levels(7, 0)


async def test_a_faulty_command_of_a_group_fails_alone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = AddStock.decide

    def decide_or_break(command: AddStock, book: Book) -> Sequence[Change]:
        if command == add(13):
            raise ZeroDivisionError("a bug")
        return decide(command, book)

    monkeypatch.setattr(batch_module, "PLAIN", frozenset())
    monkeypatch.setattr(AddStock, "decide", decide_or_break)
    before, faulty, after = await soon(engine.ask_all(add(1), add(13), add(2)))
    assert isinstance(faulty, Internal)
    assert positions([before, after]) == [1, 2]
    assert (await engine.queries.latest(2).get(KETTLES)).value.levels == Levels(3, 0)


async def test_no_commands_have_no_answers(idle: Engine) -> None:
    assert await soon(idle.ask_all()) == []


async def test_a_command_among_others_whose_deadline_has_passed_is_never_begun(
    idle: Engine,
) -> None:
    late = idle.ask_all(add(1), add(2), deadline=asyncio.get_running_loop().time() - 1)
    async with running(idle):
        assert [type(answer) for answer in await soon(late)] == [TimeoutError, TimeoutError]
    assert await idle.log() == []


@little_room
async def test_a_group_waits_for_room_and_single_commands_need_not(idle: Engine) -> None:
    first, second = idle.ask_all(*[add(1)] * 7), idle.ask_all(*[add(1)] * 3)
    await settle()
    assert len(idle.ledger._mailbox) == ROOM
    alone = idle.ask(add(100))
    await settle()
    assert len(idle.ledger._mailbox) == ROOM + 1
    async with running(idle):
        assert (await alone).position == ROOM + 1
        assert positions(await soon(first)) == [1, 2, 3, 4, 6, 7, 8]
        assert positions(await soon(second)) == [9, 10, 11]


@little_room
async def test_an_atomic_batch_waits_for_room_as_many_commands_do(idle: Engine) -> None:
    batches = [idle.ask_together(*[add(1)] * 3) for _ in range(4)]
    await settle()
    alone = idle.ask(add(100))
    await settle()
    assert idle.ledger.commands_waiting() == 3 + 3 + 1
    batches[2].cancel()
    await settle()
    async with running(idle):
        assert (await alone).position == 7
        assert [(await batches[one]).position for one in (0, 1, 3)] == [3, 6, 10]
    assert idle.ledger.commands_waiting() == 0


@little_room
async def test_a_transaction_takes_atomic_batches_by_their_commands(
    idle: Engine, troubled: TroubledStore
) -> None:
    batches = [idle.ask_together(add(1), add(1)) for _ in range(2)]
    await settle()
    async with running(idle):
        assert [(await one).position for one in batches] == [2, 4]
    assert troubled.batches == [2, 2]


@little_room
async def test_groups_come_in_in_the_order_they_came(idle: Engine) -> None:
    groups = [idle.ask_all(*[add(1)] * 5) for _ in range(4)]
    await settle()
    async with running(idle):
        found = [positions(await soon(answers)) for answers in groups]
    assert [*chain.from_iterable(found)] == list(range(1, 21))


@little_room
async def test_nobody_slips_in_between_the_parts_of_a_group_when_there_is_room(
    idle: Engine,
) -> None:
    first, second = idle.ask_all(*[add(1)] * ROOM), idle.ask_all(*[add(1)] * 4)
    await settle()
    slipping = idle.ask_all(*[add(1)] * 4)
    idle.ledger._mailbox.take(ROOM)  # by somebody who does nothing with them
    await settle()
    async with running(idle):
        assert positions(await soon(second)) == [1, 2, 3, 4]
        assert positions(await soon(slipping)) == [5, 6, 7, 8]
    first.cancel()


@little_room
async def test_who_leaves_while_waiting_is_not_let_in_and_keeps_nobody_out(idle: Engine) -> None:
    first, leaving, last = (idle.ask_all(*[add(1)] * size) for size in (4, 3, 3))
    await settle()
    leaving.cancel()
    await settle()
    async with running(idle):
        assert positions(await soon(first)) == [1, 2, 3, 4]
        assert positions(await soon(last)) == [5, 6, 7]


@little_room
async def test_who_leaves_gives_up_what_was_not_begun(
    engine: Engine, troubled: TroubledStore
) -> None:
    troubled.open.clear()
    leaving = engine.ask_all(*[add(1)] * 8)
    await until(lambda: len(engine.ledger._mailbox) == ROOM)
    leaving.cancel()
    await asyncio.wait([leaving])
    troubled.open.set()
    assert (await engine.record(add(10))).position == 3
    assert (await engine.queries.latest(3).get(KETTLES)).value.levels == Levels(12, 0)


@little_room
async def test_an_engine_that_closes_answers_what_is_in_and_refuses_what_waits(
    idle: Engine,
) -> None:
    inside, both, outside = (idle.ask_all(*[add(1)] * size) for size in (2, 4, 2))
    await settle()
    async with running(idle):
        idle.ledger.close()
        assert positions(await soon(inside)) == [1, 2]
        answers = await soon(both)
        assert positions(answers[:2]) == [3, 4]
        assert [type(answer) for answer in answers[2:]] == [ShuttingDown, ShuttingDown]
        assert [type(answer) for answer in await soon(outside)] == [ShuttingDown, ShuttingDown]
    assert len(await idle.log()) == 4


@little_room
async def test_when_storage_breaks_what_waits_is_refused_and_what_was_begun_is_unknown(
    engine: Engine, troubled: TroubledStore
) -> None:
    troubled.open.clear()
    ids = [f"request-{number}" for number in range(9)]
    asked = engine.ask_all(*[add(1)] * 9, request_ids=ids)
    await until(lambda: len(engine.ledger._mailbox) == ROOM)
    troubled.fail_next(StorageError(Fault.BROKEN, committing=True))
    troubled.open.set()
    answers = await soon(asked)
    assert [type(answer) for answer in answers] == [OutcomeUnknown] * 2 + [WritesRefused] * 7
    assert [str(answer.facts()["request_id"]) for answer in answers[:2]] == ids[:2]  # type: ignore[union-attr]
    assert [type(answer) for answer in await soon(engine.ask_all(add(1)))] == [WritesRefused]
    await until(lambda: engine.breaker.state is BreakerState.CLOSED)
    assert positions(await soon(engine.ask_all(*[add(1)] * 9, request_ids=ids))) == [*range(1, 10)]
