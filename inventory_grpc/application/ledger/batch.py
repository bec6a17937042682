"""Commands decided one after the other inside one transaction.

A `Batch` is the `Book` that decisions read. It brings the state up to date with what
other processes recorded, then takes commands one after the other: answered before?
overdue? decide, append, remember.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, cast

from inventory_grpc.application.access import EVERYWHERE, Scope
from inventory_grpc.application.failures import RequestIdReused, WritesRefused
from inventory_grpc.application.ledger.clock import LogClock
from inventory_grpc.application.ledger.states import States, reservation_fact
from inventory_grpc.application.ports import Answered, Outcome, RequestKey, Transaction
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause, Change, Event, Key
from inventory_grpc.domain.refusals import InsufficientStock, ReservationNotFound
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.reservation_commands import (
    CommitReservation,
    ExtendReservation,
    ReleaseReservation,
    ReserveStock,
)
from inventory_grpc.domain.stock import Inventory, RemoveStock
from inventory_grpc.domain.values import Instant, ReservationId, StockId

MAX_BEHIND: Final = 5_000
"""Events of other processes that are applied one by one; with more, states start anew."""

MAX_EXPIRED: Final = 256
"""Reservations let go in one step, and at most `MAX_EXPIRED_EVENTS` and a whole one."""

MAX_EXPIRED_EVENTS: Final = 2_048

FORGOTTEN_AT_ONCE: Final = 1_000
"""Requests forgotten in one step."""


class Request(NamedTuple):
    """One call: who asks, what was asked as a fingerprint, and until when it matters."""

    cause: Cause = Cause()
    fingerprint: bytes = b""
    deadline: float | None = None
    """On the event loop's clock; a command not begun by then is never begun."""
    scope: Scope = EVERYWHERE
    """A reservation with a line outside of it is not there for the caller."""

    @property
    def key(self) -> RequestKey | None:
        """By which it is remembered, if it can be repeated."""
        cause = self.cause
        return RequestKey(cause.actor, cause.request_id) if cause.request_id else None


