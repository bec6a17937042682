"""Laws of reversals, over random histories of additions, removals, counts and reversals.

Each answer is compared with a model that searches all events of the log from the beginning.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Event, Fact
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.reversal import ReverseEvent
from inventory_grpc.domain.stock import StockAdded, StockAdjusted, StockMoved, StockRemoved
from inventory_grpc.domain.values import SELLABLE, Never, StockId
from tests.support.clock import ManualClock
from tests.support.effort import runs
from tests.support.engines import on_each_engine
from tests.support.histories import assert_reached, in_a_new, kinds, player
from tests.support.scribe import events_of
from tests.support.stores import Store
from tests.support.world import (
    DAMAGED,
    KETTLES,
    TOASTERS,
    add,
    change_by,
    count,
    move,
    remove,
    reserve,
    reverse,
)

pytestmark = on_each_engine

_stocks = st.sampled_from([KETTLES, KETTLES, KETTLES, TOASTERS])
_few = st.integers(1, 4)
_states = st.sampled_from([None, None, None, DAMAGED])
Step = Command | int
"""A command, or the reversal of the event so many positions before the end of the log."""

_steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(add, st.integers(1, 9), _stocks, state=_states),
    st.builds(remove, _few, _stocks, state=_states),
    st.builds(change_by, st.sampled_from([-2, 3]), _stocks, state=_states),
    st.builds(count, st.integers(0, 9), _stocks, state=_states | st.just(SELLABLE)),
    st.builds(lambda units, stock: move(units, stock, into=DAMAGED), _few, _stocks),
    st.builds(lambda units, stock: move(units, stock, out_of=DAMAGED), _few, _stocks),
    st.builds(
        lambda stock, number: reserve({stock: 1}, f"r{number}", expiration=Never()),
        _stocks,
        st.integers(1, 3),
    ),
    *[st.sampled_from([0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 4, 6])] * 6,
    st.integers(-1, 20),
)


@dataclass
class Log:
    """All events in order, and a search through them for each question."""

    events: list[Event] = field(default_factory=list)

    def stands(self, position: int) -> bool:
        """Return whether no reversal of the event stands."""
        by = self.reversal_of(position)
        return not by or not self.stands(by)

    def reversal_of(self, position: int) -> int:
        return next(
            (event.position for event in self.events if event.fact.reverses == position),
            0,
        )

    def counts_after(self, position: int) -> Sequence[int]:
        """Return the counts of the event's stock after it that stand."""
        return [
            event.position
            for event in self.events[position:]
            if event.key == self.events[position - 1].key
            and isinstance(event.fact, StockAdjusted)
            and event.fact.counted is not None
            and (event.fact.state is None or event.fact.state in changes_of(self.at(position)))
            and self.stands(event.position)
        ]

    def at(self, position: int) -> Fact:
        return self.events[position - 1].fact

    def units(self, stock_id: StockId) -> Counter[str]:
        """Return the sums of all changes that were not undone, as if the others had never been."""
        units = Counter[str]()
        for event in self.events:
            if event.key == stock_id and not event.fact.reverses and self.stands(event.position):
                units.update(changes_of(event.fact))
        return units

    def answer(self, position: int) -> tuple[str, int]:
        """Return the name of the answer to a reversal, and a number in it."""
        if position > len(self.events):
            return "SubjectNotFound", position
        event = self.events[position - 1]
        if by := self.reversal_of(position):
            return "AlreadyReversed", by
        if not isinstance(event.fact, StockAdded | StockRemoved | StockAdjusted | StockMoved):
            return "NotReversible", 0
        if counts := self.counts_after(position):
            return "NotReversible", counts[-1]
        units = self.units(event.key)
        units.subtract(changes_of(event.fact))
        is_short = min(units.values(), default=0) < 0
        return ("InsufficientStock", 1) if is_short else ("Outcome", units.total())


def changes_of(fact: Fact) -> dict[str, int]:
    """Return the changes of the units by state, those that are sellable included."""
    match fact:
        case StockMoved(quantity, from_state, to_state):
            return {from_state or SELLABLE: -quantity, to_state or SELLABLE: quantity}
        case StockAdded() | StockRemoved() | StockAdjusted():
            return {fact.state or SELLABLE: fact.moves[0]}
    return {SELLABLE: fact.moves[0]}


