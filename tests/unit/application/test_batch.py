"""A batch performs no I/O: it requests what it lacks, and returns its events."""

from collections.abc import Sequence

import pytest

from inventory_grpc.application.ledger import batch as batch_module
from inventory_grpc.application.ledger.atomic import AtomicBatch, Part
from inventory_grpc.application.ledger.batch import Batch
from inventory_grpc.application.ledger.driver import Prefetch, UnknownKey
from inventory_grpc.application.ledger.needs import NotRead
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.ledger.workbook import Workbook
from inventory_grpc.application.outcomes import DryRun, Outcome, RequestKey
from inventory_grpc.domain.book import Book, Command
from inventory_grpc.domain.event import Cause, Change, Event, EventOutOfOrder
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import InsufficientStock
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.reservation_facts import ReservationCommitted, StockReserved
from inventory_grpc.domain.stock import Inventory, StockAdded
from tests.support.history import doing, event_of
from tests.support.stores import in_memory
from tests.support.world import ANA, KETTLES, NOON, R1, TOASTERS, add, commit, remove, reserve


def batch(states: States | None = None) -> Batch:
    return Batch(Workbook(0, NOON, states or States()), None)


def asking(*commands: Command) -> list[Submission]:
    return [Submission.of(command) for command in commands]


def test_it_asks_for_a_state_that_it_lacks_and_goes_on_where_it_was() -> None:
    work = batch()
    work.book.states[KETTLES] = Inventory(KETTLES)
    asked = asking(add(5), add(3, TOASTERS), remove(1))
    with pytest.raises(NotRead) as lacking:
        work.answer_all(asked)
    assert lacking.value.keys == [TOASTERS]
    assert len(work.answers) == 1
    work.book.states[TOASTERS] = Inventory(TOASTERS)
    work.answer_all(asked)
    assert [event.key for event in work.book.recorded] == [KETTLES, TOASTERS, KETTLES]
    assert [event.position for event in work.book.recorded] == [1, 2, 3]


def test_nothing_of_a_cart_is_recorded_before_all_its_stocks_are_read() -> None:
    work = batch()
    work.book.states |= {KETTLES: Inventory(KETTLES, Levels(5, 0), 1), R1: None}
    with pytest.raises(NotRead):
        work.answer_all(asking(reserve({KETTLES: 1, TOASTERS: 1})))
    assert (work.book.recorded, work.answers, work.book.head) == ([], [], 0)


def test_a_refused_command_leaves_the_states_as_they_were() -> None:
    work = batch()
    before = work.book.states[KETTLES] = Inventory(KETTLES)
    work.answer_all(asking(remove(1)))
    assert isinstance(work.answers[0], InsufficientStock)
    assert work.book.states == {KETTLES: before}
    assert work.remembered == []


@pytest.mark.parametrize("commands", [[add(1)], [add(1), remove(9)]])
def test_events_that_are_discarded_end_a_batch_as_others_do(
    commands: Sequence[Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_module, "MAX_EVENTS", 3)
    parts = [Part(command, Cause(part=part)) for part, command in enumerate(commands, 1)]
    work = batch()
    work.book.states[KETTLES] = Inventory(KETTLES)
    work.answer_all([Submission.of(AtomicBatch(parts))._replace(is_dry=True)] * 9)
    assert len(work.answers) == 3
    assert work.book.recorded == []


def test_the_states_of_the_cache_are_not_changed_by_a_batch() -> None:
    states = States()
    states.keep(1, {KETTLES: Inventory(KETTLES, Levels(5, 0), 1)})
    work = batch(states)
    work.answer_all(asking(add(7)))
    assert work.book.states[KETTLES].levels == Levels(12, 0)
    assert states.get(KETTLES) == Inventory(KETTLES, Levels(5, 0), 1)


ADDED = event_of(1, KETTLES, StockAdded(5), after=Levels(5, 0))
RESERVED = event_of(
    2, KETTLES, StockReserved(R1, ANA, None, 3, NOON), version=2, after=Levels(5, 3)
)
COMMITTED = event_of(3, KETTLES, ReservationCommitted(R1, None, 1), version=3, after=Levels(4, 2))


def test_events_recorded_elsewhere_bring_cached_states_up_to_date() -> None:
    states = States()
    held = Reservation.begin(RESERVED).evolve([RESERVED])
    states.keep(2, {KETTLES: Inventory.at(RESERVED), R1: held})
    work = batch(states)
    work.book.follow([COMMITTED])
    assert work.book.get(KETTLES).levels == Levels(4, 2)
    assert work.book.get(R1).held == 2


def test_a_state_that_is_not_cached_is_not_begun_in_the_middle() -> None:
    work = batch()
    work.book.follow([RESERVED, COMMITTED])
    assert work.book.states == {}


@pytest.mark.parametrize("event", [ADDED, COMMITTED], ids=["twice", "one missed"])
def test_an_event_out_of_order_is_found_at_once(event: Event) -> None:
    states = States()
    states.keep(1, {KETTLES: Inventory.at(ADDED)})
    with pytest.raises(EventOutOfOrder):
        batch(states).book.follow([event])


def test_only_what_is_not_cached_is_expected() -> None:
    states = States()
    states.keep(1, {KETTLES: Inventory(KETTLES)})
    named = Submission.of(add(1), Cause(request_id="one"))
    known = Prefetch([named, *asking(reserve({KETTLES: 1, TOASTERS: 1}), commit())], states)
    keys, requests = known.prepare()
    assert known.states == {KETTLES: Inventory(KETTLES)}
    assert list(keys) == [R1, TOASTERS]
    assert requests == [RequestKey("", "one")]


async def test_a_command_that_touches_an_unknown_key_is_a_bug_and_not_a_loop() -> None:
    class Lost:
        touches = ("a key of no kind",)
        about = None

        def decide(self, book: Book) -> Sequence[Change]:
            return [(book.get(self.touches[0]), StockAdded(1))]

    asked = [Submission.of(Lost())]
    with pytest.raises(UnknownKey):
        await in_memory().storage.transact(doing(lambda batch: batch.answer_all(asked)))


def test_a_dry_run_has_the_outcome_of_the_command_and_leaves_the_book_as_it_was() -> None:
    work = batch()
    work.book.states[KETTLES] = Inventory(KETTLES, Levels(5, 0), 1)
    work.book.states[R1] = None
    before = dict(work.book.states)
    key = RequestKey("", "one")
    work.read.answered[key] = None
    tried = Submission.of(reserve(2), Cause(request_id="one"))._replace(is_dry=True)
    work.answer_all([tried])
    assert (work.book.recorded, work.remembered, work.book.head) == ([], [], 0)
    assert work.book.states == before
    assert work.read.answered == {key: None}
    work.answer_all([tried, Submission.of(reserve(2))])
    dry, real = work.answers
    assert (type(dry), type(real)) == (DryRun, Outcome)
    assert isinstance(dry, Outcome)
    assert isinstance(real, Outcome)
    assert dry.position == 0
    assert (dry.streams, dry.subjects) == (real.streams, real.subjects)


def test_each_dry_run_of_a_batch_is_decided_on_what_is_recorded() -> None:
    work = batch()
    work.book.states[KETTLES] = Inventory(KETTLES)
    tried = [one._replace(is_dry=True) for one in asking(add(5), remove(3), remove(2))]
    work.answer_all([tried[0], tried[1], *asking(add(2)), tried[1], tried[2]])
    assert [type(answer) for answer in work.answers] == [
        *(DryRun, InsufficientStock, Outcome, InsufficientStock, DryRun)
    ]
    assert [event.position for event in work.book.recorded] == [1]
