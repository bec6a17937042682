"""One database over many restarts of its server, with all that its callers know of it."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc.aio

from inventory_grpc_protos.v1.events_pb2 import Event, SubscribeRequest
from tests.robustness import answers, witness
from tests.robustness.history import History
from tests.robustness.timeline import Timeline
from tests.robustness.traffic import Crowd
from tests.support.caller import SECONDS, Caller, calling
from tests.support.journal import Journal
from tests.support.server_process import ServerProcess, command_line
from tests.support.waiting import eventually

SHOPPERS: Final = 8
CONNECTIONS: Final = 3
MOST_PROMISED: Final = 250
"""Commands acknowledged in one life, at most, before it ends."""

ASKED_AGAIN: Final = 25
"""Answered requests that are sent once more in each life, beside all that are in doubt."""


class Lost(AssertionError):
    """Something is gone that was promised, or shown."""


@dataclass
class Lives:
    """All calls, answers and findings so far; `begin` starts the server again."""

    begin: Callable[[], Awaitable[ServerProcess]]
    directory: Path
    chance: random.Random
    timeline: Timeline = field(default_factory=Timeline)
    seen: list[Event] = field(default_factory=list)
    """By the one subscriber there always is."""
    _unsettled_since: int = 0

    def __post_init__(self) -> None:
        self.journal = Journal(self.directory / "journal")
        self.history = History(self.journal)
        self.crowd = Crowd(self.history)
        self._life = 0

    async def live(self, end: Callable[[ServerProcess], Awaitable[None]]) -> None:
        """Start the server, see that nothing is missing, and trade until *end* has ended it."""
        self._life += 1
        server = await self.begin()
        try:
            async with self._connected(await _address(server)) as callers:
                await self.look(callers[0])
                await self.ask_again(callers[0])
                await self._trade(callers, end(server))
        finally:
            server.kill()

    @asynccontextmanager
    async def _connected(self, address: str) -> AsyncIterator[list[Caller]]:
        async with calling(address) as one, calling(address) as two, calling(address) as three:
            yield [one, two, three]

    async def _trade(self, callers: list[Caller], ended: Awaitable[None]) -> None:
        self._unsettled_since = len(self.history.calls)
        following = asyncio.create_task(self._follow(callers[-1]))
        await self.crowd.stock(callers[0])
        busy = self.crowd.shoppers(callers, SHOPPERS, self.chance, self._life)
        await ended
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(following, *busy)

    async def busy(self) -> None:
        """Wait until some commands more are acknowledged, then for a moment of the next ones."""
        promised = len(self.history.promised) + self.chance.randint(0, MOST_PROMISED)
        await eventually(lambda: len(self.history.promised) >= promised)
        await asyncio.sleep(self.chance.uniform(0, 0.01))

    async def _follow(self, caller: Caller) -> None:
        """Note every event, going on where the last life ended."""
        request = SubscribeRequest(after_position=len(self.seen))
        try:
            async for message in caller.events.Subscribe(request):
                self.seen += message.events
        except grpc.aio.AioRpcError:
            return

    async def look(self, caller: Caller) -> None:
        """Fold what is new in the log, and see that it holds all that was promised and shown.

        Raises:
            Lost: it does not.
        """
        request = SubscribeRequest(after_position=self.timeline.position, stop_at_head=True)
        try:
            async for message in caller.events.Subscribe(request, timeout=SECONDS):
                for event in message.events:
                    self.timeline.fold(event)
        except grpc.aio.AioRpcError as error:
            raise Lost(f"the log was read up to {request.after_position}: {error}") from error
        if gone := self.gone():
            first = self.history.promised[gone[0]]
            told = f"{first.rpc} {first.request} was answered {first.answer}"
            raise Lost(
                f"acknowledged, and gone: {gone[:5]}, {len(gone)} in all; the log ends at "
                f"{self.timeline.position}, {told}"
            )
        if self.seen != self.timeline.events[: len(self.seen)]:
            raise Lost("a follower was shown what is not there")

    def gone(self) -> list[str]:
        """Return which requests of the journal are not in the log where they should be."""
        return [
            request_id
            for request_id, position in self.journal.positions()
            if not self._is_there(request_id, position)
        ]

    def _is_there(self, request_id: str, position: int) -> bool:
        recorded = self.timeline.commands.get(request_id)
        if recorded:
            return recorded.last == position
        promised = self.history.promised[request_id]
        is_new = position > self.timeline.position
        return not is_new and answers.is_done(self.timeline, promised, position)

    async def ask_again(self, caller: Caller) -> None:
        """Send again what is in doubt, as callers do, and some of what is not."""
        again = self.history.unsettled(self._unsettled_since)
        answered = list(self.history.promised.values())
        again += self.chance.sample(answered, min(ASKED_AGAIN, len(answered)))
        once = {call.request_id: call for call in again}.values()
        await asyncio.gather(*(self.history.send(caller, call.rpc, call.request) for call in once))

    async def judge(self, database: str | Path) -> int:
        """See that all of it had one order, and that the tables agree; return how many calls.

        Raises:
            AssertionError: it had not, or they do not.
        """
        server = await self.begin()
        try:
            async with calling(await server.address()) as caller:
                await self.look(caller)
                await self.ask_again(caller)
                await self.look(caller)
                log = await caller.log()
        finally:
            server.kill()
        read = self.timeline.events
        assert log[: len(read)] == read, "what was read once is not there any more"
        verify(database)
        return witness.check(self.timeline, self.history.calls)


async def _address(server: ServerProcess) -> str:
    try:
        return await server.address()
    except AssertionError as error:
        raise Lost(f"the server does not start any more: {error}") from error


def verify(database: str | Path) -> None:
    """See that every table agrees with the log, and the log with its hashes."""
    verified = command_line("verify", "--database", str(database))
    assert (verified.returncode, verified.stdout) == (0, ""), verified.stdout + verified.stderr
