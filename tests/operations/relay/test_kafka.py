"""Kafka alone: the form of messages, options, and refusals; with the mock cluster of librdkafka."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka import Consumer, TopicPartition

from inventory_grpc.choices import EventFormat
from inventory_grpc.relay.messages import message_of
from inventory_grpc.relay.target import Place, Unfit
from inventory_grpc.relay.targets import target_of
from inventory_grpc.testing import InventoryServer
from inventory_grpc_protos.v1.events_pb2 import Event, StockAdded
from tests.operations.relay.relays import Relay, eventually
from tests.support.brokers import free_port
from tests.support.kafka import TOPIC, MockKafka

ADDED: Final = Event(
    position=1,
    event_id="abcdefghjkmn-1",
    product_id="kettle",
    store_id="lisbon",
    stock_added=StockAdded(quantity=3),
)


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[MockKafka]:
    made = MockKafka(tmp_path)
    made.start()
    yield made
    made.kill()


async def test_the_key_is_the_stock_and_headers_are_named_as_cloudevents_has_them_for_kafka(
    kafka: MockKafka,
) -> None:
    target = target_of(kafka.url)
    await target.publish(await target.start(), [message_of(ADDED, EventFormat.JSON)])
    await target.close()
    consumer = Consumer({"bootstrap.servers": kafka.servers, "group.id": "test"})
    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in kafka.partitions()])
    stored = consumer.poll(20)
    consumer.close()
    assert stored is not None
    assert stored.key() == b"kettle@lisbon"
    headers = dict(stored.headers() or ())
    assert headers["Inventory-Position"] == b"1"
    assert headers["ce_id"] == b"abcdefghjkmn-1"
    assert headers["ce_type"] == b"inventory.v1.StockAdded"
    assert headers["content-type"] == b"application/json"
    assert headers["subject"] == b"inventory.v1.StockAdded.lisbon.kettle"


async def test_an_event_that_is_larger_than_allowed_is_refused_for_good(kafka: MockKafka) -> None:
    target = target_of(f"{kafka.url}?message.max.bytes=1000")
    noted = Event(position=1, event_id="abcdefghjkmn-1", subject="product/" + "k" * 2_000)
    with pytest.raises(Unfit, match="too large"):
        await target.publish(await target.start(), [message_of(noted, EventFormat.PROTOBUF)])
    await target.close()


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("nonsense=1", "nonsense is no option of kafka://: name one that begins with security"),
        ("plugin.library.paths=/tmp/a.so", "plugin.library.paths is no option of kafka://"),
        ("ssl.nonsense=1", 'No such configuration property: "ssl.nonsense"'),
        ("security.protocol=SSL&ssl.ca.location=/nowhere.pem", "ssl.ca.location failed"),
    ],
)
async def test_wrong_options_are_told(query: str, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        await target_of(f"kafka://127.0.0.1:9092?{query}").start()


def test_a_user_needs_a_mechanism() -> None:
    with pytest.raises(Unfit, match=r"needs the options security.protocol, .* and sasl.mechanism"):
        target_of("kafka://ana:secret@127.0.0.1:9092?security.protocol=SASL_SSL")


async def test_a_password_is_taken_and_not_told() -> None:
    target = target_of(
        "kafka://ana:s%2Fcret@127.0.0.1:9092?security.protocol=SASL_SSL&sasl.mechanism=NONSENSE"
    )
    with pytest.raises(Unfit, match="Unsupported SASL mechanism: NONSENSE") as told:
        await target.start()
    assert "cret" not in str(told.value)


def test_a_signal_ends_a_relay_that_waits_for_its_brokers(tmp_path: Path) -> None:
    with InventoryServer() as server:
        relay = Relay(tmp_path, server, f"kafka://127.0.0.1:{free_port()}")
        eventually(lambda: "the target does not take events" in relay.told())
        assert "Connection refused" in relay.told()
        assert relay.stop() == 0


async def test_an_empty_topic_has_no_place_with_any_number_of_partitions(kafka: MockKafka) -> None:
    target = target_of(kafka.url)
    assert len(kafka.partitions()) > 1
    assert await target.start() == Place()
    await target.close()


async def test_the_partition_of_a_key_is_that_of_the_clients_in_java(kafka: MockKafka) -> None:
    target = target_of(kafka.url)
    count, place = len(kafka.partitions()), await target.start()
    for position in range(1, 11):
        event = Event(position=position, event_id=f"abcdefghjkmn-{position}")
        event.product_id, event.store_id = "kettle", f"store-{position}"
        await target.publish(place, [message_of(event, EventFormat.PROTOBUF)])
        place = Place(position, event.event_id)
    await target.close()
    for partition, entries in (await kafka.read_partitions()).items():
        for entry in entries:
            key = f"kettle@store-{entry.position}".encode()
            assert partition == (murmur2(key) & 0x7FFFFFFF) % count


def murmur2(key: bytes) -> int:
    """Return the hash by which Kafka's own clients choose a partition."""
    factor, mask = 0x5BD1E995, 0xFFFFFFFF
    value = 0x9747B28C ^ len(key)
    whole = len(key) & ~3
    for at in range(0, whole, 4):
        part = int.from_bytes(key[at : at + 4], "little") * factor & mask
        part = (part ^ part >> 24) * factor & mask
        value = value * factor & mask ^ part
    if rest := key[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * factor & mask
    value = (value ^ value >> 13) * factor & mask
    return value ^ value >> 15


def test_the_hash_is_that_of_kafka() -> None:
    """The figures are those of its own tests."""
    assert murmur2(b"21") == -973932308 & 0xFFFFFFFF
    assert murmur2(b"foobar") == -790332482 & 0xFFFFFFFF
    assert murmur2(b"a-little-bit-long-string") == -985981536 & 0xFFFFFFFF
