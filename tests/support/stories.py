"""Stories of the pure domain: given facts, when a command, then facts or a refusal."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from inventory_grpc.domain.alerts import alerts_between
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause, Change, Event, Fact, Key
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.registry import STREAMS, SUBJECTS
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.reversal import Trail
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import EventAt, Instant, ReservationId, StockId
from tests.support.world import KETTLES, NOON


@dataclass
class MemoryBook:
    """A `Book` of dicts."""

    now: Instant = NOON
    needs_catalogue: bool = False
    streams: dict[Key, Any] = field(default_factory=dict)
    subjects: dict[Key, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    @property
    def position(self) -> int:
        return len(self.events)

    def get(self, key: Key) -> Any:  # noqa: ANN401  as the protocol has it
        if isinstance(key, EventAt):
            return self._trail(key.position)
        if type(key) in SUBJECTS:
            return self.subjects.get(key)
        state: Any = STREAMS[type(key)]
        return self.streams.get(key) or state(key)

    def recorded_state(self, key: Key) -> Any:  # noqa: ANN401  as above
        return self.get(key)

    def _trail(self, position: int) -> Trail | None:
        if position > self.position:
            return None
        return Trail(self.events[position - 1], 0, ()).followed_by(self.events)

    def require(self, keys: Collection[Key]) -> None:
        """Do nothing: everything is known."""

    def version_before(self, key: Key) -> int:
        version: int = self.get(key).version
        return version

    def let_go_overdue(self, wanted: Mapping[Key, int]) -> None:
        """Do nothing: nothing expires here."""

    def fill_due(self, stock_ids: Collection[Key], needed: Collection[Key] | None = None) -> None:
        """Do nothing: fills are facts of a story."""

    def inventory(self, stock_id: StockId) -> Inventory:
        inventory: Inventory = self.get(stock_id)
        return inventory

    def reservation(self, reservation_id: ReservationId) -> Reservation | None:
        reservation: Reservation | None = self.get(reservation_id)
        return reservation

    def record(self, movement: Change, cause: Cause = Cause()) -> None:  # noqa: B008  it is immutable
        """Have a fact happen, as a command of its own."""
        key, fact = movement
        before = self.get(key)
        after = before.then(fact, self.now)
        position = self.position + 1
        event = Event(
            position=position,
            command_position=position,
            key=key,
            version=after.version,
            record_time=self.now,
            cause=cause,
            fact=fact,
            after=after.levels,
            alerts=alerts_between(before.levels, after.levels, after.version)
            if after.levels
            else (),
        )
        self.events.append(event)
        self.streams[key] = after
        if (name := fact.subject) is not None and type(name) in SUBJECTS:
            state = self.subjects.get(name) or SUBJECTS[type(name)].begin(event)
            self.subjects[name] = state.evolve([event])


Happened = Fact | Change
"""A fact of the kettles in Lisbon, or of the stock that is named."""


def given(*happened: Happened, at: Instant = NOON) -> "Given":
    """Begin a story with what has already happened."""
    book = MemoryBook(at)
    for what in happened:
        book.record(_movement(what))
    return Given(book)


@dataclass
class Given:
    book: MemoryBook

    def when(self, command: Command, at: Instant = NOON) -> "When":
        self.book.now = at
        return When(self.book, command)


@dataclass
class When:
    book: MemoryBook
    command: Command

    def then(self, *expected: Happened) -> MemoryBook:
        """Check that exactly these facts follow; return the book in which they have."""
        movements = self.command.decide(self.book)
        assert list(movements) == [_movement(what) for what in expected]
        for movement in movements:
            self.book.record(movement)
        return self.book

    def then_in(self, stock_id: StockId, *facts: Fact) -> MemoryBook:
        """Check that exactly these facts of one stock follow."""
        return self.then(*((stock_id, fact) for fact in facts))

    def then_refused(self, expected: Refusal) -> None:
        """Check that *expected* is raised, down to every field of it."""
        with pytest.raises(type(expected)) as refused:
            self.command.decide(self.book)
        assert fields_of(refused.value) == fields_of(expected)
        assert str(refused.value) == str(expected)
        assert refused.value.facts() == expected.facts()


def fields_of(refusal: BaseException) -> Mapping[str, object]:
    return {name: value for name, value in vars(refusal).items() if not name.startswith("_")}


def _movement(what: Happened) -> Change:
    return what if isinstance(what, tuple) else (KETTLES, what)
