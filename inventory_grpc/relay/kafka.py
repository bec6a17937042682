"""A topic of Kafka as the target: `kafka://host:9092,host:9092/topic`.

A batch is one transaction. All relays to a topic have the same `transactional.id`, so that the one
that starts fences the others: none of them commits any more. It reads the place after that, which
is the last committed message. So nothing is stored twice, and only behind the event before.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Stored
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from inventory_grpc.relay.kafka_calls import (
    NOT_YET,
    REFUSED,
    SECONDS,
    STEP_SECONDS,
    Calls,
    deadline,
    milliseconds,
)
from inventory_grpc.relay.messages import EVENT_ID, POSITION, Message
from inventory_grpc.relay.target import Overtaken, Place, Unfit, Unreachable

TOPIC: Final = "inventory"
"""The topic, if the URL names none. It is made if it does not exist."""

TRANSACTION_SECONDS: Final = 30.0
"""The broker aborts a transaction that was left open for so long; the next relay does so first."""

_TAIL: Final = 4
"""So many records are read first to find the last event: ends of transactions are records, too."""

_LONGER: Final = 16
"""So many times more are read next, behind those of aborted transactions."""


class KafkaTopic:
    """A `Target`."""

    def __init__(self, servers: str, topic: str, options: Mapping[str, str]) -> None:
        self._calls = Calls(servers, options)
        self._topic = topic
        # Without the log in it, so that relays of two logs to one empty topic fence each other.
        self._transactional_id = f"inventory-relay-{topic}"
        self._producer: Producer | None = None
        self._last = Place()

    async def start(self) -> Place:
        self._last = await self._calls.run(self._start)
        return self._last

    async def publish(self, after: Place, messages: Sequence[Message]) -> None:
        if self._producer is None:
            raise Unreachable("the connection was lost")
        if after != self._last:
            raise Overtaken(f"the last event in the topic {self._topic} is {self._last.position}")
        await self._calls.run(lambda: self._store(messages))
        self._last = Place(messages[-1].position, messages[-1].event_id)

    async def close(self) -> None:
        await self._calls.close()
        self._producer = None

    def _start(self) -> Place:
        self._producer = None
        self._calls.renew()
        consumer = Consumer(
            {
                **self._calls.options,
                "group.id": self._transactional_id,  # it is needed, and never joined
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,
            }
        )
        try:
            partitions = self._found_or_made(consumer)
            producer = self._fence()
            place = self._place(consumer, partitions)
        finally:
            consumer.close()
        self._producer = producer
        return place

    def _found_or_made(self, consumer: Consumer) -> Collection[int]:
        """Return the partitions of the topic; make it with one if it does not exist."""
        if not (partitions := self._found(consumer)):
            new = NewTopic(self._topic, 1, -1, config={"retention.ms": "-1"})
            admin = AdminClient({**self._calls.options})
            making = admin.create_topics([new], request_timeout=SECONDS)
            try:
                making[self._topic].result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
            partitions = self._found(consumer)
        if not partitions:
            raise Unreachable(f"the topic {self._topic} is being made")
        return partitions

    def _found(self, consumer: Consumer) -> Collection[int]:
        topics = self._calls.repeat(lambda step: consumer.list_topics(self._topic, step), consumer)
        found = topics.topics[self._topic]
        if found.error and found.error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise KafkaException(found.error)
        return frozenset(found.partitions)

    def _fence(self) -> Producer:
        """Return a producer; those before it are fenced, and what they left open is aborted."""
        producer = Producer(
            {
                **self._calls.options,
                "transactional.id": self._transactional_id,
                "transaction.timeout.ms": milliseconds(TRANSACTION_SECONDS),
                "message.timeout.ms": milliseconds(SECONDS),
                "partitioner": "murmur2_random",  # as the clients in Java have it
            }
        )
        self._calls.repeat(producer.init_transactions, producer)
        return producer

    def _place(self, consumer: Consumer, partitions: Collection[int]) -> Place:
        """Return the last event of all partitions: a batch is in all of its own, or in none."""
        bounds = {partition: self._bounds(consumer, partition) for partition in partitions}
        missing = {partition for partition, (low, high) in bounds.items() if low < high}
        last: dict[int, Stored] = {}
        tail = _TAIL
        while missing:
            begins = {one: max(bounds[one][0], bounds[one][1] - tail) for one in missing}
            last |= self._read(consumer, begins)
            missing = {one for one in missing - {*last} if begins[one] > bounds[one][0]}
            tail *= _LONGER
        if not last and any(low for low, _ in bounds.values()):
            raise Unfit(
                f"the topic {self._topic} had messages, and none is left to tell the place: "
                "publish to a new topic, with --after and the position to go on from"
            )
        return max((self._place_of(message) for message in last.values()), default=Place())

    def _bounds(self, consumer: Consumer, partition: int) -> tuple[int, int]:
        one = TopicPartition(self._topic, partition)
        found = self._calls.repeat(lambda step: consumer.get_watermark_offsets(one, step), consumer)
        if found is None:  # by the types; to take it for an empty one would repeat all events
            raise Unreachable(f"the topic {self._topic} does not tell its end")
        return found

    def _read(self, consumer: Consumer, begins: Mapping[int, int]) -> dict[int, Stored]:
        """Return the last committed message of each partition, from an offset of it on."""
        consumer.assign([TopicPartition(self._topic, *begin) for begin in begins.items()])
        unread, last = {*begins}, dict[int, Stored]()
        until = deadline()
        while unread:
            message = consumer.poll(STEP_SECONDS)
            if message is None:
                self._calls.check(until)
                continue
            partition, error = message.partition() or 0, message.error()
            if error is None:
                last[partition], until = message, deadline()
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  so it is named
                unread.discard(partition)
            elif error.code() not in NOT_YET:
                raise KafkaException(error)
        return last

    def _place_of(self, message: Stored) -> Place:
        headers = dict(message.headers() or ())
        try:
            return Place(int(_text(headers[POSITION])), _text(headers[EVENT_ID]))
        except (KeyError, ValueError):
            raise Unfit(
                f"the last message of the topic {self._topic} is not from a relay: publish to a "
                "topic that nothing else publishes to"
            ) from None

    def _store(self, messages: Sequence[Message]) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            raise Unreachable("the connection was lost")
        failed: list[KafkaError] = []
        try:
            producer.begin_transaction()
            for message in messages:
                producer.produce(
                    self._topic,
                    message.body,
                    message.key,
                    headers=_headers_of(message),
                    on_delivery=lambda error, _: failed.append(error) if error else None,
                )
            producer.commit_transaction(SECONDS)
        except KafkaException as error:
            why = next((one for one in failed if one.code() in REFUSED), error.args[0])
            if why.code() in REFUSED:
                # No relay follows that aborts it, and consumers would wait for its end.
                with suppress(KafkaException):
                    producer.abort_transaction(STEP_SECONDS)
            raise KafkaException(why) from error
        self._producer = producer


def _headers_of(message: Message) -> list[tuple[str, str | bytes | None]]:
    """Return the headers of *message*, by the names that CloudEvents has for Kafka."""
    headers = {name.replace("ce-", "ce_", 1): value for name, value in message.headers.items()}
    return [*headers.items(), ("subject", message.subject)]


def _text(header: str | bytes | None) -> str:
    return header.decode() if isinstance(header, bytes) else header or ""
