"""Histories for measurements: single events, and many commands in one transaction."""

import sys
from collections.abc import Callable, Iterable, Sequence
from unittest.mock import patch

from inventory_grpc.application.ledger import batch as batch_module
from inventory_grpc.application.ledger.batch import Batch
from inventory_grpc.application.ledger.driver import drive
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.outcomes import Answered, RequestKey
from inventory_grpc.application.ports import Transaction
from inventory_grpc.domain.book import Book, Command
from inventory_grpc.domain.event import Cause, Change, Event, Fact
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.reservation_facts import ReservationExpired
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import Instant, ReservationId, StockId
from tests.support.clock import ManualClock
from tests.support.world import KETTLES, NOON


def event_of(
    position: int,
    stock_id: StockId,
    fact: Fact,
    *,
    version: int = 1,
    after: Levels = Levels(0, 0),  # noqa: B008  it is immutable
    command_position: int | None = None,
    record_time: Instant = NOON,
    cause: Cause = Cause(),  # noqa: B008  as above
) -> Event:
    """Return an event in which only what matters has to be said."""
    return Event(
        position=position,
        command_position=command_position or position,
        key=stock_id,
        version=version,
        record_time=record_time,
        cause=cause,
        fact=fact,
        after=after,
    )


class Faulty:
    """A command that cannot be decided, for it has a bug; it touches the kettles in Lisbon."""

    touches = (KETTLES,)
    about = None

    def decide(self, book: Book) -> Sequence[Change]:
        raise ZeroDivisionError(f"a bug, at {book.now}")


def doing(
    work: Callable[[Batch], None], clock: ManualClock | None = None
) -> Callable[[Transaction], Batch]:
    """Return work on a transaction that drives *work*, with nothing at hand but what is stored."""

    def drive_it(transaction: Transaction) -> Batch:
        states = States()
        states.restart(transaction.head().position)
        log_clock = (clock or ManualClock()).over_any_storage()
        return drive(transaction, states, log_clock, work).batch

    return drive_it


def appending(
    *commands: Command, request_id: str = "", clock: ManualClock | None = None
) -> Callable[[Transaction], None]:
    """Return work that does all of *commands*; the first of them under the request id."""
    asked = [
        Submission.of(command, Cause("" if number else request_id), repr(command).encode())
        for number, command in enumerate(commands)
    ]

    def work(transaction: Transaction) -> None:
        with patch.object(batch_module, "MAX_EVENTS", sys.maxsize):
            batch = doing(lambda batch: batch.answer_all(asked), clock)(transaction)
        for answer in batch.answers:
            if isinstance(answer, Refusal):
                raise answer

    return work


def stock_in(transaction: Transaction, stock_id: StockId) -> Inventory:
    """Return the state of one stock."""
    inventory: Inventory = transaction.states([stock_id])[stock_id]
    return inventory


def reservation_in(transaction: Transaction, reservation_id: ReservationId) -> Reservation | None:
    """Return the state of one reservation."""
    reservation: Reservation | None = transaction.states([reservation_id])[reservation_id]
    return reservation


def answer_in(transaction: Transaction, request: RequestKey) -> Answered | None:
    """Return how one request was answered."""
    return transaction.answered([request])[request]


def expired_in(events: Iterable[Event]) -> list[ReservationId]:
    """Return the reservations that have expired, in the order of the log."""
    facts = (event.fact for event in events)
    expired = (fact.reservation_id for fact in facts if isinstance(fact, ReservationExpired))
    return list(dict.fromkeys(expired))
