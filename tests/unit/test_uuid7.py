"""New ids are UUIDs of version 7, and each is greater than the ones before."""

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID

import pytest

from inventory_grpc import uuid7 as module
from inventory_grpc.uuid7 import uuid7

A_MILLISECOND = 1_000_000
NOON = 1_645_557_742_000 * A_MILLISECOND


class Clock:
    """A wall clock that a test sets."""

    def __init__(self) -> None:
        self.nanoseconds = NOON

    def time_ns(self) -> int:
        return self.nanoseconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "_SEQUENCE", module._Sequence())  # it remembers the last id
    return clock


def milliseconds(made: UUID) -> int:
    return made.int >> 80


def test_an_id_has_the_time_and_random_bits() -> None:
    before = time.time_ns() // A_MILLISECOND
    one, other = uuid7(), uuid7()
    after = time.time_ns() // A_MILLISECOND
    for made in (one, other):
        assert (made.version, made.variant) == (7, RFC_4122)
        assert before <= milliseconds(made) <= after + 1
    assert one.int & 0xFFFF_FFFF != other.int & 0xFFFF_FFFF


def test_the_bits_are_where_the_example_of_the_standard_has_them(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = 0xCC3 << 62 | 0x18C4DC0C0C07398F
    monkeypatch.setattr(module, "randbits", lambda bits: example if bits > 32 else 5)
    assert clock.nanoseconds // A_MILLISECOND == 0x017F22E279B0
    assert str(uuid7()) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
    assert str(uuid7()) == "017f22e2-79b0-7cc3-98c4-dc0c0c073995", "5 + 1 more"


def test_ids_rise_whatever_the_clock_does(clock: Clock) -> None:
    made = []
    for step in (0, 0, 1, A_MILLISECOND, -7 * A_MILLISECOND, 0, 9 * A_MILLISECOND):
        clock.nanoseconds += step
        made += [uuid7() for _ in range(100)]
    assert made == sorted(made)
    texts = [str(each) for each in made]
    assert texts == sorted(texts)
    assert len(set(made)) == len(made)
    assert milliseconds(made[-1]) == clock.nanoseconds // A_MILLISECOND


def test_a_millisecond_without_bits_left_goes_on_in_the_next(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "randbits", lambda bits: 2**bits - 1)
    one, other = uuid7(), uuid7()
    assert one < other
    assert milliseconds(other) == milliseconds(one) + 1 == clock.nanoseconds // A_MILLISECOND + 1
    assert (other.version, other.variant) == (7, RFC_4122)


def test_ids_of_threads_are_different_and_each_thread_sees_its_own_rise() -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: [uuid7() for _ in range(2_000)], range(4)))
    assert all(each == sorted(each) for each in made)
    assert len({one for each in made for one in each}) == 8_000
