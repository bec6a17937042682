"""Brokers that speak the protocol of Kafka, for tests alone: neither of them is Kafka.

The mock cluster of librdkafka is in this process. It neither fences nor keeps anything back that
was not committed, and forgets everything when it is killed. noida-db does all of it, as one author
has imitated it: what is seen with it is seen with it alone.
"""

import asyncio
import json
import os
import stat
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.support.brokers import Entry, ProgramOnPort, entry_of

TOPIC: Final = "inventory"

_SECONDS: Final = 20.0


class _Kafka:
    """The view of a client, which is the same of both."""

    servers: str

    @property
    def url(self) -> str:
        return f"kafka://{self.servers}/{TOPIC}"

    async def read(self) -> Sequence[Entry]:
        """Return all that was committed, partition by partition."""
        by_partition = await self.read_partitions()
        return [entry for partition in sorted(by_partition) for entry in by_partition[partition]]

    async def read_partitions(self) -> Mapping[int, Sequence[Entry]]:
        consumer = Consumer(
            {
                "bootstrap.servers": self.servers,
                "group.id": "test",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,
            }
        )
        try:
            known = consumer.list_topics(TOPIC, _SECONDS).topics[TOPIC].partitions
            found = dict[int, list[Entry]]()
            consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in known])
            unread = {*known}
            while unread:
                message = consumer.poll(_SECONDS)
                assert message is not None, "no answer"
                partition = message.partition() or 0
                if error := message.error():
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    unread.discard(partition)
                    continue
                headers = {
                    name.replace("ce_", "ce-"): _text(value)
                    for name, value in dict(message.headers() or ()).items()
                }
                found.setdefault(partition, []).append(entry_of(headers, message.value() or b""))
            return found
        finally:
            consumer.close()

    async def add_other(self) -> None:
        producer = Producer({"bootstrap.servers": self.servers})
        producer.produce(TOPIC, b"other")
        assert not producer.flush(_SECONDS)

    async def empty(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.servers})
        to_the_end = [TopicPartition(TOPIC, partition, -1) for partition in self.partitions()]
        for deleted in admin.delete_records(to_the_end).values():
            deleted.result(_SECONDS)

    def partitions(self) -> Sequence[int]:
        admin = AdminClient({"bootstrap.servers": self.servers})
        return [*admin.list_topics(TOPIC, _SECONDS).topics[TOPIC].partitions]


class MockKafka(_Kafka):
    """The mock cluster of librdkafka, with a topic that it makes itself."""

    def __init__(self, _: Path) -> None:
        self._cluster: Producer | None = None

    def start(self) -> None:
        self._cluster = Producer({"test.mock.num.brokers": 1, "log_level": 3})
        metadata = self._cluster.list_topics(TOPIC, _SECONDS)
        [broker] = metadata.brokers.values()
        self.servers = f"{broker.host}:{broker.port}"

    def kill(self) -> None:
        self._cluster = None


class NoidaDb(_Kafka):
    """noida-db 0.2.3, which only `make relays` installs."""

    def __init__(self, folder: Path) -> None:
        spec = find_spec("noida_db")
        if spec is None or spec.origin is None:
            pytest.skip("noida-db is not installed: `make relays` installs it")
        self._program = Path(spec.origin).with_name("noida-db")
        self._program.chmod(self._program.stat().st_mode | stat.S_IXUSR)
        self._process = ProgramOnPort(folder)
        self.servers = f"127.0.0.1:{self._process.port}"

    def start(self) -> None:
        data = self._process.folder / "data"
        options = "--data-dir", data, "--only", "kafka", "--kafka-port", self._process.port
        self._process.run(self._program, "start", *options)

    def kill(self) -> None:
        self._process.kill()

    def pause(self) -> None:
        self._process.pause()

    def resume(self) -> None:
        self._process.resume()

    async def written(self) -> None:
        """Wait until all that is in the topic is in its file, which it writes once a second."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "test"})
        here = 0
        for partition in self.partitions():
            one = TopicPartition(TOPIC, partition)
            _, high = consumer.get_watermark_offsets(one, _SECONDS) or (0, 0)
            here += high
        consumer.close()
        end = time.monotonic() + _SECONDS
        while self._in_file() < here:
            assert time.monotonic() < end, "it is not written"
            await asyncio.sleep(0.05)

    def _in_file(self) -> int:
        file = self._process.folder / "data/kafka.json"
        with suppress(FileNotFoundError, ValueError):  # it is written for the first time
            topics = dict(json.loads(file.read_text("utf-8"))["topics"])
            partitions = topics.get(TOPIC, {"partitions": []})["partitions"]
            return sum(partition["high_watermark"] for _, partition in partitions)
        return 0


def _text(header: str | bytes | None) -> str:
    return header.decode() if isinstance(header, bytes) else header or ""


KAFKA: Final = {"kafka": NoidaDb} if os.environ.get("TEST_KAFKA") else {}
"""A broker with transactions, where it is asked for."""
