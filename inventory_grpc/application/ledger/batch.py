"""Decides commands one after the other, without I/O.

A `Batch` is the `Book` that decisions read. For each command it checks the stored requests,
expires overdue subjects, decides, appends the events and stores the answer. It raises `NotRead`
for data that it lacks, and resumes at the same command once the driver has read it. The driver
writes its `recorded` events and `remembered` answers, except in a dry run.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from inventory_grpc.application.access import EVERYWHERE, Scope
from inventory_grpc.application.failures import RequestIdReused, WritesRefused
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.ports import Answered, Outcome, RequestKey, State
from inventory_grpc.domain.book import Command, apply_event
from inventory_grpc.domain.event import Cause, Change, Event, Key
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.registry import STREAMS, SUBJECTS
from inventory_grpc.domain.values import Instant, new

MAX_EVENTS: Final = 2_048
"""Events of a batch; its last command may exceed this."""

MAX_EXPIRED: Final = 256
"""Subjects expired in one step."""

MAX_EXPIRED_EVENTS: Final = 2_048
"""Events of one expiry step; its last subject may exceed this."""

MAX_DUE: Final = 2 * MAX_EXPIRED
"""Keys of overdue subjects per read; the batch itself may have expired some of them."""

DUE_AT_ONCE: Final = 32
"""States of overdue subjects per read; usually the first few free enough units."""


@dataclass(eq=False)
class NotRead(Exception):
    """A batch needs this data before it can continue."""

    keys: Collection[Key] = ()
    """The keys of states; with a subject, the states of its streams are read too."""
    requests: Collection[RequestKey] = ()
    replay: int | None = None
    """The position of the first event of a command whose answer is repeated."""
    due: Collection[Key | None] = ()
    """Streams whose overdue subjects are needed; None stands for all streams."""


@dataclass(slots=True)
class ReadData:
    """Data read in this transaction, as of its start."""

    answered: dict[RequestKey, Answered | None] = field(default_factory=dict)
    replays: dict[int, Outcome] = field(default_factory=dict)
    due: dict[Key | None, Sequence[Key]] = field(default_factory=dict)


class Batch:
    """Commands of many callers in one transaction, decided as if each had its own."""

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
        """States read or changed by this batch; they are those of the log after its commit."""
        self.read = ReadData()
        self.answers: list[Outcome | Refusal] = []
        """The answers to the commands processed so far, in order."""
        self.recorded: list[Event] = []
        self.remembered: list[tuple[RequestKey, Answered]] = []
        self._cached = cached
        self._is_any_due = earliest_expiry is not None and earliest_expiry <= now
        self._expired = 0
        """Subjects expired for the current command."""
        self._first_event = 0
        """Events recorded before the current command."""

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
        """Update cached states by *events*, which other processes have recorded."""
        for event in events:
            if (stream := self._known_state(event.key)) is not None:
                self.states[event.key] = apply_event(stream, event)
            subject = event.fact.subject
            if (state := self._known_state(subject)) is not None:
                self.states[subject] = state.evolve([event])

    def _known_state(self, key: Key | None) -> State | None:
        return None if key is None else self.states.get(key) or self._cached.get(key)

    def answer_all(self, submissions: Sequence[Submission]) -> None:
        """Answer as many commands as fit in one transaction, in order.

        Raises:
            NotRead: data is missing; a call after it was read continues at the same command.
        """
        for submission in submissions[len(self.answers) :]:
            if len(self.recorded) >= MAX_EVENTS:
                break
            answer: Outcome | Refusal
            try:
                answer = self._answer(submission)
            except Refusal as refusal:
                # The traceback would keep this frame, and so every answer and command of the
                # batch, until the next garbage collection: megabytes for each message.
                answer = refusal.with_traceback(None)
            self.answers.append(answer)
            self._expired, self._first_event = 0, len(self.recorded)

    def _answer(self, submission: Submission) -> Outcome:
        command, cause, key, fingerprint, scope = submission
        if scope is not EVERYWHERE:
            self._check_scope(command, scope)
        if key is not None:
            try:
                answered = self.read.answered[key]
            except KeyError:
                raise NotRead(requests=[key]) from None
            if answered is not None:
                if answered.fingerprint != fingerprint:
                    raise RequestIdReused(key.request_id)
                return self._repeat(answered)
        if self._is_any_due:
            self._expire_touched(command)
        changes = self._decide(command)
        if changes:
            position = self.head + 1
            outcome = self._append(changes, cause)
            if key is not None:
                self.read.replays[position] = outcome
                answered = new(Answered, (fingerprint, position, None, self.now))
                self._remember(key, answered)
        else:
            outcome = self._unchanged(command)
            if key is not None:
                self._remember(key, Answered(fingerprint, self.head, outcome, self.now))
        return outcome

    def _check_scope(self, command: Command, scope: Scope) -> None:
        """Refuse a command whose subject is outside *scope*, or does not exist, in the same way.

        Both come before the check of the request id, which would reveal the difference.
        """
        about = command.about
        if about is not None:
            state = self.get(about)
            if state is None or not scope.covers(state.streams):
                raise SUBJECTS[type(about)].not_found(about)

    def _repeat(self, answered: Answered) -> Outcome:
        """Return the original answer."""
        outcome = answered.outcome or self.read.replays.get(answered.position)
        if outcome is None:
            raise NotRead(replay=answered.position)
        return outcome._replace(replayed=True)

    def _remember(self, key: RequestKey, answered: Answered) -> None:
        self.read.answered[key] = answered
        self.remembered.append((key, answered))

    def _expire_touched(self, command: Command) -> None:
        """Expire the overdue subjects that *command* reads."""
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
        """Expire overdue subjects, oldest first, until *wanted* is available.

        Return False if one step is not enough.
        """
        if unread := [key for key in wanted if key not in self.read.due]:
            raise NotRead(due=unread)
        for stream, units in wanted.items():
            for state in self._due(stream):
                if units <= self.get(stream).available:
                    break
                if self._has_expired_enough():
                    return False
                self._expire(state)
            is_all = len(self.read.due[stream]) < MAX_DUE
            if not is_all and units > self.get(stream).available:
                return False
        return True

    def expire_due(self) -> None:
        """Expire one step of overdue subjects, oldest first.

        Raises:
            NotRead: data is missing; see `answer_all`.
        """
        if None not in self.read.due:
            raise NotRead(due=[None])
        for state in self._due(None):
            if self._has_expired_enough():
                break
            self._expire(state)

    def _has_expired_enough(self) -> bool:
        events = len(self.recorded) - self._first_event
        return self._expired == MAX_EXPIRED or events >= MAX_EXPIRED_EVENTS

    def _due(self, stream: Key | None) -> Iterator[State]:
        """Yield the subjects that are still overdue, oldest first."""
        overdue = self.read.due[stream]
        for first in range(0, len(overdue), DUE_AT_ONCE):
            keys = overdue[first : first + DUE_AT_ONCE]
            self._require(keys)
            for key in keys:
                state = self.get(key)
                if state.is_due(self.now) and (stream is None or stream in state.holds()):
                    yield state

    def _expire(self, state: State) -> None:
        changes = state.expire()
        self._require([key for key, _ in changes])
        self._append(changes, Cause(occur_time=state.expire_time))
        self._expired += 1

    def _require(self, keys: Collection[Key]) -> None:
        """Raise `NotRead` for all of *keys* whose states are unknown."""
        if unread := [key for key in keys if key not in self.states and key not in self._cached]:
            raise NotRead(keys=unread)

    def _append(self, changes: Sequence[Change], cause: Cause) -> Outcome:
        """Append the facts to the log as events, and update the states."""
        if len(changes) > 1:
            self._require([key for key, _ in changes])
        states, recorded, now, first = self.states, self.recorded, self.now, self.head + 1
        streams: dict[Key, State] = {}
        about: dict[Key, list[Event]] = {}
        position = self.head
        for key, fact in changes:
            after = (states.get(key) or self.get(key)).then(fact, now)
            position += 1
            values = (position, first, key, after.version, now, cause, fact, after.levels)
            states[key] = streams[key] = after
            recorded.append(event := new(Event, values))
            if (subject := fact.subject) is not None:
                about.setdefault(subject, []).append(event)
        self.head = position
        subjects = [self._evolve(*subject) for subject in about.items()] if about else []
        return new(Outcome, (position, list(streams.values()), subjects, False))

    def _evolve(self, key: Key, events: Sequence[Event]) -> State:
        before = self.states[key] or SUBJECTS[type(key)].begin(events[0])
        state = self.states[key] = before.evolve(events)
        return state

    def _unchanged(self, command: Command) -> Outcome:
        """Return the answer to a command that has nothing to record."""
        subjects = [self.get(key) for key in command.touches if type(key) in SUBJECTS]
        streams = dict.fromkeys(key for subject in subjects for key in subject.streams)
        streams |= dict.fromkeys(key for key in command.touches if type(key) in STREAMS)
        self._require(streams)
        return Outcome(self.head, [self.get(key) for key in streams], subjects)
