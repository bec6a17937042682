"""Commands decided one after the other, without any input or output.

A `Batch` is the `Book` that decisions read. Given states and requests that were answered, it
takes commands in order: answered before? overdue? decide, append, remember. It asks for the
states it lacks by raising `NotRead`, and goes on where it was once it has been given them.
Its `recorded` events and `remembered` answers are left to be written; a batch that is not
written was a dry run.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from inventory_grpc.application.access import EVERYWHERE, Scope
from inventory_grpc.application.failures import RequestIdReused, WritesRefused
from inventory_grpc.application.ledger.question import Question, Request
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ports import Answered, Outcome, RequestKey, State
from inventory_grpc.domain.book import Command, followed
from inventory_grpc.domain.event import Cause, Change, Event, Key
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.registry import STREAMS, SUBJECTS
from inventory_grpc.domain.values import Instant, new

MAX_EVENTS: Final = 2_048
"""Events in a batch, and at most one command more."""

MAX_EXPIRED: Final = 256
"""Subjects expired in one step, and at most `MAX_EXPIRED_EVENTS` and a whole one."""

MAX_EXPIRED_EVENTS: Final = 2_048

MAX_DUE: Final = 2 * MAX_EXPIRED
"""Overdue subjects whose names are read at once; a batch may have expired some of them itself."""

DUE_AT_ONCE: Final = 32
"""Of them, states read at once: mostly the first few free enough."""


class NotRead(Exception):
    """What a batch has to be given before it can go on."""

    def __init__(
        self,
        keys: Collection[Key] = (),
        requests: Collection[RequestKey] = (),
        replay: int | None = None,
        due: Collection[Key | None] = (),
    ) -> None:
        self.keys = keys
        """The keys of states; with a subject those of its streams are read."""
        self.requests = requests
        self.replay = replay
        """The position of the first event of a command whose answer is given again."""
        self.due = due
        """Streams whose overdue subjects are needed; None is for those on any."""


@dataclass(slots=True)
class Given:
    """Everything that was read, as it was when the transaction began."""

    answered: dict[RequestKey, Answered | None] = field(default_factory=dict)
    replays: dict[int, Outcome] = field(default_factory=dict)
    due: dict[Key | None, Sequence[Key]] = field(default_factory=dict)


class Batch:
    """Commands of many callers in one transaction; none of them can tell."""

    def __init__(
        self,
        position: int,
        now: Instant,
        earliest_expiry: Instant | None,
        cached: States,
        states: dict[Key, State] | None = None,
    ) -> None:
        self.now = now
        self.head = position
        self.states = {} if states is None else states
        """Read or made by this batch. Those of the log once it is committed."""
        self.given = Given()
        self.answers: list[Outcome | Refusal] = []
        """One for each command, in order, as far as it has got."""
        self.recorded: list[Event] = []
        self.remembered: list[tuple[RequestKey, Answered]] = []
        self._cached = cached
        self._is_any_due = earliest_expiry is not None and earliest_expiry <= now
        self._expired = 0
        """Subjects expired for the command at hand."""
        self._begun = 0
        """Events recorded before the command at hand."""

    def get(self, key: Key) -> State:
        try:
            return self.states[key]
        except KeyError:
            state = self._cached.get(key)
            if state is None:
                raise NotRead(keys=[key]) from None
            self.states[key] = state
            return state

    def follow(self, events: Sequence[Event]) -> None:
        """Bring cached states up to date with *events*, which were recorded elsewhere."""
        for event in events:
            if (stream := self._at_hand(event.key)) is not None:
                self.states[event.key] = followed(stream, event)
            subject = event.fact.subject
            if (state := self._at_hand(subject)) is not None:
                self.states[subject] = state.evolve([event])

    def _at_hand(self, key: Key | None) -> State | None:
        return None if key is None else self.states.get(key) or self._cached.get(key)

    def answer_all(self, asked: Sequence[Question]) -> None:
        """Answer as many as fit in one transaction, in order.

        Raises:
            NotRead: to be called again, once it was given that.
        """
        for command, request in asked[len(self.answers) :]:
            if len(self.recorded) >= MAX_EVENTS:
                break
            answer: Outcome | Refusal
            try:
                answer = self._answer(command, request)
            except Refusal as refusal:
                # With its traceback it would keep this frame, and so every answer and command of
                # the batch, until the garbage collector comes by: megabytes for each message.
                answer = refusal.with_traceback(None)
            self.answers.append(answer)
            self._expired, self._begun = 0, len(self.recorded)

    def _answer(self, command: Command, request: Request) -> Outcome:
        key = request.key
        if request.scope is not EVERYWHERE:
            self._check_scope(command, request.scope)
        if key is not None and (answered := self._answered(key)) is not None:
            if answered.fingerprint != request.fingerprint:
                raise RequestIdReused(key.request_id)
            return self._answer_again(answered)
        if self._is_any_due:
            self._expire_touched(command)
        changes = self._decide(command)
        if changes:
            position = self.head + 1
            outcome = self._append(changes, request.cause)
            if key is not None:
                self.given.replays[position] = outcome
                answered = new(Answered, (request.fingerprint, position, None, self.now))
                self._remember(key, answered)
        else:
            outcome = self._as_it_is(command)
            if key is not None:
                self._remember(key, Answered(request.fingerprint, self.head, outcome, self.now))
        return outcome

    def _check_scope(self, command: Command, scope: Scope) -> None:
        """Refuse a command about a subject outside of *scope* as if there were none.

        Both are refused here, before its request id is looked at, which would tell them apart.
        """
        about = command.about
        if about is not None:
            state = self.get(about)
            if state is None or not scope.covers(state.streams):
                raise SUBJECTS[type(about)].not_found(about)

    def _answered(self, key: RequestKey) -> Answered | None:
        try:
            return self.given.answered[key]
        except KeyError:
            raise NotRead(requests=[key]) from None

    def _answer_again(self, answered: Answered) -> Outcome:
        """Return the answer that was given first, as it was then."""
        outcome = answered.outcome or self.given.replays.get(answered.position)
        if outcome is None:
            raise NotRead(replay=answered.position)
        return outcome._replace(replayed=True)

    def _remember(self, key: RequestKey, answered: Answered) -> None:
        self.given.answered[key] = answered
        self.remembered.append((key, answered))

    def _expire_touched(self, command: Command) -> None:
        """Expire the subjects that *command* reads, if their time is over."""
        for key in command.touches:
            if type(key) in SUBJECTS:
                state = self.get(key)
                if state is not None and state.is_due(self.now):
                    self._expire(state)

    def _decide(self, command: Command) -> Sequence[Change]:
        """Decide; if stock is short, expire overdue reservations on it and decide once more."""
        try:
            return command.decide(self)
        except Refusal as refusal:
            shortage = refusal.shortage()
            if not shortage or not self._is_any_due:
                raise
        if not self._free(shortage):
            raise WritesRefused(0.1, "overdue reservations are being expired; try again")
        return command.decide(self)

    def _free(self, wanted: Mapping[Key, int]) -> bool:
        """Expire overdue subjects until *wanted* is available, oldest first.

        Return whether that was enough, or all that was overdue.
        """
        if unread := [key for key in wanted if key not in self.given.due]:
            raise NotRead(due=unread)
        for stream, units in wanted.items():
            for state in self._due(stream):
                if units <= self.get(stream).available:
                    break
                if self._has_expired_enough():
                    return False
                self._expire(state)
            is_all = len(self.given.due[stream]) < MAX_DUE
            if not is_all and units > self.get(stream).available:
                return False
        return True

    def expire_due(self) -> None:
        """Expire subjects whose time is over, oldest first, one step.

        Raises:
            NotRead: to be called again, once it was given that.
        """
        if None not in self.given.due:
            raise NotRead(due=[None])
        for state in self._due(None):
            if self._has_expired_enough():
                break
            self._expire(state)

    def _has_expired_enough(self) -> bool:
        events = len(self.recorded) - self._begun
        return self._expired == MAX_EXPIRED or events >= MAX_EXPIRED_EVENTS

    def _due(self, stream: Key | None) -> Iterator[State]:
        """Yield overdue subjects, oldest first, without those that are over by now."""
        names = self.given.due[stream]
        for first in range(0, len(names), DUE_AT_ONCE):
            some = names[first : first + DUE_AT_ONCE]
            self._require(some)
            for name in some:
                state = self.get(name)
                if state.is_due(self.now) and (stream is None or stream in state.holds()):
                    yield state

    def _expire(self, state: State) -> None:
        changes = state.expire()
        self._require([key for key, _ in changes])
        self._append(changes, Cause(occur_time=state.expire_time))
        self._expired += 1

    def _require(self, keys: Collection[Key]) -> None:
        """Ask at once for all of *keys* that are not at hand."""
        if unread := [key for key in keys if key not in self.states and key not in self._cached]:
            raise NotRead(keys=unread)

    def _append(self, changes: Sequence[Change], cause: Cause) -> Outcome:
        """Give the facts their places in the log, and make the states that follow."""
        if len(changes) > 1:
            self._require([key for key, _ in changes])
        states, recorded, now, first = self.states, self.recorded, self.now, self.head + 1
        streams: dict[Key, State] = {}
        about: dict[Key, list[Event]] = {}
        position = self.head
        for key, fact in changes:
            after = (states.get(key) or self.get(key)).then(fact, now)
            position += 1
            version, levels = after.version, after.levels
            event = new(Event, (position, first, key, version, now, cause, fact, levels))
            states[key] = streams[key] = after
            recorded.append(event)
            if (subject := fact.subject) is not None:
                about.setdefault(subject, []).append(event)
        self.head = position
        subjects = [self._evolve(*subject) for subject in about.items()]
        return new(Outcome, (position, [*streams.values()], subjects, False))

    def _evolve(self, key: Key, events: Sequence[Event]) -> State:
        before = self.states[key] or SUBJECTS[type(key)].begin(events[0])
        state = self.states[key] = before.evolve(events)
        return state

    def _as_it_is(self, command: Command) -> Outcome:
        """Return the answer to a command that found everything as it should be."""
        subjects = [self.get(key) for key in command.touches if type(key) in SUBJECTS]
        streams = dict.fromkeys(key for subject in subjects for key in subject.streams)
        streams |= dict.fromkeys(key for key in command.touches if type(key) in STREAMS)
        self._require(streams)
        return Outcome(self.head, [self.get(key) for key in streams], subjects)
