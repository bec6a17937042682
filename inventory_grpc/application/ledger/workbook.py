"""The states of a batch, which decisions read, and the events that it adds."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from typing import Final, Self

from inventory_grpc.application.failures import WritesRefused
from inventory_grpc.application.ledger.atomic import MAX_EVENTS, Part
from inventory_grpc.application.ledger.needs import FillsFirst, NotRead, OverdueFirst
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ledger.terms import TermsInForce, record_terms
from inventory_grpc.application.outcomes import Outcome, PartOutcome, State
from inventory_grpc.domain.alerts import NO_ALERTS, alerts_between
from inventory_grpc.domain.book import Command, apply_event
from inventory_grpc.domain.event import Cause, Change, Event, Key, SubjectKey
from inventory_grpc.domain.refusals import CommandTooLarge, Refusal
from inventory_grpc.domain.registry import STREAMS, SUBJECTS
from inventory_grpc.domain.reversal import Trail
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import EventAt, Instant, StockId, new

_FILLING: Final = "goods that came in are being given to backorders; try again"


OWN_AT_ONCE: Final = 100
"""Events of a command of the server itself; as many of any size fit in a message."""


class Workbook:
    """The `Book` of a batch: the states of the log and of the batch's own events."""

    def __init__(
        self,
        position: int,
        now: Instant,
        cached: States,
        states: dict[Key, State] | None = None,
        *,
        needs_catalogue: bool = False,
    ) -> None:
        self.now = now
        self.needs_catalogue = needs_catalogue
        self.head = position
        """The position of the last event."""
        self.states = {} if states is None else states
        """States read or changed by this batch; they are those of the log after its commit."""
        self.recorded: list[Event] = []
        self.trails: dict[EventAt, Trail | None] = {}
        """Trails read in this transaction, as of its start."""
        self.terms: TermsInForce | None = None
        """Set if stocks may have other terms recorded than those in force."""
        self.may_let_go = False
        """Whether overdue holds expire for the current command, if it lacks units."""
        self.own = Counter[Key]()
        """The server's own events for the current command, by stream."""
        self.filled = frozenset[Key]()
        """Stocks on which fills were recorded for the current command, in a fork."""
        self.unreached = frozenset[Key]()
        """Those of them on which more fills are due than one command may record."""
        self.begun_at = position
        """The position of the last event before this batch."""
        self._earlier: Sequence[Event] = ()
        """Events of this batch that were recorded before a fork."""
        self._cached = cached

    def get(self, key: Key) -> State:
        try:
            state = self.states[key]
        except KeyError:
            state = self.recorded_state(key)
        if self.terms is not None and type(key) is StockId:
            return self._with_terms(state)
        return state

    def recorded_state(self, key: Key) -> State:
        """Return the state as it is recorded; a stock may have other terms in force."""
        try:
            return self.states[key]
        except KeyError:
            state = self._cached.get(key)
            if state is None:
                if type(key) is EventAt:
                    return self._trail(key)
                raise NotRead(keys=[key]) from None
            self.states[key] = state
            return state

    def _with_terms(self, stock: Inventory) -> Inventory:
        """Return *stock* as it will be when the terms in force are recorded, at this version."""
        change = self.terms.change(stock, self) if self.terms else None
        return stock._replace(levels=stock.levels.after(change)) if change else stock

    def _trail(self, key: EventAt) -> Trail | None:
        """Return the trail of an event, up to the last event of this batch.

        It scans the events of the batch, so that nothing has to be kept for the next command.
        """
        place = key.position - self.begun_at - 1
        if place < 0 and key not in self.trails:
            raise NotRead(keys=[key])
        events = [*self._earlier, *self.recorded]
        if place >= len(events):
            return None
        trail = self.trails[key] if place < 0 else Trail(events[place], 0, ())
        return trail.followed_by(events) if trail else None

    def follow(self, events: Sequence[Event]) -> None:
        """Update cached states by *events*, which other processes have recorded."""
        for event in events:
            if (stream := self._known_state(event.key)) is not None:
                self.states[event.key] = apply_event(stream, event)
            subject = event.fact.subject
            state = self._known_state(subject) if type(subject) in SUBJECTS else None
            if state is not None:
                self.states[subject] = state.evolve([event])

    def _known_state(self, key: Key | None) -> State | None:
        return None if key is None else self.states.get(key) or self._cached.get(key)

    def require(self, keys: Collection[Key]) -> None:
        """Raise `NotRead` for all of *keys* whose states are unknown."""
        if unread := [key for key in keys if key not in self.states and key not in self._cached]:
            raise NotRead(keys=unread)

    def version_before(self, key: Key) -> int:
        version: int = self.get(key).version
        return version - self.own[key] if self.own else version

    def let_go_overdue(self, wanted: Mapping[Key, int]) -> None:
        if self.may_let_go and wanted:
            raise OverdueFirst(wanted)

    def fill_due(self, stock_ids: Collection[Key], needed: Collection[Key] | None = None) -> None:
        self.require(stock_ids)
        due = [key for key in stock_ids if self.get(key).levels.fills_due]
        if unfilled := [key for key in due if key not in self.filled]:
            raise FillsFirst(unfilled)
        if not self.unreached.isdisjoint(due if needed is None else needed):
            raise WritesRefused(0.1, _FILLING)

    def fork(self) -> Self:
        """Return a workbook that continues from here, and leaves this one as it is."""
        forked = copy(self)
        forked.states, forked.recorded = dict(self.states), []
        forked.own = Counter(self.own)
        forked.terms = self.terms and self.terms.copy()
        forked._earlier = [*self._earlier, *self.recorded]  # noqa: SLF001  of the same class
        return forked

    def adopt(self, fork: Self) -> None:
        """Continue from *fork*, which was made of this workbook as it is."""
        self.states, self.head, self.terms = fork.states, fork.head, fork.terms
        self.recorded += fork.recorded

    def record(self, command: Command, changes: Sequence[Change], cause: Cause) -> Outcome:
        """Append the *changes* that *command* was decided to make, if any.

        If the stocks that they change have other terms in force, these come first.
        """
        if not changes:
            return self._unchanged(command)
        if self.terms is not None:
            record_terms(self, [key for key, _ in changes])
        return self.append(changes, cause)

    def record_together(self, parts: Sequence[Part]) -> Outcome:
        """Decide each command on the states that the ones before it made, and append its changes.

        After a refusal, discard this workbook, which then has some of the changes.
        """
        first, outcomes = self.head + 1, list[PartOutcome]()
        for index, (command, cause) in enumerate(parts):
            try:
                changes = command.decide(self)
            except Refusal as refusal:
                refusal.command_index = index
                raise
            if changes:
                self.append(changes, cause, first)
                outcomes.append(PartOutcome.of(self.recorded[-len(changes) :]))
            else:
                outcomes.append(self._part_unchanged(command))
            if (events := self.head - first + 1) > MAX_EVENTS:  # each of the rest may have as many
                raise CommandTooLarge(events, MAX_EVENTS)
        return Outcome(self.head, [], [], parts=tuple(outcomes))

    def append(self, changes: Sequence[Change], cause: Cause, first: int | None = None) -> Outcome:
        """Append the facts to the log as events, and update the states.

        *first* is the position of the command's first event; by default that of *changes*.
        """
        if len(changes) > 1:
            self.require([key for key, _ in changes])
        states, recorded, now = self.states, self.recorded, self.now
        streams: dict[Key, State] = {}
        about: dict[Key, list[Event]] = {}
        position = self.head
        first = first or position + 1
        for key, fact in changes:
            before = states.get(key) or self.recorded_state(key)
            after = before.then(fact, now)
            position += 1
            levels, version = after.levels, after.version
            if levels is None:
                alerts = NO_ALERTS
                self._begin_walk(before, after, position)
            else:
                alerts = alerts_between(before.levels, levels, version)
            values = (position, first, key, version, now, cause, fact, levels, alerts)
            states[key] = streams[key] = after
            recorded.append(event := new(Event, values))
            if (subject := fact.subject) is not None:
                about.setdefault(subject, []).append(event)
        self.head = position
        subjects = [self._evolve(*each) for each in about.items() if type(each[0]) in SUBJECTS]
        return new(Outcome, (position, list(streams.values()), subjects, False, ()))

    def _begin_walk(self, before: State, after: State, position: int) -> None:
        """Have the change at *position* walk to its stocks, if it changes terms."""
        key = after.key
        if isinstance(key, SubjectKey) and key.covers and before.imposes != after.imposes:
            self.terms = self.terms or TermsInForce()
            self.terms.begin(key, position)

    def append_own(self, changes: Sequence[Change], cause: Cause) -> None:
        """Append the facts of the server itself, which come before a caller's command.

        Many of them are several commands, since nobody could send less if one were too large.
        """
        for first in range(0, len(changes), OWN_AT_ONCE):
            self.append(changes[first : first + OWN_AT_ONCE], cause)
        self.own.update(key for key, _ in changes)

    def recorded_about(self, stream: Key) -> Collection[Key]:
        """Return the subjects of this batch's events of *stream*."""
        events = [event for event in (*self._earlier, *self.recorded) if event.key == stream]
        about = (event.fact.subject for event in events)
        return dict.fromkeys(key for key in about if type(key) in SUBJECTS)

    def _evolve(self, key: Key, events: Sequence[Event]) -> State:
        before = self.states[key] or SUBJECTS[type(key)].begin(events[0])
        state = self.states[key] = before.evolve(events)
        return state

    def _part_unchanged(self, command: Command) -> PartOutcome:
        """Return the answer to a command of an atomic batch that has nothing to record."""
        for key in command.touches:
            if type(key) in SUBJECTS:
                return PartOutcome(subject=key)
        return PartOutcome(next(self.recorded_state(key).version for key in command.touches))

    def _unchanged(self, command: Command) -> Outcome:
        """Return the answer to a command that has nothing to record."""
        subjects = [self.get(key) for key in command.touches if type(key) in SUBJECTS]
        streams = dict.fromkeys(key for subject in subjects for key in subject.streams)
        streams |= dict.fromkeys(key for key in command.touches if type(key) in STREAMS)
        self.require(streams)
        return Outcome(self.head, [self.recorded_state(key) for key in streams], subjects)
