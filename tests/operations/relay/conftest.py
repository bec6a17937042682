"""Brokers to publish to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operations.relay.relays import STARTED
from tests.support.brokers import BROKERS, Broker


@pytest.fixture(params=BROKERS.values(), ids=[*BROKERS])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    folder = tmp_path / "broker"
    folder.mkdir()
    made: Broker = request.param(folder)
    made.start()
    yield made
    made.kill()


@pytest.fixture(autouse=True)
def _no_relay_is_left() -> Iterator[None]:
    yield
    while STARTED:
        STARTED.pop().kill()
