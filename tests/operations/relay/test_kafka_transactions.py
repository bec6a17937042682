"""Kafka alone: partitions, and transactions that were left open or aborted; with noida-db."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from inventory_grpc.choices import EventFormat
from inventory_grpc.relay.messages import Message, message_of
from inventory_grpc.relay.target import Overtaken, Place
from inventory_grpc.relay.targets import target_of
from inventory_grpc_protos.v1.events_pb2 import Event, StockAdded
from tests.support.kafka import TOPIC, NoidaDb

LOG = "abcdefghjkmn"


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[NoidaDb]:
    made = NoidaDb(tmp_path)
    made.start()
    yield made
    made.kill()


def of_many_stores(first: int, last: int) -> Sequence[Message]:
    return [
        message_of(
            Event(
                position=position,
                event_id=f"{LOG}-{position}",
                product_id="kettle",
                store_id=f"store-{position % 20}",
                stock_added=StockAdded(quantity=position),
            ),
            EventFormat.PROTOBUF,
        )
        for position in range(first, last + 1)
    ]


def place(position: int) -> Place:
    return Place(position, f"{LOG}-{position}")


def predecessor(kafka: NoidaDb) -> Producer:
    """Return what a relay writes with, which has begun a transaction."""
    producer = Producer(
        {"bootstrap.servers": kafka.servers, "transactional.id": f"inventory-relay-{TOPIC}"}
    )
    producer.init_transactions(20)
    producer.begin_transaction()
    return producer


async def test_events_that_a_relay_has_not_committed_are_aborted_by_the_next_one(
    kafka: NoidaDb,
) -> None:
    target = target_of(kafka.url)
    await target.publish(await target.start(), of_many_stores(1, 3))
    killed = predecessor(kafka)
    killed.produce(TOPIC, b"not committed", headers={"Inventory-Position": "4"})
    killed.flush(20)
    with pytest.raises(Overtaken, match="fenced"):
        await target.publish(place(3), of_many_stores(4, 6))
    assert await target.start() == place(3)
    with pytest.raises(KafkaException, match="fenced"):
        killed.commit_transaction(20)
    await target.publish(place(3), of_many_stores(4, 6))
    await target.close()
    assert [entry.position for entry in await kafka.read()] == [*range(1, 7)]


@pytest.mark.parametrize("count", [1, 3, 10, 300, 1_100])
async def test_the_last_event_is_found_behind_aborted_ones(kafka: NoidaDb, count: int) -> None:
    target = target_of(kafka.url)
    await target.publish(await target.start(), of_many_stores(1, 3))
    killed = predecessor(kafka)
    for number in range(count):
        killed.produce(TOPIC, b"aborted", headers={"Inventory-Position": str(number)})
    killed.flush(20)
    assert await target.start() == place(3)
    await target.close()


async def test_a_topic_where_all_was_aborted_is_empty(kafka: NoidaDb) -> None:
    target = target_of(kafka.url)
    await target.start()
    killed = predecessor(kafka)
    killed.produce(TOPIC, b"aborted")
    killed.flush(20)
    assert await target.start() == Place()
    await target.publish(Place(), of_many_stores(1, 3))
    await target.close()
    assert [entry.position for entry in await kafka.read()] == [1, 2, 3]


async def test_with_partitions_the_events_of_a_stock_are_in_one_and_in_order(
    kafka: NoidaDb,
) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.servers})
    admin.create_topics([NewTopic(TOPIC, 3, 1)])[TOPIC].result(20)
    target = target_of(kafka.url)
    last = await target.start()
    for first in range(1, 400, 40):
        await target.publish(last, of_many_stores(first, first + 39))
        last = await target.start()
        assert last == place(first + 39)
    await target.close()
    by_partition = await kafka.read_partitions()
    assert len(by_partition) == 3
    found = [entry.position for entries in by_partition.values() for entry in entries]
    assert sorted(found) == [*range(1, 401)]
    for entries in by_partition.values():
        positions = [entry.position for entry in entries]
        assert positions == sorted(positions)
    stores = [{entry.position % 20 for entry in entries} for entries in by_partition.values()]
    assert sum(map(len, stores)) == 20


async def test_relays_that_start_at_once_leave_one_that_publishes(kafka: NoidaDb) -> None:
    targets = [target_of(kafka.url) for _ in range(4)]
    await targets[0].publish(await targets[0].start(), of_many_stores(1, 3))

    async def started(number: int) -> None:
        with suppress(Overtaken):
            last = await targets[number].start()
            await targets[number].publish(
                last, of_many_stores(last.position + 1, last.position + 3)
            )

    for _ in range(5):
        await asyncio.gather(*map(started, range(4)))
    last = await targets[0].start()
    for target in targets:
        await target.close()
    assert [entry.position for entry in await kafka.read()] == [*range(1, last.position + 1)]
