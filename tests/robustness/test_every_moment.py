"""Cancelled or killed at any await, a command is whole or absent (G10)."""

from typing import Final

import pytest

from tests.robustness.simulation.moments import CART, Blow, Moment, Victim, follow, read, record
from tests.support.effort import SEED, campaign, runs

VICTIMS: Final[dict[str, Victim]] = {
    "a command": record(CART, "cart"),
    "a follower": follow,
    "a query": read,
}


@pytest.mark.timeout(0)
@pytest.mark.parametrize("blow", Blow)
@pytest.mark.parametrize("name", VICTIMS)
def test_struck_at_any_await_nothing_is_left_but_whole_commands(name: str, blow: Blow) -> None:
    stories, struck, recorded = range(SEED, SEED + runs(least=1, ci=2, deep=100)), 0, 0
    with campaign(f"every moment: {name}, {blow.value}", stories=len(stories)) as noted:
        for seed in stories:
            turns = Moment(VICTIMS[name], seed).play().turns
            for turn in range(1, turns + 1):
                moment = Moment(VICTIMS[name], seed, blow, turn)
                try:
                    recorded += moment.play().recorded
                except Exception as error:
                    raise AssertionError(f"{name}, seed {seed}, turn {turn}: {error}") from error
                struck += 1
        noted["moments"], noted["recorded"] = struck, recorded
    if name == "a command":
        assert 0 < recorded < struck, "some came in time, some did not: else nothing was tried"
    else:
        assert struck > 20
