"""Drives a batch: reads the data that it needs, and writes its events and answers."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from inventory_grpc.application.ledger.batch import Batch
from inventory_grpc.application.ledger.clock import LogClock
from inventory_grpc.application.ledger.expiry import MAX_DUE
from inventory_grpc.application.ledger.fills import MAX_FILLS, MAX_WAITING
from inventory_grpc.application.ledger.needs import NotRead
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.ledger.terms import PAGE, TermsInForce
from inventory_grpc.application.ledger.workbook import Workbook
from inventory_grpc.application.outcomes import RequestKey, State
from inventory_grpc.application.ports import (
    NO_WALKS,
    Expected,
    News,
    Pending,
    Transaction,
    nothing,
)
from inventory_grpc.domain.event import Key
from inventory_grpc.domain.values import EventAt

MAX_BEHIND: Final = 5_000
"""Events of other processes that update cached states; with more, all states are evicted."""

Work = Callable[[Batch], None]


class UnknownKey(Exception):
    """A command touches a key whose class is not in the registry, which is a bug."""


@dataclass(frozen=True, slots=True)
class Result:
    """A processed batch, and the events that other processes recorded since the last one."""

    batch: Batch
    news: News
    skipped: bool
    """Whether there were too many events of other processes to read them."""
    pending: Pending


class Prefetch:
    """The commands of a batch and their known needs, found on the writer's thread."""

    def __init__(self, submissions: Iterable[Submission], states: States) -> None:
        self._submissions = submissions
        self._states = states
        self.submissions: Sequence[Submission] = ()
        self.states: dict[Key, State] = {}
        """The cached ones that are needed."""
        self.expected = nothing()

    def prepare(self) -> Expected:
        """Read the commands, find the states that are cached, and return the reads that are left.

        It comes before the transaction, whose lock others may want.
        """
        self.submissions = submissions = [*self._submissions]
        touched = [key for one in submissions for key in one.command.touches]
        self.states, missing = self._states.find(touched)
        requests = [one.key for one in submissions if one.key is not None]
        self.expected = Expected(missing, requests)
        return self.expected


def drive(  # noqa: PLR0913  a transaction, and the parts of the engine
    transaction: Transaction,
    states: States,
    clock: LogClock,
    work: Work | None,
    prefetched: Prefetch | None = None,
    *,
    needs_catalogue: bool = False,
) -> Result:
    """Run *work* on a batch in *transaction*, and write the batch.

    Without *work* the batch only follows the events of other processes.
    """
    head = transaction.head()
    now = clock.read(transaction, head.record_time)
    behind = head.position - states.position
    skipped, news = behind > MAX_BEHIND, News()
    if skipped:
        # the position moves later, when the listeners are notified after the commit
        states.restart(states.position)
    elif behind:
        news = transaction.news_after(states.position, behind, states.__contains__)
    cached = prefetched.states if prefetched and not skipped else None
    book = Workbook(head.position, now, states, cached, needs_catalogue=needs_catalogue)
    book.follow(news.events)
    pending = transaction.pending()
    book.terms = TermsInForce.of(pending, transaction.walks)
    batch = Batch(book, pending.expiry)
    if work is not None:
        if prefetched:
            _read(transaction, batch, NotRead(*prefetched.expected))
        _run(transaction, batch, work)
        terms = batch.book.terms
        moved = terms.moved if terms else NO_WALKS
        transaction.write(batch.book.recorded, batch.remembered, moved)
    return Result(batch, news, skipped, transaction.pending())


def _run(transaction: Transaction, batch: Batch, work: Work) -> None:
    while True:
        try:
            return work(batch)
        except NotRead as missing:
            _read(transaction, batch, missing)


def _read(transaction: Transaction, batch: Batch, missing: NotRead) -> None:
    if missing.keys:
        _read_states(transaction, batch, missing.keys)
    if missing.requests:
        _read_answers(transaction, batch, missing.requests)
    for stream in missing.due:
        batch.read.due[stream] = transaction.due(batch.book.now, MAX_DUE, stream)
    for stream in missing.waiting:
        batch.read.waiting[stream] = transaction.waiting(stream, MAX_WAITING)
    if missing.walk is not None:
        batch.read.walked[missing.walk] = transaction.stocks_of(missing.walk, PAGE)
    if missing.fills:
        batch.read.filled = transaction.fills_due(MAX_FILLS)


def _read_answers(transaction: Transaction, batch: Batch, requests: Collection[RequestKey]) -> None:
    """Read the answers to *requests*, and together those that are made again from events."""
    answered = transaction.answered(requests)
    batch.read.answered |= answered
    told = [one.position for one in answered.values() if one and one.outcome is None]
    if told:
        batch.read.replays |= transaction.replays(told)


def _read_states(transaction: Transaction, batch: Batch, keys: Collection[Key]) -> None:
    if events := [key for key in keys if type(key) is EventAt]:
        keys = [*(key for key in keys if type(key) is not EventAt)]
        for at, trail in transaction.trails(events).items():
            batch.book.trails[at] = trail
            keys += trail.streams if trail else ()
    # the batch may already have changed some streams of a subject, whose states win
    batch.book.states = transaction.states(keys) | batch.book.states
    if unknown := [key for key in keys if key not in batch.book.states]:
        raise UnknownKey(f"{unknown[0]!r} is neither of a stream nor of a subject")
