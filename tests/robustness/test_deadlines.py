"""A command whose deadline has passed before its turn is not done (G10)."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import pytest

from inventory_grpc.application.ledger.mailbox import Entry, Mailbox
from tests.robustness.asked import Asked, stock_up
from tests.robustness.inside import Inside, serving_openly
from tests.support.caller import calling
from tests.support.effort import campaign, runs
from tests.support.engines import on_each_engine
from tests.support.opened import checked, events, requests_of
from tests.support.waiting import eventually

pytestmark = on_each_engine


class Admitted:
    """The commands taken into a batch, and those of them taken too late."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.late: set[str] = set()

    def note(self, entries: Sequence[Entry], before: float) -> None:
        """Note what was taken at some moment after *before*."""
        for entry in entries:
            names = {one.cause.request_id for one in entry.submissions}
            self.taken |= names
            if entry.deadline is not None and entry.deadline <= before:
                self.late |= names


@pytest.fixture
def admitted(monkeypatch: pytest.MonkeyPatch) -> Admitted:
    admitted, take = Admitted(), Mailbox.take

    def taking(mailbox: Mailbox, most: int) -> list[Entry]:
        before = asyncio.get_running_loop().time()
        entries = take(mailbox, most)
        admitted.note(entries, before)
        return entries

    monkeypatch.setattr(Mailbox, "take", taking)
    return admitted


async def test_whatever_the_deadline_a_command_is_whole_or_not_at_all_and_its_answer_exact(
    inside: Inside, database: str | Path, admitted: Admitted
) -> None:
    each = runs(least=10, ci=60, deep=2_500)
    async with calling(inside.address) as caller:
        await stock_up(caller)
        asked = Asked(caller)
        took = []
        for number in range(20):
            begun = time.monotonic()
            await asyncio.gather(*(asked.reserve(f"p50-{number}-{who}") for who in range(4)))
            took.append(time.monotonic() - begun)
        # 0 goes out as a millisecond: gRPC rounds up
        deadlines = {"over": -1.0, "0": 0.0, "1ms": 0.001, "5ms": 0.005, "half": median(took)}
        with campaign("deadlines", commands=each * len(deadlines)) as noted:
            for number in range(each):
                await asyncio.gather(
                    *(asked.reserve(f"{name}-{number}", limit) for name, limit in deadlines.items())
                )
            await inside.at_rest()
            found = await asked.check(database)
            noted.update(asked.codes)
    assert not admitted.late, "begun after its deadline"
    assert not {name for name in found if name.startswith("over-")}
    assert set(asked.codes) <= {"OK", "DEADLINE_EXCEEDED"}, asked.codes
    assert asked.codes["DEADLINE_EXCEEDED"] >= each


async def test_a_command_whose_deadline_passes_while_it_waits_is_never_executed(
    database: str | Path, admitted: Admitted
) -> None:
    rounds = runs(least=2, ci=8, deep=200)
    async with (
        serving_openly(database, fail_points="batch_open=sleep:0.1") as inside,
        calling(inside.address) as caller,
    ):
        await stock_up(caller)
        asked = Asked(caller)
        with campaign("deadline while waiting", rounds=rounds) as noted:
            for number in range(rounds):
                first = asyncio.create_task(asked.reserve(f"{number}-first"))
                await eventually(lambda: f"{number}-first" in admitted.taken)  # noqa: B023  called at once
                rest = [
                    asyncio.create_task(asked.reserve(f"{number}-{who}", 0.03 + 0.01 * who))
                    for who in range(10)
                ]
                await eventually(
                    lambda: inside.waiting + sum(one.done() for one in rest) >= 10  # noqa: B023  called at once
                )
                # the loop is busy when the first is done, and gRPC's news of deadlines wait
                await asyncio.sleep(0.01)
                time.sleep(0.1)  # noqa: ASYNC251  that is what is tried
                await asyncio.gather(first, *rest)
            await inside.at_rest()
            found = requests_of(events(database))
            noted.update(asked.codes)
    assert not admitted.late, "begun after its deadline"
    assert {f"{number}-first" for number in range(rounds)} <= found.keys()
    assert asked.codes["DEADLINE_EXCEEDED"] >= rounds * 9
    checked(database)
