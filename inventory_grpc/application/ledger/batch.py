"""Decides commands one after the other, without I/O.

For each command a `Batch` checks the stored requests, expires overdue subjects, decides, appends
the events to its `Workbook` and stores the answer. It raises `NotRead` for data that it lacks, and
resumes at the same command once the driver has read it. The driver writes the events and the
`remembered` answers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final

from inventory_grpc.application.access import EVERYWHERE, Scope
from inventory_grpc.application.failures import RequestIdReused, WritesRefused
from inventory_grpc.application.ledger.atomic import AnyCommand, AtomicBatch, Part
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.ledger.workbook import FillsFirst, NotRead, OverdueFirst, Workbook
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

MAX_FILLS: Final = 256
"""Fills recorded in one step."""

MAX_WAITING: Final = 2 * MAX_FILLS
"""Waiting subjects read of a stock; the batch itself may have ended some of them."""

MAX_DUE: Final = 2 * MAX_EXPIRED
"""Keys of overdue subjects per read; the batch itself may have expired some of them."""

DUE_AT_ONCE: Final = 32
"""States of overdue subjects per read; usually the first few free enough units."""


ALL: Final = 2**63
"""More units than any stock has, so that all overdue reservations on it expire."""

_EXPIRING: Final = "overdue reservations are being expired; try again"
_FILLING: Final = "goods that came in are being given to backorders; try again"


@dataclass(slots=True)
class ReadData:
    """Data read in this transaction, as of its start."""

    answered: dict[RequestKey, Answered | None] = field(default_factory=dict)
    replays: dict[int, Outcome] = field(default_factory=dict)
    due: dict[Key | None, Sequence[Key]] = field(default_factory=dict)
    waiting: dict[Key, Sequence[Key]] = field(default_factory=dict)
    """The subjects that wait for goods of a stock, in their order, up to `MAX_WAITING`."""
    filled: Sequence[Key] | None = None
    """Stocks on which fills are due."""


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
            if self.book.own:
                self.book.own.clear()

    def _answer(self, submission: Submission) -> Outcome:
        command, cause, key, fingerprint, scope, is_dry = submission
        if scope is not EVERYWHERE:
            self._check_scope(command, scope)
        if key is not None and (former := self._former(key, fingerprint)) is not None:
            return former
        if self._is_any_due:
            self._expire_touched(command)
        if isinstance(command, AtomicBatch):
            book, outcome = self._record_together(command)
            recorded = [event for event in book.recorded if event.cause.part]
            events, is_told = len(recorded), _tells(outcome, recorded)
        else:
            book, changes = self._decide(command)
            if is_dry:
                book = book.fork()
            outcome = book.record(command, changes, cause)
            events, is_told = len(changes), bool(changes)
        if is_dry:
            return DryRun(*outcome._replace(position=self.book.head))
        if book is not self.book:
            self.book.adopt(book)
        if key is not None:
            first = outcome.position - events + 1
            self._remember(key, fingerprint, outcome, first if is_told else None)
        return outcome

    def _record_together(self, batch: AtomicBatch) -> tuple[Workbook, Outcome]:
        """Record *batch* in a fork of the book.

        If stock is short, expire overdue reservations on all of its stocks and try once more.
        """
        fills: list[Key] = []
        while True:
            if self._wanted and not self._free(self._wanted):
                raise WritesRefused(0.1, _EXPIRING)
            trial = self.book.fork()
            trial.may_let_go = self._is_any_due and not self._wanted
            try:
                self._fill(trial, fills)
                return trial, trial.record_together(batch.parts)
            except OverdueFirst as overdue:
                kinds = {type(key) for key in overdue.wanted}
                others = [key for key in batch.touches if type(key) in kinds]
                self._wanted = dict.fromkeys([*overdue.wanted, *others], ALL)
            except FillsFirst as due:
                fills += due.streams

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

    def _former(self, key: RequestKey, fingerprint: bytes) -> Outcome | None:
        """Return the original answer to a request; None for a new one."""
        try:
            answered = self.read.answered[key]
        except KeyError:
            raise NotRead(requests=[key]) from None
        if answered is None:
            return None
        if answered.fingerprint != fingerprint:
            raise RequestIdReused(key.request_id)
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

    def _decide(self, command: Command) -> tuple[Workbook, Sequence[Change]]:
        """Decide; return the changes, and the book to record them in.

        If stock is short, expire overdue reservations on it and decide once more. If fills are
        due on stocks that it lowers, record them before it, in a fork: with a refusal, they are
        discarded.
        """
        book = self.book
        book.may_let_go = self._is_any_due
        while True:
            try:
                return book, command.decide(book)
            except OverdueFirst as overdue:
                book = self.book
                if not self._free(overdue.wanted):
                    raise WritesRefused(0.1, _EXPIRING) from None
                book.may_let_go = False
            except FillsFirst as due:
                book = book.fork() if book is self.book else book
                self._fill(book, due.streams)

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

    def fill_due(self) -> None:
        """Record one step of the fills that are due.

        Raises:
            NotRead: data is missing; see `answer_all`.
        """
        if self.read.filled is None:
            raise NotRead(fills=True)
        self.book.require(self.read.filled)
        left = MAX_FILLS - len(self.book.recorded)
        for stream in self.read.filled:
            left -= self._fill_one(self.book, stream, left)

    def _fill(self, book: Workbook, streams: Sequence[Key]) -> None:
        """Record in *book* all fills that are due on *streams*."""
        left = MAX_FILLS
        for stream in streams:
            left -= self._fill_one(book, stream, left)
            if book.get(stream).levels.fills_due:
                raise WritesRefused(0.1, _FILLING)

    def _fill_one(self, book: Workbook, stream: Key, limit: int) -> int:
        """Record up to *limit* of the fills that are due on *stream*; return their number."""
        due: int = book.get(stream).levels.fills_due
        if not due:
            return 0
        if stream not in self.read.waiting:
            raise NotRead(waiting=[stream])
        filled = 0
        for _, waiting, state in self._waiting(book, stream):
            if not due or filled == limit:
                break
            units = min(due, waiting)
            book.append_own(state.fill(stream, units), Cause())
            due, filled = due - units, filled + 1
        return filled

    def _waiting(self, book: Workbook, stream: Key) -> Sequence[tuple[int, int, State]]:
        """Return since when and for how many units subjects wait for goods of *stream*, in order.

        Those that came to wait in this batch are the last ones, so they are left out if not all
        of the others were read.
        """
        keys = dict.fromkeys(self.read.waiting[stream])
        if len(keys) < MAX_WAITING:
            keys |= dict.fromkeys(book.recorded_about(stream))
        book.require(keys)
        queue: list[tuple[int, int, State]] = []
        for key in keys:
            state = book.get(key)
            units, since = state.waiting(stream)
            if units:
                queue.append((since, units, state))
        return sorted(queue, key=itemgetter(0))

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
        self.book.append_own(changes, Cause(occur_time=state.expire_time))
        self._expired += 1


def _tells(outcome: Outcome, events: Sequence[Event]) -> bool:
    """Return whether *events* suffice to make *outcome* again: each part has some."""
    return len({event.cause.part for event in events}) == max(1, len(outcome.parts))
