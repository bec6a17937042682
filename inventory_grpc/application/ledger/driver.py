"""Reads what a batch needs from a transaction, and writes what it has decided."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from inventory_grpc.application.ledger.batch import MAX_DUE, Batch, NotRead
from inventory_grpc.application.ledger.clock import LogClock
from inventory_grpc.application.ledger.question import Question
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ports import Expected, State, Transaction
from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.values import Instant

MAX_BEHIND: Final = 5_000
"""Events of other processes that are looked at one by one; with more, states start anew."""

Work = Callable[[Batch], None]


class UnknownKey(Exception):
    """A command touches a key of a class that the registry does not know: a bug."""


@dataclass(frozen=True, slots=True)
class Result:
    """A batch that was driven, and what was recorded elsewhere since the one before."""

    batch: Batch
    elsewhere: Sequence[Event]
    skipped: bool
    """So much was recorded elsewhere that it was not looked at one by one."""
    next_expiry: Instant | None


class Prefetch(NamedTuple):
    """What a batch is known to need: the states at hand, and what has to be read."""

    states: dict[Key, State]
    expected: Expected


def prefetch(asked: Iterable[Question], states: States) -> Prefetch:
    """Return what a batch of *asked* needs."""
    at_hand: dict[Key, State] = {}
    unread: dict[Key, None] = {}
    requests = []
    get = states.get
    for command, request in asked:
        for key in command.touches:
            if key not in at_hand:
                state = get(key)
                if state is None:
                    unread[key] = None
                else:
                    at_hand[key] = state
        if request.key is not None:
            requests.append(request.key)
    return Prefetch(at_hand, Expected(unread, requests))


def drive(  # noqa: PLR0913  a transaction, and the engine's parts that it works with
    transaction: Transaction,
    states: States,
    clock: LogClock,
    work: Work | None,
    prefetched: Prefetch | None = None,
    *,
    dry: bool = False,
) -> Result:
    """Have *work* done to a batch in *transaction*, and write it, unless it is a *dry* run.

    Without *work* the batch only follows what was recorded elsewhere.
    """
    head = transaction.head()
    now = clock.read(transaction, head.record_time)
    behind = head.position - states.position
    skipped, elsewhere = behind > MAX_BEHIND, list[Event]()
    if skipped:
        # its position moves once this process was told, after the commit
        states.restart(states.position)
    elif behind:
        elsewhere += transaction.events_after(states.position, behind)
    at_hand = prefetched.states if prefetched and not skipped else None
    batch = Batch(head.position, now, transaction.earliest_expiry(), states, at_hand)
    batch.follow(elsewhere)
    if work is not None:
        if prefetched:
            _read(transaction, batch, NotRead(*prefetched.expected))
        _work_through(transaction, batch, work)
        if not dry:
            transaction.write(batch.recorded, batch.remembered)
    return Result(batch, elsewhere, skipped, transaction.earliest_expiry())


def _work_through(transaction: Transaction, batch: Batch, work: Work) -> None:
    while True:
        try:
            return work(batch)
        except NotRead as lacking:
            _read(transaction, batch, lacking)


def _read(transaction: Transaction, batch: Batch, lacking: NotRead) -> None:
    if lacking.keys:
        # the batch may have changed some of a subject's streams already
        batch.states = transaction.states(lacking.keys) | batch.states
        if lost := [key for key in lacking.keys if key not in batch.states]:
            raise UnknownKey(f"{lost[0]!r} is neither of a stream nor of a subject")
    if lacking.requests:
        batch.given.answered |= transaction.answered(lacking.requests)
    if lacking.replay is not None:
        batch.given.replays[lacking.replay] = transaction.replay(lacking.replay)
    for stream in lacking.due:
        batch.given.due[stream] = transaction.due(batch.now, MAX_DUE, stream)
