"""Contract of stores on transactions: atomic, in one order, folded correctly."""

import asyncio
import threading
from collections.abc import Set as AbstractSet

import pytest

from inventory_grpc.application.outcomes import Outcome, RequestKey
from inventory_grpc.application.ports import Expected, Head, KeptTime, News, Transaction
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import InsufficientStock
from inventory_grpc.domain.reservation import Reservation, ReservationState, ReservedLine
from inventory_grpc.domain.stock import Inventory, StockAdded
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure import clocks
from tests.support.clock import ManualClock
from tests.support.history import answer_in, appending, event_of, reservation_in, stock_in
from tests.support.scribe import Scribe, events_of, log_of
from tests.support.stores import Store
from tests.support.world import (
    KETTLES,
    MINUTE,
    NOON,
    ORDER,
    PORTO_KETTLES,
    R1,
    R2,
    TOASTERS,
    add,
    commit,
    count,
    later,
    release,
    remove,
    reserve,
)


class Change(Exception):
    """Of mind, in the middle of the work."""


async def test_an_empty_log_ends_at_nothing(store: Store) -> None:
    assert await store.storage.observe(lambda t: t.head()) == Head(0, Instant(0))
    assert (await store.event_log.head()) == 0
    assert await log_of(store) == []


async def test_what_the_work_returns_is_returned(store: Store) -> None:
    assert await store.storage.transact(lambda _: "done") == "done"
    assert await store.storage.observe(lambda _: "seen") == "seen"


async def test_what_prepares_the_work_comes_before_it_on_the_same_thread(store: Store) -> None:
    seen: list[tuple[str, str]] = []

    def prepare() -> Expected:
        seen.append(("prepare", threading.current_thread().name))
        return Expected([KETTLES], [])

    await store.storage.transact(
        lambda _: seen.append(("work", threading.current_thread().name)), prepare
    )
    [(first, thread), (second, other)] = seen
    assert (first, second, thread) == ("prepare", "work", other)


async def test_work_whose_preparation_fails_is_not_done(store: Store) -> None:
    def prepare() -> Expected:
        raise Change

    with pytest.raises(Change):
        await store.storage.transact(appending(add(5)), prepare)
    assert await log_of(store) == []
    await Scribe(store).record(add(1))
    assert len(await log_of(store)) == 1


async def test_the_head_is_the_last_event_and_its_time(store: Store) -> None:
    scribe = Scribe(store)
    await scribe.record(add(5))
    scribe.clock.go_on(MINUTE)
    await scribe.record(remove(1))
    assert await store.storage.observe(lambda t: t.head()) == Head(2, later(MINUTE))
    assert (await store.event_log.head()) == 2


async def test_work_sees_what_it_has_appended(store: Store) -> None:
    def work(transaction: Transaction) -> tuple[Head, Inventory, int]:
        appending(add(5), reserve({KETTLES: 2}))(transaction)
        return (
            transaction.head(),
            stock_in(transaction, KETTLES),
            len(transaction.news_after(0, 10, _any).events),
        )

    head, inventory, events = await store.storage.transact(work)
    assert head == Head(2, NOON)
    assert inventory.levels == Levels(5, 2)
    assert events == 2


async def test_work_that_raises_leaves_no_trace(store: Store) -> None:
    scribe = Scribe(store)
    await scribe.record(add(5), reserve({KETTLES: 2}), request_id="before")
    log = await log_of(store)

    def work(transaction: Transaction) -> None:
        appending(
            add(7),
            add(3, to=TOASTERS),
            release({KETTLES: 1}),
            reserve({KETTLES: 1, TOASTERS: 1}, R2),
            request_id="within",
        )(transaction)
        raise Change

    with pytest.raises(Change):
        await store.storage.transact(work)

    def look(transaction: Transaction) -> None:
        assert transaction.head().position == 2
        assert stock_in(transaction, KETTLES).levels == Levels(5, 2)
        assert stock_in(transaction, TOASTERS) == Inventory(TOASTERS)
        assert reservation_in(transaction, R2) is None
        held = reservation_in(transaction, R1)
        assert held is not None
        assert held.lines == {KETTLES: ReservedLine(2, since=2)}
        assert answer_in(transaction, RequestKey("", "within")) is None
        assert answer_in(transaction, RequestKey("", "before")) is not None
        assert transaction.due(later(60 * MINUTE), 10) == [R1]
        assert transaction.due(later(60 * MINUTE), 10, TOASTERS) == []
        assert transaction.news_after(2, 10, _any) == ([], [])

    await store.storage.observe(look)
    assert await log_of(store) == log
    assert (await store.event_log.head()) == 2
    stock = (await store.views.latest.get(KETTLES)).value
    assert stock is not None
    assert (stock.levels, stock.version) == (Levels(5, 2), 2)
    assert (await store.views.latest.get(TOASTERS)).value is None
    assert (await store.views.latest.get(R2)).value is None


