"""The tables of a database are those that its log leads to, whatever was recorded together."""

import asyncio
from collections import Counter
from itertools import cycle, islice
from typing import NamedTuple

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.domain.policy import CHANGES_TERMS
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.support.clock import ManualClock
from tests.support.effort import runs
from tests.support.engines import on_each_engine
from tests.support.histories import Player, Step, assert_reached, histories, new, player
from tests.support.opened import differences
from tests.support.scribe import log_of

pytestmark = on_each_engine


class Batch(NamedTuple):
    """So many of the next commands come together, in one transaction or as one command."""

    size: int
    is_atomic: bool


_batches = st.lists(
    st.builds(Batch, st.integers(1, 9), st.sampled_from([False, False, False, True])),
    min_size=1,
    max_size=9,
)


async def do(writer: Player, steps: list[Step], *, is_atomic: bool) -> bool:
    """Do the commands of *steps*; return whether they were recorded as one."""
    commands = [command for _, command in steps]
    if not is_atomic:
        await writer.play(*commands)
        return False
    together = [command for command in commands if not isinstance(command, CHANGES_TERMS)]
    return isinstance(await writer.play_together(*together), Outcome)


def test_tables_are_those_that_the_log_leads_to() -> None:
    reached = Counter[str]()

    async def play(history: list[Step], batches: list[Batch]) -> None:
        async with new("durable") as store:
            writer = player(store, ManualClock())
            steps, ways = iter(history), cycle(batches)
            while some := [*islice(steps, (way := next(ways)).size)]:
                pause = sum(step.pause for step in some)
                writer.clock.go_on(pause)
                if pause:
                    await writer.keep_up()
                reached["atomic"] += await do(writer, some, is_atomic=way.is_atomic)
            log = map(Event.FromString, await log_of(store))
            reached.update(event.WhichOneof("fact") or "" for event in log)
            assert differences(store.database) == []

    @settings(
        max_examples=runs(least=8, ci=40, deep=200),
        deadline=None,
        phases=set(Phase) - {Phase.shrink},
    )
    @given(history=histories, batches=_batches)
    def law(history: list[Step], batches: list[Batch]) -> None:
        asyncio.run(play(history, batches))

    law()
    facts = ("backorder_filled", "stock_fenced", "stock_terms_changed")
    assert_reached(reached, "atomic", *facts, least=2)
