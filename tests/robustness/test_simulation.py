"""Whatever fails, in whatever order: what was promised holds, and all comes right again."""

from collections import Counter
from typing import Final

import pytest

from tests.robustness.effort import SEED, campaign, runs
from tests.robustness.simulation.play import play

SEEDS: Final = 400

SOMETIMES: Final = frozenset(
    {
        "a request id was used for something else, and refused",
        "answered again",
        "breaker: half open",
        "breaker: open",
        "cancelled while being recorded",
        "cancelled while queued",
        "catching up: skipped",
        "catching up: with others",
        "commit failed: kept",
        "commit failed: lost",
        "drained",
        "expired by the loop",
        "fault: busy",
        "fault: killed",
        "fault: power cut",
        "fault: sync fails",
        "fault: wall ahead",
        "fault: wall back",
        "fault: wall frozen",
        "follower: resumes after Lost",
        "follower: resumes after ShuttingDown",
        "told InsufficientStock",
        "told OutcomeUnknown",
        "told Overloaded",
        "told StorageFull",
        "told VersionConflict",
        "told WritesRefused",
        "transaction: failed in the middle",
    }
)
"""What some seed of every run has to see: where it is missing, nothing is tried any more."""


def test_one_seed_is_one_story() -> None:
    for seed in range(SEED, SEED + 10):
        assert len({play(seed).trace.digest() for _ in range(4)}) == 1
    assert play(SEED).trace.digest() != play(SEED + 1).trace.digest()


def test_whatever_fails_what_was_promised_holds_and_all_comes_right_again() -> None:
    count, seen, failed = runs(SEEDS, 10_000), Counter[str](), list[str]()
    with campaign("simulation", seeds=count) as noted:
        for seed in range(SEED, SEED + count):
            played = play(seed)
            seen += played.seen
            if played.error:
                failed.append(f"{played.replay}: {played.error!r}")
        noted["seen"] = dict(sorted(seen.items()))
        assert not failed, failed[:3]
        assert seen.keys() >= SOMETIMES, f"never seen: {SOMETIMES - seen.keys()}"


@pytest.mark.parametrize(
    "seed",
    [
        # a process that could not let a hold go asked again and again, without a pause
        42,
    ],
)
def test_what_once_failed_does_not_any_more(seed: int) -> None:
    played = play(seed)
    assert not played.error, played.replay
