"""The tables of a file are those that its log leads to, whatever was recorded."""

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import Phase, given, settings

from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.verify import verify
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.support.clock import ManualClock
from tests.support.effort import runs
from tests.support.histories import Step, assert_reached, histories, player
from tests.support.scribe import log_of
from tests.support.stores import open_sqlite


def test_tables_are_those_that_the_log_leads_to() -> None:
    reached = Counter[str]()

    async def play(history: list[Step], directory: Path) -> None:
        async with open_sqlite(directory) as store:
            writer = player(store, ManualClock())
            for pause, command in history:
                writer.clock.go_on(pause)
                if pause:
                    await writer.keep_up()
                await writer.play(command)
            log = map(Event.FromString, await log_of(store))
            reached.update(event.WhichOneof("fact") or "" for event in log)

    @settings(
        max_examples=runs(least=8, ci=40, deep=200),
        deadline=None,
        phases=set(Phase) - {Phase.shrink},
    )
    @given(history=histories)
    def law(history: list[Step]) -> None:
        with tempfile.TemporaryDirectory() as name:
            asyncio.run(play(history, Path(name)))
            differences = verify(Database(Path(name) / "inventory.db"), lambda _: None)
            assert not [*differences]

    law()
    assert_reached(reached, "backorder_filled", "stock_fenced", "stock_terms_changed", least=2)
