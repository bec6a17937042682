"""Several servers on one log, killed and restarted in turn, are one service with one order."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.robustness import witness
from tests.robustness.history import History
from tests.robustness.lives import verify
from tests.robustness.timeline import Timeline
from tests.robustness.traffic import Crowd
from tests.support.caller import adding, calling
from tests.support.effort import SEED, campaign, runs
from tests.support.engines import on_each_engine
from tests.support.server_process import ServerProcess
from tests.support.waiting import eventually

SHOPPERS: Final = 16
KILLS: Final = 2
"""In each round."""

LEAST_CALLS: Final = 35
"""Between two kills."""


def _ways_to(path: str | Path) -> Sequence[str | Path]:
    """Return names of one file: its own, in a directory by another name, and a name elsewhere."""
    if isinstance(path, str):
        return [path] * 4  # a URL
    directory = path.parent.with_name("another-name")
    directory.symlink_to(path.parent)
    elsewhere = path.parent.with_name("elsewhere")
    elsewhere.mkdir()
    link = elsewhere / "link.db"
    link.symlink_to(path)
    return [link, path, directory / path.name, path]


@dataclass
class Fleet:
    """Servers on one log, some of them alive, and a crowd that calls all of them."""

    ways: Sequence[str | Path]
    logs: Path
    chance: random.Random
    crowd: Crowd
    started: int = 0
    servers: list[ServerProcess] = field(default_factory=list)
    busy: list["asyncio.Task[None]"] = field(default_factory=list)

    async def start(self, stack: AsyncExitStack) -> None:
        """Start one more, with its share of the crowd."""
        number, self.started = self.started, self.started + 1
        way = self.ways[number % len(self.ways)]
        server = ServerProcess.begin(way, self.logs / f"{number}.log")
        stack.callback(server.kill)
        self.servers.append(server)
        caller = await stack.enter_async_context(calling(await server.address()))
        if number == 0:
            await self.crowd.stock(caller)
        share = SHOPPERS // len(self.ways)
        self.busy += self.crowd.shoppers([caller], share, self.chance, number)

    async def trade(self) -> None:
        """Wait until the crowd has made some calls more."""
        calls = len(self.crowd.history.calls) + self.chance.randint(LEAST_CALLS, 5 * LEAST_CALLS)
        await eventually(lambda: len(self.crowd.history.calls) >= calls)

    async def kill_one_and_start_another(self, stack: AsyncExitStack) -> None:
        self.servers.pop(self.chance.randrange(len(self.servers))).kill()
        await self.start(stack)


async def _round(
    database: str | Path, logs: Path, processes: int, chance: random.Random
) -> tuple[int, int]:
    """Trade with so many processes, of which some are killed; return calls and those in doubt."""
    history = History()
    fleet = Fleet(_ways_to(database)[:processes], logs, chance, Crowd(history))
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(fleet.start(stack) for _ in range(processes)))
        for _ in range(KILLS):
            await fleet.trade()
            await fleet.kill_one_and_start_another(stack)
        await fleet.trade()
        for server in fleet.servers:
            server.kill()
        await asyncio.gather(*fleet.busy)
        return await _judge(database, logs / "last.log", history, stack, processes)


async def _judge(
    database: str | Path, log: Path, history: History, stack: AsyncExitStack, processes: int
) -> tuple[int, int]:
    """See that there was one order; return how many calls it explains, and the doubtful ones."""
    server = ServerProcess.begin(database, log)
    stack.callback(server.kill)
    caller = await stack.enter_async_context(calling(await server.address()))
    in_doubt = history.unsettled(0)
    await asyncio.gather(*(history.send(caller, call.rpc, call.request) for call in in_doubt))
    timeline = Timeline()
    for event in await caller.log():
        timeline.fold(event)
    server.kill()
    verify(database)
    return witness.check(timeline, history.calls, processes=processes), len(in_doubt)


@pytest.mark.timeout(300)
@on_each_engine
async def test_processes_on_one_log_killed_in_turn_keep_all_promises(
    on_engine: str, new_database: Callable[[], str | Path], tmp_path: Path
) -> None:
    rounds, chance = runs(least=1, ci=3, deep=24), random.Random(SEED)
    with campaign("processes on one log", rounds=rounds) as noted:
        noted.update(calls=0, in_doubt=0)
        for number in range(rounds):
            (folder := tmp_path / f"{number}" / "data").mkdir(parents=True)
            database = folder / "inventory.db" if on_engine == "sqlite" else new_database()
            processes = 2 + number % 3
            calls, in_doubt = await _round(database, folder, processes, chance)
            noted["calls"] += calls
            noted["in_doubt"] += in_doubt
    assert noted["calls"] >= rounds * (KILLS + 1) * LEAST_CALLS, "it was not much of a load"


async def test_a_port_is_never_shared(tmp_path: Path) -> None:
    first = ServerProcess.begin(tmp_path / "inventory.db", tmp_path / "first.log")
    try:
        address = await first.address()
        for number, database in enumerate(["inventory.db", "another.db"]):
            log_file = tmp_path / f"{number}.log"
            second = ServerProcess.begin(tmp_path / database, log_file, "--listen", address)
            try:
                assert await second.ended() == 1
            finally:
                second.kill()
            said = log_file.read_text("utf-8")
            assert "serving on" not in said
            assert f"cannot listen on {address}" in said
        async with calling(address) as caller:
            for units in range(1, 21):
                answer = await caller.commands.AddStock(adding(1))
                assert answer.stock.on_hand == units, "somebody else has answered in between"
    finally:
        first.kill()
