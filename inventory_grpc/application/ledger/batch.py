"""Decides commands one after the other, without I/O.

For each command a `Batch` checks the stored requests, expires overdue subjects, decides, appends
the events to its `Workbook` and stores the answer. It raises `NotRead` for data that it lacks, and
resumes at the same command once the driver has read it. The driver writes the events and the
`remembered` answers.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from inventory_grpc.application.access import EVERYWHERE, Scope
from inventory_grpc.application.failures import RequestIdReused, WritesRefused
from inventory_grpc.application.ledger.atomic import AnyCommand, AtomicBatch, Part
from inventory_grpc.application.ledger.expiry import Expiry
from inventory_grpc.application.ledger.fills import Fills
from inventory_grpc.application.ledger.needs import FillsFirst, NotRead, OverdueFirst, ReadData
from inventory_grpc.application.ledger.plain import PLAIN, answer_plain
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.ledger.terms import changed_before_terms, record_terms, walk
from inventory_grpc.application.ledger.workbook import Workbook
from inventory_grpc.application.outcomes import Answered, DryRun, Outcome, RequestKey
from inventory_grpc.application.ports import Walk
from inventory_grpc.domain.book import ALL_UNITS, Command
from inventory_grpc.domain.event import Change, Event, Key
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.registry import ABOUT
from inventory_grpc.domain.values import EventAt, Instant, StockId, new

MAX_EVENTS: Final = 2_048
"""Events of a batch, also those that are discarded; its last command may exceed this."""

_EXPIRING: Final = "overdue reservations are being expired; try again"


class Batch:
    """Commands of many callers in one transaction, decided as if each had its own."""

    def __init__(self, book: Workbook, earliest_expiry: Instant | None) -> None:
        self.book = book
        self.read = ReadData()
        self.answers: list[Outcome | Refusal] = []
        """The answers to the commands processed so far, in order."""
        self.remembered: list[tuple[RequestKey, Answered]] = []
        self.expiry = Expiry(book, self.read, earliest_expiry)
        self.fills = Fills(book, self.read)
        self._discarded = 0
        """Events of dry runs and of refused commands, which take as long as those recorded."""
        self._wanted: Mapping[Key, int] = {}
        """The stocks on which they expire, once the current atomic batch was short of one.

        It is kept for when missing data was read, so that what expires does not depend on that.
        """

    def answer_all(self, submissions: Sequence[Submission]) -> None:
        """Answer as many commands as fit in one transaction, in order.

        Raises:
            NotRead: data is missing; a call after it was read continues at the same command.
        """
        answers = self.answers
        while (
            len(answers) < len(submissions)
            and (room := MAX_EVENTS - len(self.book.recorded) - self._discarded) > 0
        ):
            submission = submissions[len(answers)]
            if type(submission.command) in PLAIN and self._may_be_plain():
                some = islice(submissions, len(answers), len(answers) + room)
                if answer_plain(self.book, self.read, some, answers, self.remembered):
                    continue
            answer: Outcome | Refusal
            try:
                answer = self._answer(submission)
            except Refusal as refusal:
                # The traceback would keep this frame, and so every answer and command of the
                # batch, until the next garbage collection: megabytes for each message.
                answer = refusal.with_traceback(None)
            answers.append(answer)
            if self.expiry.is_any_due or self.book.own:
                self._wanted = {}
                self.expiry.begin_command()
                self.book.own.clear()

    def _answer(self, submission: Submission) -> Outcome:
        command, cause, key, fingerprint, scope, is_dry = submission
        if scope is not EVERYWHERE:
            self._check_scope(command, scope)
        if key is not None and (former := self._former(key, fingerprint)) is not None:
            return former
        if self.expiry.is_any_due:
            self.expiry.expire_touched(command)
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
            self._discarded += book.head - self.book.head
            return DryRun(*outcome._replace(position=self.book.head))
        if book is not self.book:
            self.book.adopt(book)
        if key is not None:
            first = outcome.position - events + 1
            self._remember(key, fingerprint, outcome, first if is_told else None)
        return outcome

    def _may_be_plain(self) -> bool:
        """Return whether no policy and no overdue hold can concern a command."""
        return self.book.terms is None and not self.expiry.is_any_due

    def _record_together(self, batch: AtomicBatch) -> tuple[Workbook, Outcome]:
        """Record *batch* in a fork of the book.

        If stock is short, expire overdue reservations on all of its stocks and try once more.
        """
        terms: dict[Key, None] = {}
        fills: list[Key] = []
        self._require_terms(batch)
        while True:
            if self._wanted and not self.expiry.free(self._wanted):
                raise WritesRefused(0.1, _EXPIRING)
            trial = self.book.fork()
            trial.may_let_go = self.expiry.is_any_due and not self._wanted
            record_terms(trial, terms)
            self.fills.fill_before(trial, fills)
            try:
                outcome = trial.record_together(batch.parts)
            except OverdueFirst as overdue:
                kinds = {type(key) for key in overdue.wanted}
                others = [key for key in batch.touches if type(key) in kinds]
                self._wanted = dict.fromkeys([*overdue.wanted, *others], ALL_UNITS)
            except FillsFirst as due:
                fills += due.streams
            except Refusal:
                self._discarded += trial.head - self.book.head
                raise
            else:
                if not (differing := changed_before_terms(trial)):
                    return trial, outcome
                terms |= dict.fromkeys(differing)

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
        outcome = answered.outcome or self.read.replays[answered.position]
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

    def _decide(self, command: Command) -> tuple[Workbook, Sequence[Change]]:
        """Decide; return the changes, and the book to record them in.

        If stock is short, expire overdue reservations on it and decide once more. If fills are
        due on stocks that it lowers, record them before it, in a fork: with a refusal, they are
        discarded.
        """
        book = self.book
        if book.terms is not None:
            self._require_terms(command)
        book.may_let_go = self.expiry.is_any_due
        fills: list[Key] = []
        while True:
            try:
                return book, command.decide(book)
            except OverdueFirst as overdue:
                if not self.expiry.free(overdue.wanted):
                    raise WritesRefused(0.1, _EXPIRING) from None
                book, fills = self.book, []
                book.may_let_go = False
            except FillsFirst as due:
                fills += due.streams
                book = self.book.fork()
                self.fills.fill_before(book, fills)
            except Refusal:
                if book is not self.book:
                    self._discarded += book.head - self.book.head
                raise

    def _require_terms(self, command: AnyCommand) -> None:
        """Have all terms read together of the stocks that *command* may be about."""
        if self.book.terms is None:
            return
        keys = [*command.touches]
        self.book.require([key for key in keys if type(key) is not EventAt])
        for key in command.touches:
            if type(key) in ABOUT and (state := self.book.recorded_state(key)) is not None:
                keys += state.streams
        self.book.terms.require(keys, self.book)

    def walk(self) -> None:
        """Do one step of the walks.

        Raises:
            NotRead: data is missing; see `answer_all`.
        """
        walk(self.book, self._next_stocks)

    def _next_stocks(self, one: Walk) -> Sequence[StockId]:
        if one not in self.read.walked:
            raise NotRead(walk=one)
        return self.read.walked[one]


def _tells(outcome: Outcome, events: Sequence[Event]) -> bool:
    """Return whether *events* suffice to make *outcome* again: each part has some."""
    return len({event.cause.part for event in events}) == max(1, len(outcome.parts))
