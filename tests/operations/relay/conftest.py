"""A shop whose log is followed, and brokers to publish to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from inventory_grpc import SyncInventoryClient
from inventory_grpc.testing import InventoryServer
from tests.operations.relay.receivers import Example
from tests.operations.relay.relays import STARTED
from tests.support.brokers import BROKERS, Broker
from tests.support.kafka import KAFKA, MockKafka

collect_ignore = [] if KAFKA else ["test_kafka_transactions.py"]

ALL: Final[dict[str, Any]] = {**BROKERS, **KAFKA, "kafka-mock": MockKafka, "webhooks": Example}


@pytest.fixture
def server() -> Iterator[InventoryServer]:
    with InventoryServer() as made:
        yield made


@pytest.fixture
def shop(server: InventoryServer) -> Iterator[SyncInventoryClient]:
    with server.client() as client:
        yield client


@pytest.fixture(params=[*BROKERS, *KAFKA])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    folder = tmp_path / "broker"
    folder.mkdir()
    made: Broker = ALL[request.param](folder)
    made.start()
    yield made
    made.kill()


@pytest.fixture(autouse=True)
def _no_relay_is_left() -> Iterator[None]:
    yield
    while STARTED:
        STARTED.pop().kill()