async def test_a_transaction_that_failed_is_in_nobodys_way(store: Store) -> None:
    with pytest.raises(Change):
        await store.storage.transact(_append_and_raise)
    outcome = await Scribe(store).record(add(5))
    assert outcome.position == 1
    assert [event.version for event in await events_of(store)] == [1]


def _append_and_raise(transaction: Transaction) -> None:
    appending(add(9))(transaction)
    raise Change


async def test_what_a_failed_transaction_has_begun_begins_anew(store: Store) -> None:
    def work(transaction: Transaction) -> None:
        appending(add(9), add(9, TOASTERS), reserve({TOASTERS: 1}), request_id="once")(transaction)
        raise Change

    with pytest.raises(Change):
        await store.storage.transact(work)
    scribe = Scribe(store)
    await scribe.record(add(3, TOASTERS), add(2, TOASTERS), request_id="once")
    reserved = await scribe.record(reserve({TOASTERS: 4}), commit({TOASTERS: 1}))
    assert not reserved.replayed
    stock = (await store.views.latest.get(TOASTERS)).value
    assert stock is not None
    assert (stock.levels, stock.version) == (Levels(4, 3), 4)
    held = (await store.views.latest.get(R1)).value
    assert held is not None
    assert held.lines == {TOASTERS: ReservedLine(4, committed=1, since=3)}
    assert (await store.views.latest.get(KETTLES)).value is None


async def test_a_refusal_comes_through(store: Store) -> None:
    with pytest.raises(InsufficientStock):
        await Scribe(store).record(remove(1))
    assert (await store.event_log.head()) == 0


async def test_transactions_do_not_mix(store: Store) -> None:
    scribe = Scribe(store)
    await scribe.record(add(10))
    taken = await asyncio.gather(
        *(scribe.record(remove(1)) for _ in range(15)), return_exceptions=True
    )
    assert sum(isinstance(answer, InsufficientStock) for answer in taken) == 5
    events = await events_of(store)
    assert [event.position for event in events] == list(range(1, 12))
    assert [event.version for event in events] == list(range(1, 12))
    assert events[-1].after == Levels(0, 0)


async def test_events_come_back_in_order_from_any_position(store: Store) -> None:
    await Scribe(store).record(add(5), add(5, TOASTERS), reserve({TOASTERS: 1, KETTLES: 2}))
    events = await events_of(store)

    def look(transaction: Transaction) -> None:
        for position in range(5):
            for limit in (1, 2, 10):
                some = events[position : position + limit]
                streams = [event.key for event in some]
                assert transaction.news_after(position, limit, _any) == (streams, some)

    await store.storage.observe(look)


async def test_news_have_all_streams_and_the_events_of_known_streams_and_subjects(
    store: Store,
) -> None:
    await Scribe(store).record(
        add(5), add(5, TOASTERS), reserve({TOASTERS: 1}), reserve({TOASTERS: 1, KETTLES: 2}, R2)
    )
    events = await events_of(store)
    for known in ({KETTLES}, {TOASTERS}, {R1}, {R2}, {KETTLES, R1}, set[object]()):

        def look(transaction: Transaction, known: AbstractSet[object] = known) -> News:
            return transaction.news_after(0, 10, known.__contains__)

        streams, seen = await store.storage.observe(look)
        assert streams == [KETTLES, TOASTERS, TOASTERS, TOASTERS, KETTLES]
        assert seen == [each for each in events if {each.key, each.fact.subject} & known]


def _any(_key: object) -> bool:
    return True


async def test_an_event_comes_back_as_it_was_appended(store: Store) -> None:
    cause = Cause("request-1", "actor-1", "a gift", "invoice 7", later(-MINUTE))
    event = event_of(1, KETTLES, StockAdded(5), after=Levels(5, 0), cause=cause)
    await store.storage.transact(lambda transaction: transaction.write([event], []))
    assert await store.storage.observe(lambda t: t.news_after(0, 1, _any).events) == [event]


async def test_the_answer_to_a_command_is_made_again_from_its_events(store: Store) -> None:
    scribe = Scribe(store)
    given = [
        await scribe.record(command)
        for command in (
            add(5),
            add(5, TOASTERS),
            reserve({TOASTERS: 1, KETTLES: 2}),
            commit({KETTLES: 1}),
            release(),
            add(3),
        )
    ]

    def look(transaction: Transaction) -> list[Outcome]:
        replays = transaction.replays([8, 1, 2, 3, 5, 6])
        return [replays[first] for first in (1, 2, 3, 5, 6, 8)]

    assert await store.storage.observe(look) == given


async def test_a_subject_brings_the_states_of_its_streams(store: Store) -> None:
    await Scribe(store).record(add(5), add(9, TOASTERS), reserve({TOASTERS: 1, KETTLES: 2}))
    states = await store.storage.observe(lambda t: t.states([R1, R2, PORTO_KETTLES]))
    assert states.keys() == {R1, R2, KETTLES, TOASTERS, PORTO_KETTLES}
    assert states[R2] is None
    assert states[PORTO_KETTLES] == Inventory(PORTO_KETTLES)
    assert states[TOASTERS].levels == Levels(9, 1)


