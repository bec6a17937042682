"""Checks of what followers received against the log, as in etcd's robustness suite.

They share no code with the service but the contract. A follower is a sequence of
subscriptions, each of which resumed where the one before had ended.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from inventory_grpc_protos.v1.events_pb2 import (
    Event,
    EventFilter,
    SubscribeRequest,
    SubscribeResponse,
)


@dataclass
class Subscription:
    """One call, what it was sent, and how it ended."""

    request: SubscribeRequest
    messages: list[SubscribeResponse] = field(default_factory=list)
    ended: str = ""
    """A reason or code; nothing if its caller left, or it ended as it should."""

    @property
    def events(self) -> list[Event]:
        return [event for message in self.messages for event in message.events]

    @property
    def position(self) -> int:
        return self.messages[-1].position


def matches(wanted: EventFilter, event: Event) -> bool:
    """Tell whether *event* is one that was asked for."""
    fact = event.WhichOneof("fact") or ""
    kind = "".join(word.capitalize() for word in fact.split("_"))
    reservation = getattr(getattr(event, fact), "reservation_id", "")
    return all(
        not values or value in values
        for values, value in (
            (wanted.event_types, kind),
            (wanted.product_ids, event.product_id),
            (wanted.store_ids, event.store_id),
            (wanted.reservation_ids, reservation),
        )
    )


def ordered(followed: Sequence[Subscription], _log: Sequence[Event]) -> None:
    """Positions rise within a stream, and progress never goes back."""
    for subscription in followed:
        positions = [event.position for event in subscription.events]
        assert all(one < next_ for one, next_ in pairwise(positions)), positions
        progress = [message.position for message in subscription.messages]
        assert progress == sorted(progress), progress
        assert all(message.position <= message.head_position for message in subscription.messages)


def unique(followed: Sequence[Subscription], _log: Sequence[Event]) -> None:
    """No event comes twice to a follower that resumes at its last progress."""
    ids = [event.event_id for subscription in followed for event in subscription.events]
    assert len(ids) == len(set(ids))


def durable(followed: Sequence[Subscription], log: Sequence[Event]) -> None:
    """Check that what was sent is in the log, to the byte, and no progress is beyond it."""
    for subscription in followed:
        for message in subscription.messages:
            assert message.position <= len(log), "progress beyond the end of the log"
            for event in message.events:
                assert event == log[event.position - 1]


def reliable(followed: Sequence[Subscription], log: Sequence[Event]) -> None:
    """Between where a stream began and where it had come to, nothing that matches was skipped."""
    for subscription in followed:
        if subscription.messages:
            start = _start(subscription, log)
            stretch = log[start : subscription.position]
            wanted = [event for event in stretch if matches(subscription.request.filter, event)]
            assert [event.position for event in subscription.events] == [
                event.position for event in wanted
            ]


def atomic(followed: Sequence[Subscription], log: Sequence[Event]) -> None:
    """Check that a command comes in one message, and that progress never cuts one in two."""
    begins = {event.command_position for event in log} | {len(log) + 1}
    for subscription in followed:
        commands: set[int] = set()
        start = _start(subscription, log)
        for message in subscription.messages:
            found = {event.command_position for event in message.events}
            assert not found & commands, "a command came in two messages"
            commands |= found
            assert message.position == start or message.position + 1 in begins


def resumable(followed: Sequence[Subscription], log: Sequence[Event]) -> None:
    """All streams of a follower together are what one would have brought that never broke."""
    begun = [subscription for subscription in followed if subscription.messages]
    for before, after in pairwise(begun):
        assert after.request.after_position == before.position, "the test did not resume"
        assert _start(after, log) == before.position
    if begun:
        whole = log[_start(begun[0], log) : begun[-1].position]
        wanted = [event.position for event in whole if matches(begun[0].request.filter, event)]
        assert [event.position for one in begun for event in one.events] == wanted


def bookmarkable(followed: Sequence[Subscription], _log: Sequence[Event]) -> None:
    """After progress P, nothing up to P comes, and what comes is not beyond its own progress."""
    for subscription in followed:
        progress = -1
        for message in subscription.messages:
            for event in message.events:
                assert progress < event.position <= message.position
            progress = message.position


def prompt(followed: Sequence[Subscription], _log: Sequence[Event]) -> None:
    """Check that the first message comes at once, and that the last one says when it is that."""
    for subscription in followed:
        if subscription.messages:
            assert not subscription.messages[0].events
        if subscription.request.stop_at_head and not subscription.ended:
            assert [message.caught_up for message in subscription.messages][-1]
            assert sum(message.caught_up for message in subscription.messages) == 1


Validator = Callable[[Sequence[Subscription], Sequence[Event]], None]

VALIDATORS: Final[tuple[Validator, ...]] = (
    ordered,
    unique,
    durable,
    reliable,
    atomic,
    resumable,
    bookmarkable,
    prompt,
)


def broken(followed: Sequence[Subscription], log: Sequence[Event]) -> Iterator[str]:
    """Yield what is not as promised, with the name of the promise."""
    for validator in VALIDATORS:
        try:
            validator(followed, log)
        except AssertionError as error:
            yield f"{validator.__name__}: {error}"


def _start(subscription: Subscription, log: Sequence[Event]) -> int:
    """Return after which position it was to begin."""
    request = subscription.request
    match request.WhichOneof("start"):
        case "after_time":
            time = request.after_time.ToMicroseconds()
            return sum(event.record_time.ToMicroseconds() <= time for event in log)
        case "from_now":
            # only the server knows; the test knows in between which positions that was
            return subscription.messages[0].position if subscription.messages else 0
        case _:
            return request.after_position