class Batch:
    """Commands of many callers in one transaction; none of them can tell."""

    def __init__(self, transaction: Transaction, states: States, clock: LogClock) -> None:
        self._transaction = transaction
        self._states = states
        head = transaction.head()
        self.now = clock.read(transaction, head.record_time)
        self.head = head.position
        self.skipped = False
        """Too much was recorded elsewhere to look at it one by one."""
        self.recorded: list[Event] = []
        """What has been recorded since the last batch, here and elsewhere, in order."""
        self.added = 0
        """How many of them by this batch."""
        self._earliest_expiry = transaction.earliest_expiry()
        self._catch_up()

    def _catch_up(self) -> None:
        behind = self.head - self._states.position
        if behind > MAX_BEHIND:
            self._states.clear()
            self._states.position = self.head
            self.skipped = True
        elif behind:
            for event in self._transaction.events_after(self._states.position, behind):
                self._states.apply(event)
                self.recorded.append(event)

    def get(self, key: Key) -> Any:  # noqa: ANN401  as the protocol has it
        return (
            self.inventory(key)
            if isinstance(key, StockId)
            else self.reservation(cast("ReservationId", key))
        )

    def inventory(self, stock_id: StockId) -> Inventory:
        return self._states.inventory(stock_id, self._transaction.inventory)

    def reservation(self, reservation_id: ReservationId) -> Reservation | None:
        return self._states.reservation(reservation_id, self._transaction.reservation)

    def expect(self, asked: Iterable[tuple[Command, Request]]) -> None:
        """Look up at once what is asked for; all of it is to come."""
        requests, stocks, reservations = list[RequestKey](), set[StockId](), set[ReservationId]()
        for command, request in asked:
            if key := request.key:
                requests.append(key)
            for named in command.touches:
                if isinstance(named, ReservationId):
                    reservations.add(named)
                elif isinstance(named, StockId):
                    stocks.add(named)
        self._transaction.expect(requests, *self._states.missing(stocks, reservations))

    def answer(self, command: Command, request: Request) -> Outcome:
        """Do what *command* asks, or find that it was done.

        Raises:
            Refusal: and nothing was recorded of it.
        """
        key = request.key
        if request.scope is not EVERYWHERE:
            self._check_scope(command, request.scope)
        if key and (answered := self._transaction.answered(key)):
            if answered.fingerprint != request.fingerprint:
                raise RequestIdReused(key.request_id)
            return self._answer_again(answered)
        self._expire_if_named(command)
        movements = self._decide(command)
        if movements:
            outcome = self._append(movements, request.cause)
            position = self.recorded[-len(movements)].position
            answered = Answered(request.fingerprint, position, None, self.now)
        else:
            outcome = self._as_it_is(command)
            answered = Answered(request.fingerprint, self.head, outcome, self.now)
        if key:
            self._transaction.remember(key, answered)
        return outcome

    def _check_scope(self, command: Command, scope: Scope) -> None:
        """Refuse what is done to a reservation outside of *scope* as if there were none."""
        if isinstance(command, CommitReservation | ReleaseReservation | ExtendReservation):
            reservation = self.reservation(command.reservation_id)
            if reservation is not None and not scope.covers(reservation.lines):
                raise ReservationNotFound(command.reservation_id)

    def _decide(self, command: Command) -> Sequence[Change]:
        """Decide; before saying no for lack of stock, let go of overdue holds on it."""
        try:
            return command.decide(self)
        except InsufficientStock as refusal:
            if not isinstance(command, ReserveStock | RemoveStock) or not self._is_any_due():
                raise
            short = {line.stock_id: line.asked for line in refusal.lines}
        if not self._free(short):
            raise WritesRefused(0.1, "overdue reservations are being let go; try again")
        return command.decide(self)

    def _is_any_due(self) -> bool:
        return self._earliest_expiry is not None and self._earliest_expiry <= self.now

    def _expire_if_named(self, command: Command) -> None:
        reservation_id = getattr(command, "reservation_id", None)
        if reservation_id is not None:
            reservation = self.reservation(reservation_id)
            if reservation is not None and reservation.is_due(self.now):
                self._expire(reservation)

    def _free(self, wanted: dict[StockId, int]) -> bool:
        """Let overdue holds go until *wanted* is available, oldest first.

        Return whether that was enough, or all there was to let go.
        """
        steps, events = 0, self.added
        for stock_id, units in wanted.items():
            while units > self.inventory(stock_id).available:
                due = self._transaction.due_on(stock_id, self.now, 1)
                if not due:
                    break
                if steps == MAX_EXPIRED or self.added - events >= MAX_EXPIRED_EVENTS:
                    return False
                self._expire_by_id(due[0])
                steps += 1
        return True

    def expire_due(self) -> None:
        """Let go of what is overdue, oldest first, one step."""
        events = self.added
        for reservation_id in self._transaction.due(self.now, MAX_EXPIRED):
            if self.added - events >= MAX_EXPIRED_EVENTS:
                break
            self._expire_by_id(reservation_id)

    def _expire_by_id(self, reservation_id: ReservationId) -> None:
        reservation = self.reservation(reservation_id)
        assert reservation is not None, f"{reservation_id} is due, and has no events"
        self._expire(reservation)

    def _expire(self, reservation: Reservation) -> None:
        self._append(reservation.expire(), Cause(occur_time=reservation.expire_time))

    def forget(self, before: Instant) -> bool:
        """Forget requests recorded before a time, one step; return whether there may be more."""
        return self._transaction.forget(before, FORGOTTEN_AT_ONCE) == FORGOTTEN_AT_ONCE

    def _append(self, movements: Sequence[Change], cause: Cause) -> Outcome:
        """Give the facts their places in the log, and the state they make."""
        first = self.head + 1
        stocks: list[Inventory] = []
        events: list[Event] = []
        for stock_id, fact in movements:
            before = self.inventory(stock_id)
            self.head += 1
            # by their places: named, they take twice as long
            event = Event(
                self.head,
                first,
                stock_id,
                before.version + 1,
                self.now,
                cause,
                fact,
                before.after(fact),
            )
            stocks.append(before.evolve(event))
            self._states.put(stock_id, stocks[-1])
            events.append(event)
        reservation = self._evolve_reservation(events)
        self._transaction.append(events)
        self.recorded += events
        self.added += len(events)
        return Outcome(self.head, stocks, reservation)

    def _evolve_reservation(self, events: Sequence[Event]) -> Reservation | None:
        fact = reservation_fact(events[0])
        if fact is None:
            return None
        reservation = self.reservation(fact.reservation_id)
        if reservation is None:
            reservation = Reservation.begin(events[0])
        reservation = reservation.evolve(events)
        self._states.put(fact.reservation_id, reservation)
        return reservation

    def _as_it_is(self, command: Command) -> Outcome:
        """Return the answer to a command that found everything as it should be."""
        reservation_id: ReservationId = getattr(command, "reservation_id")  # noqa: B009  only commands on a reservation find nothing to do
        reservation = self.reservation(reservation_id)
        assert reservation is not None
        stocks = [self.inventory(stock_id) for stock_id in reservation.lines]
        return Outcome(self.head, stocks, reservation)

    def _answer_again(self, answered: Answered) -> Outcome:
        """Return the answer that was given first, as it was then."""
        if answered.outcome is not None:
            return answered.outcome._replace(replayed=True)
        events = self._transaction.command(answered.position)
        last = events[-1]
        fact = reservation_fact(last)
        return Outcome(
            position=last.position,
            stocks=[Inventory.at(event) for event in events],
            reservation=self._transaction.reservation(fact.reservation_id, upto=last.position)
            if fact
            else None,
            replayed=True,
        )
