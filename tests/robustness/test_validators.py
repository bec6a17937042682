"""Each validator finds the one fault in a history made for it."""

from collections.abc import Callable

import pytest

from inventory_grpc_protos.v1.events_pb2 import (
    Event,
    EventFilter,
    SubscribeRequest,
    SubscribeResponse,
)
from tests.robustness.validators import Subscription, broken
from tests.support.feed import Feed, history


@pytest.fixture
async def log() -> list[Event]:
    """Nine commands of 15 events; the last four of three, and one, lines each."""
    feed = Feed()
    await history(feed)
    return [Event.FromString(data) for message in await feed.all_of() for data in message.events]


def following(log: list[Event]) -> list[Subscription]:
    """Follow to position 6, leave, and resume to the end: a message a command."""
    followed = [Subscription(SubscribeRequest()), Subscription(SubscribeRequest(after_position=6))]
    for subscription, upto in zip(followed, (6, len(log)), strict=True):
        position = subscription.request.after_position
        subscription.messages.append(_message(position, len(log)))
        while position < upto:
            first = log[position].command_position
            events = [event for event in log if event.command_position == first]
            position = events[-1].position
            subscription.messages.append(_message(position, len(log), *events))
    return followed


def _message(position: int, head: int, *events: Event) -> SubscribeResponse:
    return SubscribeResponse(position=position, head_position=head, events=events)


def test_nothing_is_wrong_with_what_is_right(log: list[Event]) -> None:
    assert list(broken(following(log), log)) == []


def _skip_an_event(followed: list[Subscription]) -> None:
    del followed[0].messages[2].events[:]


def _repeat_at_the_seam(followed: list[Subscription]) -> None:
    followed[1].messages.insert(1, followed[0].messages[-1])


def _swap(followed: list[Subscription]) -> None:
    messages = followed[1].messages
    messages[1], messages[2] = messages[2], messages[1]


def _cut_a_command(followed: list[Subscription]) -> None:
    whole = followed[1].messages[1]
    head = SubscribeResponse()
    head.CopyFrom(whole)
    del head.events[1:]
    head.position = head.events[0].position
    del whole.events[:1]
    followed[1].messages.insert(1, head)


def _see_what_is_not_there(followed: list[Subscription]) -> None:
    followed[1].messages[-1].position += 1
    followed[1].messages[-1].head_position += 1


def _change_a_byte(followed: list[Subscription]) -> None:
    followed[0].messages[1].events[0].after.on_hand += 1


def _promise_too_much(followed: list[Subscription]) -> None:
    followed[0].messages[0].position = 3


def _resume_elsewhere(followed: list[Subscription]) -> None:
    followed[1].request.after_position = 9
    del followed[1].messages[:2]
    followed[1].messages.insert(0, _message(9, 15))


def _begin_with_events(followed: list[Subscription]) -> None:
    del followed[0].messages[0]


@pytest.mark.parametrize(
    ("spoil", "promise"),
    [
        (_skip_an_event, "reliable"),
        (_skip_an_event, "resumable"),
        (_repeat_at_the_seam, "unique"),
        (_swap, "ordered"),
        (_cut_a_command, "atomic"),
        (_see_what_is_not_there, "durable"),
        (_change_a_byte, "durable"),
        (_promise_too_much, "bookmarkable"),
        (_resume_elsewhere, "resumable"),
        (_begin_with_events, "prompt"),
    ],
)
def test_what_is_wrong_is_found(
    spoil: Callable[[list[Subscription]], None], promise: str, log: list[Event]
) -> None:
    followed = following(log)
    spoil(followed)
    assert promise in {found.partition(":")[0] for found in broken(followed, log)}


def test_an_event_outside_the_filter_is_found(log: list[Event]) -> None:
    followed = following(log)
    for subscription in followed:
        subscription.request.filter.CopyFrom(EventFilter(product_ids=["toaster"]))
    assert any(found.startswith("reliable") for found in broken(followed, log))
