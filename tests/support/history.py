"""History made to measure: single events, and many commands in one transaction."""

from collections.abc import Callable, Iterable

from inventory_grpc.application.ledger.batch import Batch, Request
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ports import Transaction
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause, Event, Fact, Levels
from inventory_grpc.domain.reservation import ReservationExpired
from inventory_grpc.domain.values import Instant, ReservationId, StockId
from tests.support.clock import ManualClock
from tests.support.world import NOON


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


def appending(
    *commands: Command, request_id: str = "", clock: ManualClock | None = None
) -> Callable[[Transaction], None]:
    """Return work that does all of *commands*; the first of them under the request id."""

    def work(transaction: Transaction) -> None:
        batch = Batch(transaction, States(1_000, 1_000), (clock or ManualClock()).log_clock())
        for number, command in enumerate(commands):
            cause = Cause(request_id="" if number else request_id)
            batch.answer(command, Request(cause, repr(command).encode()))

    return work


def expired_in(events: Iterable[Event]) -> list[ReservationId]:
    """Return the reservations that have expired, in the order of the log."""
    facts = (event.fact for event in events)
    expired = (fact.reservation_id for fact in facts if isinstance(fact, ReservationExpired))
    return list(dict.fromkeys(expired))
