"""A tally counts each value once, at the first bound that is not below it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_grpc.application.tally import SECONDS, SIZES, Tally


@pytest.mark.parametrize("bounds", [SECONDS, SIZES])
def test_bounds_rise(bounds: tuple[float, ...]) -> None:
    assert all(one < next_one for one, next_one in pairwise(bounds))


@given(st.lists(st.floats(0, 100)))
def test_each_value_is_counted_once_below_its_bound(values: list[float]) -> None:
    tally = Tally()
    for value in values:
        tally.add(value)
    assert sum(tally.counts) == len(values)
    assert tally.total == pytest.approx(sum(values))
    for at, bound in enumerate(SECONDS):
        assert sum(tally.counts[: at + 1]) == sum(value <= bound for value in values)


def test_a_value_on_a_bound_belongs_to_it() -> None:
    tally = Tally((1, 2))
    for value in (1, 2, 2.5):
        tally.add(value)
    assert tally.counts == [1, 1, 1]