async def commands_of(store: Store, steps: Sequence[Step]) -> list[Command]:
    """Return the commands of *steps*, which are done one by one to know the end of the log."""
    writer, commands = player(store, ManualClock()), list[Command]()
    for step in steps:
        if isinstance(step, int):
            step = reverse(max(1, await store.event_log.head() - step))  # noqa: PLW2901
        commands.append(step)
        await writer.play(step)
    return commands


def number_in(answer: Outcome | Refusal) -> int:
    match answer:
        case Outcome():
            on_hand: int = answer.streams[0].on_hand
            return on_hand
        case Refusal():
            facts = answer.facts()
            names = ("by_position", "short_lines")
            found = [int(facts[name]) for name in names if name in facts]
            is_missing = type(answer).__name__ == "SubjectNotFound"
            return int(facts["position"]) if is_missing else found[0] if found else 0


def test_an_event_is_reversed_once_and_not_behind_a_count_however_commands_are_batched() -> None:
    reached = Counter[str]()

    async def story(
        store: Store, commands: Sequence[Command], sizes: Sequence[int], at_hand: int
    ) -> None:
        writer, answers = player(store, ManualClock(), at_hand=at_hand), list[Outcome | Refusal]()
        for size in [*sizes, len(commands)]:
            answers += await writer.play(*commands[len(answers) :][:size])
        events, log = await events_of(store), Log()
        for command, answer in zip(commands, answers, strict=True):
            if isinstance(command, ReverseEvent):
                note(log, command, answer)
            if isinstance(answer, Outcome) and answer.position > len(log.events):
                log.events.append(events[answer.position - 1])
        assert log.events == events
        for stock_id in (KETTLES, TOASTERS):
            stock = (await store.views.latest.get(stock_id)).value
            levels = stock.levels if stock else Levels(0, 0)
            shown = Counter({SELLABLE: levels.sellable, **dict(levels.states)})
            assert log.units(stock_id) == shown

    def note(log: Log, command: ReverseEvent, answer: Outcome | Refusal) -> None:
        name, number = log.answer(command.target.position)
        assert (type(answer).__name__, number_in(answer)) == (name, number), command
        reached[name] += 1
        reached["counted"] += name == "NotReversible" and number > 0
        if name == "Outcome":
            undone = log.events[command.target.position - 1].fact
            reached["a reversal"] += undone.reverses > 0
            reached["a count"] += undone.is_count
            reached["a move"] += isinstance(undone, StockMoved)
            reached["behind a count of another state"] += any(
                event.fact.is_count and event.key == log.events[command.target.position - 1].key
                for event in log.events[command.target.position :]
            )
            twice = undone.reverses and log.events[undone.reverses - 1].fact.is_count
            reached["a count again"] += bool(twice)

    @settings(
        max_examples=runs(least=60, ci=240, deep=2_000),
        deadline=None,
        phases=set(Phase) - {Phase.shrink},  # which would take minutes
    )
    @given(
        kind=kinds,
        steps=st.lists(_steps, min_size=16, max_size=40),
        sizes=st.lists(st.integers(1, 8), max_size=8),
        at_hand=st.integers(1, 4),
    )
    def law(kind: str, steps: list[Step], sizes: list[int], at_hand: int) -> None:
        commands = in_a_new("memory", lambda store: commands_of(store, [add(6), *steps]))
        in_a_new(kind, lambda store: story(store, commands, sizes, at_hand))

    law()
    assert_reached(
        reached,
        "Outcome",
        "SubjectNotFound",
        "AlreadyReversed",
        "NotReversible",
        "counted",
        "InsufficientStock",
        "a reversal",
        "a count",
        "a move",
        "behind a count of another state",
        least=runs(least=1, ci=5, deep=20),
    )
    again = runs(least=0, ci=1, deep=5)  # three commands in a row make it, so it is rare
    assert reached["a count again"] >= again, "no count stood again"
