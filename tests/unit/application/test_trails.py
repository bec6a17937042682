"""A batch decides reversals by what was read as of its start, and by its own events."""

import pytest

from inventory_grpc.application.access import Scope
from inventory_grpc.application.ledger.batch import Batch
from inventory_grpc.application.ledger.driver import Prefetch, drive
from inventory_grpc.application.ledger.needs import NotRead
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.ledger.workbook import Workbook
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.ports import Transaction
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import Refusal, SubjectNotFound
from inventory_grpc.domain.reversal import AlreadyReversed, NotReversible, Trail
from inventory_grpc.domain.stock import Inventory, StockAdded
from inventory_grpc.domain.values import EventAt, StoreId
from tests.support.clock import ManualClock
from tests.support.history import event_of
from tests.support.scribe import Scribe, log_of
from tests.support.stores import Store, in_memory
from tests.support.world import (
    KETTLES,
    NOON,
    PORTO_KETTLES,
    add,
    count,
    reserve,
    reverse,
)

ADDED = event_of(1, KETTLES, StockAdded(5), after=Levels(5, 0))


def asking(*commands: Command) -> list[Submission]:
    return [Submission.of(command) for command in commands]


async def answers(store: Store, *submissions: Submission) -> list[Outcome | Refusal]:
    """Decide *submissions* in one batch, with nothing cached."""

    def work(transaction: Transaction) -> Batch:
        states = States()
        states.restart(transaction.head().position)
        known = Prefetch(submissions, states)
        known.prepare()
        clock = ManualClock().over_any_storage()
        return drive(
            transaction, states, clock, lambda batch: batch.answer_all(submissions), known
        ).batch

    return (await store.storage.transact(work)).answers


def test_a_trail_that_was_not_read_is_asked_for() -> None:
    batch = Batch(Workbook(1, NOON, States()), None)
    with pytest.raises(NotRead) as missing:
        batch.answer_all(asking(reverse(1)))
    assert missing.value.keys == [EventAt(1)]
    batch.book.trails[EventAt(1)] = Trail(ADDED, 0, ())
    batch.book.states[KETTLES] = Inventory.at(ADDED)
    batch.answer_all(asking(reverse(1)))
    [answer] = batch.answers
    assert isinstance(answer, Outcome)
    assert answer.streams[0].levels == Levels(0, 0)


def test_an_event_beyond_the_log_is_known_to_be_missing_without_a_read() -> None:
    batch = Batch(Workbook(1, NOON, States()), None)
    batch.answer_all(asking(reverse(2)))
    assert isinstance(batch.answers[0], SubjectNotFound)


async def test_what_was_recorded_in_the_same_batch_counts() -> None:
    store = in_memory()
    await Scribe(store).record(add(5))
    found = await answers(
        store,
        *asking(
            reverse(2),  # not there yet
            add(3),
            reverse(2),
            reverse(2),  # by the event at 3
            count(9),
            reverse(1),  # counted at 4
            reverse(4),
            reverse(1),
            reverse(5),  # the count stands again, and what was reversed stays so
            reverse(1),
        ),
    )
    told = [answer if isinstance(answer, Refusal) else answer.position for answer in found]
    assert isinstance(told[0], SubjectNotFound)
    assert (told[1], told[2], told[4], told[6], told[7]) == (2, 3, 4, 5, 6)
    assert isinstance(told[3], AlreadyReversed)
    assert told[3].by_position == 3
    assert isinstance(told[5], NotReversible)
    assert told[5].by_position == 4
    assert isinstance(told[9], AlreadyReversed)


async def test_a_trail_of_one_batch_is_not_used_in_the_next() -> None:
    store = in_memory()
    await Scribe(store).record(add(5))
    [first] = await answers(store, *asking(reverse(1)))
    [second] = await answers(store, *asking(reverse(1)))
    assert isinstance(first, Outcome)
    assert isinstance(second, AlreadyReversed)


async def test_a_dry_run_of_a_reversal_leaves_its_event_reversible() -> None:
    store = in_memory()
    await Scribe(store).record(add(5))
    dry, run = Submission.of(reverse(1))._replace(is_dry=True), Submission.of(reverse(1))
    first, second, third = await answers(store, dry, run, dry)
    assert isinstance(first, Outcome)
    assert isinstance(second, Outcome)
    assert first.streams == second.streams
    assert isinstance(third, AlreadyReversed)


async def test_a_fork_knows_the_events_of_the_batch_that_it_continues() -> None:
    book = Workbook(0, NOON, States())
    book.states[KETTLES] = Inventory(KETTLES)
    book.append(add(5).decide(book), Cause())
    fork = book.fork()
    fork.append(reverse(1).decide(fork), Cause())
    for command in (reverse(1), reverse(2)):
        assert (
            fork.fork().get(command.target).event
            == [*book.recorded, *fork.recorded][command.target.position - 1]
        )
    assert fork.get(EventAt(1)).reversed_by == 2
    assert book.get(EventAt(1)).reversed_by == 0
    assert book.get(EventAt(2)) is None


async def test_an_event_of_another_store_is_not_there_for_a_caller_without_it() -> None:
    store = in_memory()
    await Scribe(store).record(add(5), add(5, PORTO_KETTLES), reserve(1))
    scope = Scope(frozenset({StoreId("porto")}))
    elsewhere, own, missing = (
        Submission.of(reverse(position), scope=scope) for position in (1, 2, 9)
    )
    found = await answers(store, elsewhere, missing, own)
    assert [type(answer) for answer in found] == [SubjectNotFound, SubjectNotFound, Outcome]
    assert len(await log_of(store)) == 4


async def test_a_repeated_reversal_is_answered_from_its_event() -> None:
    store = in_memory()
    await Scribe(store).record(add(5))
    asked = Submission.of(reverse(1), Cause(request_id="typo-1"))
    [first] = await answers(store, asked)
    await Scribe(store).record(add(7))
    again, other = await answers(
        store, asked, Submission.of(reverse(2), Cause(request_id="typo-1"), b"other")
    )
    assert isinstance(first, Outcome)
    assert again == first._replace(replayed=True)
    assert type(other).__name__ == "RequestIdReused"
