"""Several servers on one log, and a crowd that calls all of them."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.robustness import witness
from tests.robustness.lives import verify
from tests.robustness.timeline import Timeline
from tests.robustness.traffic import Crowd
from tests.support.caller import calling
from tests.support.server_process import ServerProcess
from tests.support.waiting import eventually

SHOPPERS: Final = 16

LEAST_CALLS: Final = 35
"""Between two troubles."""


@dataclass
class Fleet:
    """Servers that come and go, and all calls that the crowd has made."""

    ways: Sequence[str | Path]
    """The names of the log, one for each server that there shall be at a time."""
    logs: Path
    chance: random.Random
    crowd: Crowd
    started: int = 0
    servers: list[ServerProcess] = field(default_factory=list)
    busy: list["asyncio.Task[None]"] = field(default_factory=list)

    async def start_all(self, stack: AsyncExitStack) -> None:
        await asyncio.gather(*(self.start(stack) for _ in self.ways))

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
        """Wait until the crowd has made some calls more that were answered."""
        calls = self._settled() + self.chance.randint(LEAST_CALLS, 5 * LEAST_CALLS)
        await eventually(lambda: self._settled() >= calls)

    def _settled(self) -> int:
        calls = self.crowd.history.calls
        return sum(call.answer is not None or call.is_judged for call in calls)

    async def kill_one_and_start_another(self, stack: AsyncExitStack) -> None:
        self.servers.pop(self.chance.randrange(len(self.servers))).kill()
        await self.start(stack)

    async def judge(self, stack: AsyncExitStack) -> tuple[int, int]:
        """End all servers, and see that the calls had one order.

        Return how many calls it explains, and how many were in doubt.
        """
        for server in self.servers:
            server.kill()
        await asyncio.gather(*self.busy)
        history = self.crowd.history
        server = ServerProcess.begin(self.ways[-1], self.logs / "last.log")
        stack.callback(server.kill)
        caller = await stack.enter_async_context(calling(await server.address()))
        in_doubt = history.unsettled(0)
        await asyncio.gather(*(history.send(caller, call.rpc, call.request) for call in in_doubt))
        timeline = Timeline()
        for event in await caller.log():
            timeline.fold(event)
        server.kill()
        verify(self.ways[-1])
        explained = witness.check(timeline, history.calls, processes=len(self.ways))
        return explained, len(in_doubt)