async def test_a_stock_is_folded_from_all_its_events(store: Store) -> None:
    scribe = Scribe(store)
    await scribe.record(add(5), reserve(3))
    scribe.clock.go_on(MINUTE)
    await scribe.record(commit(1), count(2, expected=3), add(1, TOASTERS))
    expected = Inventory(KETTLES, Levels(2, 2), 4, later(MINUTE))
    assert await store.storage.observe(lambda t: stock_in(t, KETTLES)) == expected


async def test_a_stock_with_a_long_history_is_folded_right_at_every_length(store: Store) -> None:
    many: list[Command] = [add(2), remove(1)] * 150
    for _ in range(4):
        await store.storage.transact(appending(*many))
        head = await store.event_log.head()
        folded = await store.storage.transact(lambda t: stock_in(t, KETTLES))
        assert (folded.on_hand, folded.version) == (head // 2, head)


async def test_a_reservation_is_folded_up_to_any_command(store: Store) -> None:
    scribe = Scribe(store)
    await scribe.record(add(9), add(9, TOASTERS), reserve({KETTLES: 3, TOASTERS: 2}, order=ORDER))
    await scribe.record(commit({TOASTERS: 1}), release({KETTLES: 1}), commit())
    states = [await _folded(store, first) for first in (2, 3, 5, 6, 7)]
    assert states[0] is None
    assert [state.held for state in states if state] == [5, 4, 3, 0]
    last = states[-1]
    assert last is not None
    assert last == await store.storage.observe(lambda t: reservation_in(t, R1))
    assert last.state is ReservationState.COMMITTED
    assert last.lines == {
        KETTLES: ReservedLine(3, committed=2, released=1, since=3),
        TOASTERS: ReservedLine(2, committed=2, since=4),
    }
    assert [state.position for state in states if state] == [4, 5, 6, 8]


async def test_a_reservation_with_a_long_history_is_folded_up_to_any_command(
    store: Store,
) -> None:
    await store.storage.transact(appending(add(2_000), reserve(2_000)))
    for _ in range(4):
        await store.storage.transact(appending(*[commit({KETTLES: 1})] * 300))
        now = await store.storage.transact(lambda t: reservation_in(t, R1))
        assert now is not None
        assert now.held == 2_002 - (await store.event_log.head())
    for upto in (2, 3, 300, 501, 502, 777, 1_202):
        then = await _folded(store, upto)
        assert then is not None
        assert (then.held, then.position) == (2_002 - upto, upto)


async def test_everything_is_still_there_after_recovery(store: Store) -> None:
    scribe = Scribe(store)
    await scribe.record(add(5), reserve(2), request_id="once")
    log = await log_of(store)
    await store.storage.recover()
    assert await log_of(store) == log
    assert await store.storage.observe(lambda t: answer_in(t, RequestKey("", "once"))) is not None
    assert (await scribe.record(add(1))).position == 3


async def _folded(store: Store, first: int) -> Reservation | None:
    # the answer to a command has its reservation as it was then
    replay = (await store.storage.observe(lambda t: t.replays([first])))[first]
    return replay.subjects[0] if replay.subjects else None


async def test_the_time_that_is_kept_is_that_of_the_last_transaction_that_was_committed(
    store: Store,
) -> None:
    kept, later_on = KeptTime("first", NOON), KeptTime("second", -5)
    storage = store.storage
    if isinstance(await storage.observe(lambda t: t.time()), Instant):
        await storage.transact(lambda t: t.keep_time(kept))
        assert isinstance(await storage.observe(lambda t: t.time()), Instant)
        return
    await storage.observe(lambda t: t.keep_time(kept))
    assert await storage.observe(lambda t: t.time()) is None, "it could only read"
    await storage.transact(lambda t: t.keep_time(kept))
    assert await storage.observe(lambda t: t.time()) == kept

    def fail(transaction: Transaction) -> None:
        transaction.keep_time(later_on)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await storage.transact(fail)
    assert await storage.transact(lambda t: t.time()) == kept
    await storage.transact(lambda t: t.keep_time(later_on))
    assert await storage.transact(lambda t: t.time()) == later_on


async def test_processes_with_different_wall_clocks_have_one_time(store: Store) -> None:
    """Those of a file are on one machine; others may be on any."""
    storage, right = store.storage, ManualClock(clocks.wall(), "first")
    is_on_server = isinstance(await storage.observe(lambda t: t.time()), Instant)
    fast = ManualClock(later(60 * MINUTE, clocks.wall()), "second" if is_on_server else "first")
    log_clocks = [clock.log_clock() for clock in (right, fast)] * 2
    times = [
        await storage.transact(lambda t, one=one: one.read(t, t.head().record_time))  # type: ignore[misc]
        for one in log_clocks
    ]
    assert times == sorted(times)
    assert times[-1] - times[0] < MINUTE
    assert abs(log_clocks[0].now() - log_clocks[1].now()) < MINUTE
