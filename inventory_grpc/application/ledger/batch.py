"""Decides commands one after the other, without I/O.

For each command a `Batch` checks the stored requests, expires overdue subjects, decides, appends
the events to its `Workbook` and stores the answer. It raises `NotRead` for data that it lacks, and
resumes at the same command once the driver has read it. The driver writes the events and the
`remembered` answers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from inventory_grpc.application.access import EVERYWHERE, Scope
from inventory_grpc.application.failures import RequestIdReused, WritesRefused
from inventory_grpc.application.ledger.atomic import AnyCommand, AtomicBatch, Part
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.ledger.workbook import NotRead, Workbook
from inventory_grpc.application.outcomes import Answered, DryRun, Outcome, RequestKey, State
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause, Change, Event, Key
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.registry import ABOUT, SUBJECTS
from inventory_grpc.domain.values import EventAt, Instant, new

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


ALL: Final = 2**63
"""More units than any stock has, so that all overdue reservations on it expire."""

_EXPIRING: Final = "overdue reservations are being expired; try again"


@dataclass(slots=True)
class ReadData:
    """Data read in this transaction, as of its start."""

    answered: dict[RequestKey, Answered | None] = field(default_factory=dict)
    replays: dict[int, Outcome] = field(default_factory=dict)
    due: dict[Key | None, Sequence[Key]] = field(default_factory=dict)


class Batch:
    """Commands of many callers in one transaction, decided as if each had its own."""

    def __init__(self, book: Workbook, earliest_expiry: Instant | None) -> None:
        self.book = book
        self.read = ReadData()
        self.answers: list[Outcome | Refusal] = []
        """The answers to the commands processed so far, in order."""
        self.remembered: list[tuple[RequestKey, Answered]] = []
        self._is_any_due = earliest_expiry is not None and earliest_expiry <= book.now
        self._expired = 0
        """Subjects expired for the current command."""
        self._wanted: Mapping[Key, int] = {}
        """The stocks on which they expire, once the current atomic batch was short of one.

        It is kept for when missing data was read, so that what expires does not depend on that.
        """
        self._first_event = 0
        """Events recorded before the current command."""

    def answer_all(self, submissions: Sequence[Submission]) -> None:
        """Answer as many commands as fit in one transaction, in order.

        Raises:
            NotRead: data is missing; a call after it was read continues at the same command.
        """
        for submission in submissions[len(self.answers) :]:
            if len(self.book.recorded) >= MAX_EVENTS:
                break
            answer: Outcome | Refusal
            try:
                answer = self._answer(submission)
            except Refusal as refusal:
                # The traceback would keep this frame, and so every answer and command of the
                # batch, until the next garbage collection: megabytes for each message.
                answer = refusal.with_traceback(None)
            self.answers.append(answer)
            self._expired, self._wanted, self._first_event = 0, {}, len(self.book.recorded)

    def _answer(self, submission: Submission) -> Outcome:
        command, cause, key, fingerprint, scope, is_dry = submission
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
        book = self.book
        if is_dry or isinstance(command, AtomicBatch):
            trial, outcome = self._try(command, cause)
            if is_dry:
                return DryRun(*outcome._replace(position=book.head))
            events, is_told = len(trial.recorded), _tells(outcome, trial.recorded)
            book.adopt(trial)
        else:
            changes = self._decide(command)
            outcome = book.record(command, changes, cause)
            events, is_told = len(changes), bool(changes)
        if key is not None:
            first = outcome.position - events + 1
            self._remember(key, fingerprint, outcome, first if is_told else None)
        return outcome

    def _try(self, command: AnyCommand, cause: Cause) -> tuple[Workbook, Outcome]:
        """Record *command* in a fork of the book."""
        if isinstance(command, AtomicBatch):
            return self._try_together(command)
        changes = self._decide(command)
        trial = self.book.fork()
        return trial, trial.record(command, changes, cause)

    def _try_together(self, batch: AtomicBatch) -> tuple[Workbook, Outcome]:
        """Record *batch* in a fork of the book.

        If stock is short, expire overdue reservations on all of its stocks and try once more.
        """
        if not self._wanted:
            trial = self.book.fork()
            try:
                return trial, trial.record_together(batch.parts)
            except Refusal as refusal:
                shortage = refusal.shortage()
                if not shortage or not self._is_any_due:
                    raise
            kinds = {type(key) for key in shortage}
            others = [key for key in batch.touches if type(key) in kinds]
            self._wanted = dict.fromkeys([*shortage, *others], ALL)
        if not self._free(self._wanted):
            raise WritesRefused(0.1, _EXPIRING)
        trial = self.book.fork()
        return trial, trial.record_together(batch.parts)

    def _check_scope(self, command: AnyCommand, scope: Scope) -> None:
        """Refuse a command about what is outside *scope*, or does not exist, in the same way.

        Both come before the check of the request id, which would reveal the difference.
        """
        if isinstance(command, AtomicBatch):
            self._check_scope_of_parts(command.parts, scope)
        elif (about := command.about) is not None:
            state = self.book.get(about)
            if state is None or not scope.covers(state.streams):
                raise ABOUT[type(about)].not_found(about)

    def _check_scope_of_parts(self, parts: Sequence[Part], scope: Scope) -> None:
        """Check the scope of each part, except about what only a part before it can have made.

        The decision finds that, or refuses the part.
        """
        touched = set[Key]()
        for index, (command, _) in enumerate(parts):
            about = command.about
            may_be_made = about in touched or (index > 0 and type(about) is EventAt)
            if not may_be_made or self.book.get(about) is not None:
                try:
                    self._check_scope(command, scope)
                except Refusal as refusal:
                    refusal.command_index = index
                    raise
            touched.update(command.touches)

    def _repeat(self, answered: Answered) -> Outcome:
        """Return the original answer."""
        outcome = answered.outcome or self.read.replays.get(answered.position)
        if outcome is None:
            raise NotRead(replay=answered.position)
        return outcome._replace(replayed=True)

    def _remember(
        self, key: RequestKey, fingerprint: bytes, outcome: Outcome, first: int | None
    ) -> None:
        """Remember the answer: by the position of its *first* event, from which it is made again.

        The outcome is kept as it is where events do not tell it.
        """
        if first is None:
            answered = Answered(fingerprint, outcome.position, outcome, self.book.now)
        else:
            self.read.replays[first] = outcome
            answered = new(Answered, (fingerprint, first, None, self.book.now))
        self.read.answered[key] = answered
        self.remembered.append((key, answered))

    def _expire_touched(self, command: AnyCommand) -> None:
        """Expire the overdue subjects that *command* reads."""
        for key in command.touches:
            if type(key) in SUBJECTS:
                state = self.book.get(key)
                if state is not None and state.is_due(self.book.now):
                    self._expire(state)

    def _decide(self, command: Command) -> Sequence[Change]:
        """Decide; if stock is short, expire overdue reservations on it and decide once more."""
        try:
            return command.decide(self.book)
        except Refusal as refusal:
            shortage = refusal.shortage()
            if not shortage or not self._is_any_due:
                raise
        if not self._free(shortage):
            raise WritesRefused(0.1, _EXPIRING)
        return command.decide(self.book)

    def _free(self, wanted: Mapping[Key, int]) -> bool:
        """Expire overdue subjects, oldest first, until *wanted* is available.

        Return False if one step is not enough.
        """
        if unread := [key for key in wanted if key not in self.read.due]:
            raise NotRead(due=unread)
        for stream, units in wanted.items():
            for state in self._due(stream):
                if units <= self.book.get(stream).available:
                    break
                if self._has_expired_enough():
                    return False
                self._expire(state)
            is_all = len(self.read.due[stream]) < MAX_DUE
            if not is_all and units > self.book.get(stream).available:
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
        events = len(self.book.recorded) - self._first_event
        return self._expired == MAX_EXPIRED or events >= MAX_EXPIRED_EVENTS

    def _due(self, stream: Key | None) -> Iterator[State]:
        """Yield the subjects that are still overdue, oldest first."""
        overdue = self.read.due[stream]
        for first in range(0, len(overdue), DUE_AT_ONCE):
            keys = overdue[first : first + DUE_AT_ONCE]
            self.book.require(keys)
            for key in keys:
                state = self.book.get(key)
                if state.is_due(self.book.now) and (stream is None or stream in state.holds()):
                    yield state

    def _expire(self, state: State) -> None:
        changes = state.expire()
        self.book.require([key for key, _ in changes])
        self.book.append(changes, Cause(occur_time=state.expire_time))
        self._expired += 1


def _tells(outcome: Outcome, events: Sequence[Event]) -> bool:
    """Return whether *events* suffice to make *outcome* again: each part has some."""
    return len({event.cause.part for event in events}) == max(1, len(outcome.parts))
