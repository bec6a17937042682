"""A request is done once, however often it is sent, and always answered as at first."""

import asyncio
from collections.abc import Mapping

import pytest

from inventory_grpc.application.failures import RequestIdReused
from inventory_grpc.application.ledger import upkeep
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import InsufficientStock
from inventory_grpc.domain.reservation import ReservationState
from inventory_grpc.domain.values import Never
from tests.support.engine import REMEMBER_SECONDS, Engine, assemble, running, settle
from tests.support.scribe import events_of
from tests.support.stores import TroubledStore
from tests.support.world import (
    DAY,
    KETTLES,
    MINUTE,
    ORDER,
    SECOND,
    TOASTERS,
    add,
    change_by,
    commit,
    count,
    extend,
    release,
    remove,
    reserve,
)


async def test_a_request_that_is_sent_again_is_answered_and_not_done_again(
    engine: Engine,
) -> None:
    first = await engine.record(add(5), "one")
    again = await engine.record(add(5), "one")
    assert not first.replayed
    assert again == first._replace(replayed=True)
    assert len(await engine.log()) == 1


async def test_without_a_request_id_it_is_done_as_often_as_it_is_sent(engine: Engine) -> None:
    await engine.record(add(5))
    assert (await engine.record(add(5))).streams[0].levels == Levels(10, 0)


async def test_of_a_request_that_is_sent_many_times_at_once_one_runs_and_all_are_answered(
    engine: Engine,
) -> None:
    answers = await asyncio.gather(*(engine.ask(add(5), "one") for _ in range(20)))
    assert len(await engine.log()) == 1
    assert sorted(answer.replayed for answer in answers) == [False] + [True] * 19
    assert {answer._replace(replayed=False, streams=(), subjects=()) for answer in answers} == {
        Outcome(1, (), ())
    }
    assert all(answer.streams == answers[0].streams for answer in answers)


async def test_two_of_them_in_different_batches_run_once_too(
    engine: Engine, troubled: TroubledStore
) -> None:
    troubled.open.clear()
    one = engine.ask(add(5), "one")
    await settle()
    two = engine.ask(add(5), "one")
    await settle()
    troubled.open.set()
    assert (await two).position == (await one).position == 1
    assert len(await engine.log()) == 1


async def test_other_content_under_the_same_id_is_refused_and_leaves_no_trace(
    engine: Engine,
) -> None:
    await engine.record(add(5), "one")
    for other in (add(6), remove(5), reserve(5)):
        with pytest.raises(RequestIdReused) as refused:
            await engine.record(other, "one")
        assert refused.value.facts() == {"request_id": "one"}
    assert len(await engine.log()) == 1


async def test_each_actor_has_request_ids_of_its_own(engine: Engine) -> None:
    for actor in ("ana", "ben"):
        asked = Submission.of(add(5), Cause("one", actor), f"of {actor}".encode())
        assert not (await engine.ledger.record(asked)).replayed
    assert [event.cause.actor for event in await events_of(engine.store)] == ["ana", "ben"]


async def test_a_refusal_is_not_remembered_but_judged_afresh(engine: Engine) -> None:
    with pytest.raises(InsufficientStock):
        await engine.record(remove(1), "one")
    await engine.record(add(1))
    assert not (await engine.record(remove(1), "one")).replayed
    assert (await engine.record(remove(1), "one")).replayed


STORY: Mapping[str, Command] = {
    "added": add(9),
    "also added": add(4, TOASTERS),
    "reserved": reserve({TOASTERS: 2, KETTLES: 5}),
    "reserved again": reserve({KETTLES: 5, TOASTERS: 2}),
    "extended": extend(Never()),
    "extended again": extend(Never()),
    "committed in part": commit({KETTLES: 2}, order=ORDER),
    "released in part": release({TOASTERS: 1}),
    "counted": count(1, expected=4),
    "corrected": change_by(8),
    "removed": remove(2),
    "committed": commit(),
    "committed again": commit(),
    "reserved anew": reserve(1, "r2"),
    "released": release(name="r2"),
    "released again": release(name="r2"),
}


async def test_every_command_is_answered_later_as_it_was_at_first(engine: Engine) -> None:
    first: dict[str, Outcome] = {}
    for request_id, command in STORY.items():
        first[request_id] = await engine.record(command, request_id)
        engine.clock.go_on(SECOND)
    log = await engine.log()
    for request_id, command in STORY.items():
        again = await engine.record(command, request_id)
        assert again.replayed
        assert again._replace(replayed=False) == first[request_id], request_id
    assert await engine.log() == log
    committed = first["committed"].subjects[0]
    assert committed is not None
    assert (committed.state, committed.order_id) == (ReservationState.COMMITTED, ORDER)
    assert first["reserved again"].position == 4


async def test_another_process_answers_as_the_first_did(engine: Engine) -> None:
    first = {name: await engine.record(command, name) for name, command in STORY.items()}
    async with running(assemble(engine.store)) as other:
        for request_id, command in STORY.items():
            again = await other.record(command, request_id)
            assert again == first[request_id]._replace(replayed=True)


async def test_an_answer_made_again_shows_the_expiry_only_if_it_had_happened(
    engine: Engine,
) -> None:
    await engine.record(add(5))
    first = await engine.record(reserve(2), "one")
    await engine.go_on(31 * MINUTE)
    assert (await engine.record(reserve(5, "r2"))).position == 4
    again = await engine.record(reserve(2), "one")
    assert again._replace(replayed=False) == first
    assert again.subjects
    assert again.subjects[0].state is ReservationState.ACTIVE


async def test_requests_are_forgotten_in_steps_when_they_are_old_enough(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "FORGOTTEN_AT_ONCE", 2)
    for number in range(5):
        await engine.record(add(1), f"old-{number}")
    engine.clock.go_on(6 * DAY)
    await engine.record(add(1), "recent")
    engine.clock.go_on(DAY + SECOND)
    assert REMEMBER_SECONDS == 7 * DAY / 1e6
    async with running(assemble(engine.store, engine.clock)) as restarted:
        await settle(50)
        assert (await restarted.record(add(1), "recent")).replayed
        for number in range(5):
            assert not (await restarted.record(add(1), f"old-{number}")).replayed


async def test_what_was_answered_without_events_is_remembered_as_long(engine: Engine) -> None:
    await engine.record(add(5))
    await engine.record(reserve(2, expiration=Never()))
    engine.clock.go_on(30 * DAY)
    await engine.record(reserve(2, expiration=Never()), "again")
    async with running(assemble(engine.store, engine.clock)) as restarted:
        await settle(50)
        assert (await restarted.record(reserve(2, expiration=Never()), "again")).replayed
