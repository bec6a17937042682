"""The delays of a follower between attempts."""

import random

import pytest

from inventory_grpc.client.subscription import Backoff


@pytest.fixture(autouse=True)
def _unlucky(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda _, longest: longest)


def test_the_longest_wait_doubles_from_a_tenth_of_a_second_to_ten_seconds() -> None:
    backoff = Backoff()
    waits = [backoff.wait(healthy=0) for _ in range(9)]
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


def test_thirty_healthy_seconds_earn_a_fresh_start() -> None:
    backoff = Backoff()
    waits = [backoff.wait(healthy) for healthy in (0, 29.9, 30, 0)]
    assert waits == [0.1, 0.2, 0.1, 0.2]


def test_the_wait_is_anything_down_to_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda shortest, _: shortest)
    assert Backoff().wait(healthy=0) == 0.0
