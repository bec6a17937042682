"""Several servers on one file, killed and restarted in turn, are one service with one order."""

import asyncio
import random
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
from tests.support.server_process import ServerProcess
from tests.support.waiting import eventually

SHOPPERS: Final = 16
KILLS: Final = 2
"""In each round."""

LEAST_CALLS: Final = 35
"""Between two kills."""


def _ways_to(path: Path) -> list[Path]:
    """Return names of one file: its own, in a directory by another name, and a name elsewhere."""
    directory = path.parent.with_name("another-name")
    directory.symlink_to(path.parent)
    elsewhere = path.parent.with_name("elsewhere")
    elsewhere.mkdir()
    link = elsewhere / "link.db"
    link.symlink_to(path)
    return [link, path, directory / path.name, path]


@dataclass
class Fleet:
    """Servers on one file, some of them alive, and a crowd that calls all of them."""

    ways: list[Path]
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


async def _round(path: Path, processes: int, chance: random.Random) -> tuple[int, int]:
    """Trade with so many processes, of which some are killed; return calls and those in doubt."""
    history = History()
    fleet = Fleet(_ways_to(path)[:processes], path.parent, chance, Crowd(history))
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(fleet.start(stack) for _ in range(processes)))
        for _ in range(KILLS):
            await fleet.trade()
            await fleet.kill_one_and_start_another(stack)
        await fleet.trade()
        for server in fleet.servers:
            server.kill()
        await asyncio.gather(*fleet.busy)
        return await _judge(path, history, stack, processes)


async def _judge(
    path: Path, history: History, stack: AsyncExitStack, processes: int
) -> tuple[int, int]:
    """See that there was one order; return how many calls it explains, and the doubtful ones."""
    server = ServerProcess.begin(path, path.with_name("last.log"))
    stack.callback(server.kill)
    caller = await stack.enter_async_context(calling(await server.address()))
    in_doubt = history.unsettled(0)
    await asyncio.gather(*(history.send(caller, call.rpc, call.request) for call in in_doubt))
    timeline = Timeline()
    for event in await caller.log():
        timeline.fold(event)
    server.kill()
    verify(path)
    return witness.check(timeline, history.calls, processes=processes), len(in_doubt)


@pytest.mark.timeout(300)
async def test_processes_on_one_file_killed_in_turn_keep_all_promises(tmp_path: Path) -> None:
    rounds, chance = runs(least=1, ci=3, deep=24), random.Random(SEED)
    with campaign("processes on one file", rounds=rounds) as noted:
        noted.update(calls=0, in_doubt=0)
        for number in range(rounds):
            (directory := tmp_path / f"{number}" / "data").mkdir(parents=True)
            processes = 2 + number % 3
            calls, in_doubt = await _round(directory / "inventory.db", processes, chance)
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
