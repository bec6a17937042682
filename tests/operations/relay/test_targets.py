"""Every target keeps the same promises to a relay."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Final

import pytest
from google.protobuf.json_format import Parse

from inventory_grpc.choices import EventFormat
from inventory_grpc.relay.messages import Message, message_of
from inventory_grpc.relay.target import Overtaken, Place, Target, Unfit, Unreachable
from inventory_grpc.relay.targets import Kept, target_of
from inventory_grpc_protos.v1.events_pb2 import Event, StockAdded
from tests.operations.relay.receivers import Example
from tests.support.brokers import BROKERS, Broker
from tests.support.kafka import KAFKA, NoidaDb

LOG = "abcdefghjkmn"

MOCK: Final = "kafka-mock"
"""The mock cluster of librdkafka: CI has it in place of Kafka, for what it can show."""

WEBHOOKS: Final = "webhooks"
"""The example of a receiver, which skips what it has already: events come at least once."""


def on_brokers_and(*more: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("broker", [*BROKERS, *KAFKA, *more], indirect=True)


def target_at(broker: Broker) -> Target:
    return target_of(broker.url, Kept(broker.secrets if isinstance(broker, Example) else None))


def refused(broker: Broker) -> AbstractContextManager[object]:
    """Return what expects that a batch is refused, or for webhooks, that it may be taken."""
    return suppress(Overtaken) if isinstance(broker, Example) else pytest.raises(Overtaken)


def events(first: int, last: int, step: int = 1) -> Sequence[Message]:
    return [
        message_of(
            Event(
                position=position,
                event_id=f"{LOG}-{position}",
                product_id="kettle",
                store_id="lisbon",
                stock_added=StockAdded(quantity=position),
            ),
            EventFormat.JSON,
        )
        for position in range(first, last + 1, step)
    ]


def place(position: int) -> Place:
    return Place(position, f"{LOG}-{position}")


@pytest.fixture
async def target(broker: Broker) -> AsyncIterator[Target]:
    made = target_at(broker)
    yield made
    await made.close()


async def positions(broker: Broker) -> Sequence[int]:
    return [entry.position for entry in await broker.read()]


async def each_once_and_in_order(broker: Broker) -> None:
    # of a refused batch those may be stored that are next to the last
    found = await positions(broker)
    assert found == [*range(1, len(found) + 1)]


@on_brokers_and(MOCK, WEBHOOKS)
async def test_an_empty_target_has_no_last_event(target: Target) -> None:
    assert await target.start() == Place()


@on_brokers_and(MOCK, WEBHOOKS)
async def test_the_place_is_that_of_the_last_event_also_for_another_relay(
    broker: Broker, target: Target
) -> None:
    await target.publish(await target.start(), events(1, 300))
    await target.publish(place(300), events(301, 302))
    other = target_at(broker)
    assert await other.start() == place(302)
    await other.close()
    stored = await broker.read()
    assert [entry.position for entry in stored] == [*range(1, 303)]
    assert Parse(stored[6].body, Event()).stock_added.quantity == 7


@on_brokers_and(MOCK, WEBHOOKS)
async def test_positions_may_have_gaps_as_a_filter_leaves_them(
    broker: Broker, target: Target
) -> None:
    await target.publish(await target.start(), events(10, 30, 10))
    await target.publish(place(30), events(100, 100))
    assert await positions(broker) == [10, 20, 30, 100]


async def test_all_are_stored_when_it_returns(broker: Broker, target: Target) -> None:
    await target.publish(await target.start(), events(1, 5_000))
    assert await positions(broker) == [*range(1, 5_001)]


@on_brokers_and(MOCK, WEBHOOKS)
@pytest.mark.parametrize("after", [0, 2, 4])
async def test_what_is_published_behind_another_event_is_refused(
    broker: Broker, target: Target, after: int
) -> None:
    await target.publish(await target.start(), events(1, 3))
    behind = place(after) if after else Place()
    with refused(broker):
        await target.publish(behind, events(after + 1, after + 3))
    await each_once_and_in_order(broker)


@on_brokers_and(WEBHOOKS)
async def test_of_two_relays_the_one_that_is_late_is_refused(
    broker: Broker, target: Target
) -> None:
    await target.start()
    other = target_at(broker)
    await other.publish(await other.start(), events(1, 2))
    with refused(broker):
        await target.publish(Place(), events(1, 3))
    last = await target.start()
    await target.publish(last, events(last.position + 1, last.position + 2))
    with refused(broker):
        await other.publish(place(2), events(3, 5))
    await other.close()
    await each_once_and_in_order(broker)


@on_brokers_and(WEBHOOKS)
async def test_what_was_acknowledged_is_there_after_a_kill(broker: Broker, target: Target) -> None:
    await target.publish(await target.start(), events(1, 50))
    if isinstance(broker, NoidaDb):
        await broker.written()  # what it acknowledges, it writes later
    broker.kill()
    with pytest.raises(Unreachable):
        await target.publish(place(50), events(51, 51))
    with pytest.raises(Unreachable):
        await target.start()
    broker.start()
    assert await target.start() == place(50)
    await target.publish(place(50), events(51, 51))
    assert await positions(broker) == [*range(1, 52)]


@on_brokers_and(MOCK)
async def test_what_something_else_has_added_is_told(broker: Broker, target: Target) -> None:
    await target.publish(await target.start(), events(1, 1))
    await broker.add_other()
    with pytest.raises(Unfit, match=r"is not from a relay: publish to a \w+ that nothing else"):
        await target.start()


async def test_a_stream_that_lost_its_last_event_is_told(broker: Broker, target: Target) -> None:
    await target.publish(await target.start(), events(1, 3))
    await broker.empty()
    with pytest.raises(Unfit, match=r"none is left to tell the place: .* --after"):
        await target.start()


@pytest.mark.parametrize("url", ["ftp://lisbon/kettles", "nats:", "", "kettle"])
def test_what_is_no_target_is_told_with_those_that_are(url: str) -> None:
    with pytest.raises(
        Unfit, match=r"is no target: a URL begins with one of nats://, .*kafka://, valkey://"
    ):
        target_of(url)
