"""Contract of stores on request ids: recorded with the events of the request, or not at all."""

import pytest

from inventory_grpc.application.outcomes import Answered, Outcome, RequestKey
from inventory_grpc.application.ports import Transaction
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.sqlite import events as log
from tests.support.history import answer_in, reservation_in
from tests.support.scribe import Scribe
from tests.support.stores import Store
from tests.support.world import (
    KETTLES,
    MINUTE,
    NOON,
    ORDER,
    R1,
    TOASTERS,
    add,
    commit,
    later,
    policy,
    put,
    put_store,
    release,
    reserve,
)

AT_FIRST = Answered(b"fingerprint", 1, None, NOON)


async def test_an_answer_is_found_under_actor_and_request_id(store: Store) -> None:
    await Scribe(store).record(add(5))
    await store.storage.transact(lambda t: t.write([], [(RequestKey("ana", "one"), AT_FIRST)]))

    def look(transaction: Transaction) -> None:
        assert answer_in(transaction, RequestKey("ana", "one")) == AT_FIRST
        assert answer_in(transaction, RequestKey("ben", "one")) is None
        assert answer_in(transaction, RequestKey("", "one")) is None
        assert answer_in(transaction, RequestKey("ana", "two")) is None

    await store.storage.observe(look)


@pytest.mark.parametrize("actors", [["ana"], ["ben"], ["ana", "ben"]], ids=str)
async def test_of_many_requests_exactly_those_are_found_that_were_answered(
    store: Store, actors: list[str]
) -> None:
    """The last one that is stored is among them, and there are some after it."""
    await Scribe(store).record(add(5))
    answered = {RequestKey("ana", f"id-{number}"): AT_FIRST for number in range(20, 60, 3)}
    await store.storage.transact(lambda t: t.write([], [*answered.items()]))
    asked = [RequestKey(actor, f"id-{number}") for number in range(10, 80) for actor in actors]
    found = await store.storage.observe(lambda t: t.answered(asked))
    assert found == {key: answered.get(key) for key in asked}


async def test_an_answer_without_events_comes_back_as_it_was_given(store: Store) -> None:
    scribe = Scribe(store)
    await scribe.record(
        add(9), add(9, TOASTERS), reserve({KETTLES: 3, TOASTERS: 2}), commit(order=ORDER)
    )
    given = await scribe.record(commit(), request_id="again")
    assert given.subjects
    assert given.subjects[0].order_id == ORDER
    answered = await store.storage.observe(lambda t: answer_in(t, RequestKey("", "again")))
    assert answered is not None
    assert answered.outcome == given


async def test_the_answer_to_a_change_comes_back_however_many_others_there_were(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    scribe = Scribe(store)
    asked: list[Command] = []
    for name in ("Lisbon", "Lisboa", "Lissabon", "Lisbonne"):
        asked += [put(name=name), put_store(name=name), policy(safety_stock=len(name))]
    given = []
    for number, command in enumerate(asked):
        given.append(await scribe.record(command, request_id=f"r{number}"))
        scribe.clock.go_on(MINUTE)
    monkeypatch.delattr(log, "events_of_stream")
    for number, command in enumerate(asked):
        again = await scribe.record(command, request_id=f"r{number}")
        assert again == given[number]._replace(replayed=True)


async def test_an_answer_of_a_stock_alone_comes_back_too(store: Store) -> None:
    outcome = Outcome(1, [Inventory(KETTLES, Levels(5, 0), 1, NOON)], [])
    answered = Answered(b"\x00\xff", 1, outcome, NOON)
    await Scribe(store).record(add(5))
    await store.storage.transact(lambda t: t.write([], [(RequestKey("", "one"), answered)]))
    assert await store.storage.observe(lambda t: answer_in(t, RequestKey("", "one"))) == answered


async def test_forgetting_leaves_what_is_recent_enough(store: Store) -> None:
    scribe = Scribe(store)
    for number in range(5):
        await scribe.record(add(1), request_id=f"request-{number}")
        scribe.clock.go_on(MINUTE)
    assert await _forget(store, later(3 * MINUTE)) == 3
    assert await _remembered(store) == ["request-3", "request-4"]


async def test_a_request_recorded_at_the_very_moment_is_not_before_it(store: Store) -> None:
    await Scribe(store).record(add(1), request_id="request-0")
    assert await _forget(store, NOON) == 0
    assert await _forget(store, Instant(NOON + 1)) == 1


async def test_forgetting_goes_in_steps_oldest_first(store: Store) -> None:
    scribe = Scribe(store)
    for number in range(5):
        await scribe.record(add(1), request_id=f"request-{number}")
    assert await _forget(store, later(MINUTE), limit=2) == 2
    assert await _remembered(store) == ["request-2", "request-3", "request-4"]
    assert await _forget(store, later(MINUTE), limit=2) == 2
    assert await _forget(store, later(MINUTE), limit=2) == 1
    assert await _forget(store, later(MINUTE), limit=2) == 0
    assert await _remembered(store) == []


async def test_there_may_be_nothing_to_forget(store: Store) -> None:
    assert await _forget(store, later(MINUTE)) == 0
    await Scribe(store).record(add(1))
    assert await _forget(store, later(MINUTE)) == 0


async def test_what_was_forgotten_in_vain_is_remembered(store: Store) -> None:
    scribe = Scribe(store)
    for number in range(3):
        await scribe.record(add(1), request_id=f"request-{number}")

    def work(transaction: Transaction) -> None:
        assert transaction.forget(later(MINUTE), 2) == 2
        transaction.write([], [(RequestKey("", "request-4"), AT_FIRST)])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.storage.transact(work)
    assert await _remembered(store) == ["request-0", "request-1", "request-2"]
    assert await _forget(store, later(MINUTE), limit=1) == 1
    assert await _remembered(store) == ["request-1", "request-2"]


async def test_a_forgotten_request_id_can_be_used_again(store: Store) -> None:
    scribe = Scribe(store)
    await scribe.record(add(5), reserve(1), request_id="one")
    await _forget(store, later(MINUTE))
    assert (await scribe.record(release(), request_id="one")).replayed is False
    answered = await store.storage.observe(lambda t: answer_in(t, RequestKey("", "one")))
    assert answered is not None
    assert answered.position == 3
    assert await store.storage.observe(lambda t: reservation_in(t, R1)) is not None


async def _forget(store: Store, before: Instant, limit: int = 10) -> int:
    return await store.storage.transact(lambda t: t.forget(before, limit))


async def _remembered(store: Store) -> list[str]:
    names = [f"request-{number}" for number in range(5)]
    return await store.storage.observe(
        lambda t: [name for name in names if answer_in(t, RequestKey("", name))]
    )
