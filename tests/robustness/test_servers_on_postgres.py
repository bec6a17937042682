"""Three servers on one PostgreSQL keep all promises, whatever befalls their sessions or PostgreSQL.

Sessions are ended and cancelled, a server is stopped for some seconds, and PostgreSQL is killed
together with a server.
"""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.robustness.fleet import LEAST_CALLS, Fleet
from tests.robustness.history import History
from tests.robustness.traffic import Crowd
from tests.support.effort import DEEP, SEED, campaign, runs
from tests.support.postgres_server import PostgresServer, own_server

SERVERS: Final = 3

ENDED: Final = 3
"""The times that all sessions are ended, in each round."""

CANCELLED: Final = 5
"""Statements that are cancelled while they run, in each round."""

STOPPED_SECONDS: Final = (0.5, 7.0) if DEEP else (0.5, 2.5)
"""Shorter and longer than a transaction may be silent."""

_SESSIONS: Final = (
    "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name = 'inventory-grpc'"
)


@dataclass
class Trouble:
    """PostgreSQL, the servers on it, and the ways in which they are disturbed."""

    database: PostgresServer
    fleet: Fleet
    stack: AsyncExitStack
    sessions: int = 0
    """Sessions that were ended."""
    cancelled: int = 0

    @property
    def ways(self) -> Sequence[Callable[[], Awaitable[None]]]:
        return (
            self.end_sessions,
            self.cancel_statements,
            self.stop_a_server,
            self.kill_the_database_and_a_server,
        )

    async def end_sessions(self) -> None:
        for _ in range(ENDED):
            ended = await self._query(f"SELECT pg_terminate_backend(pid) {_SESSIONS}")
            self.sessions += len(ended)
            await self.fleet.trade()

    async def cancel_statements(self) -> None:
        enough = self.cancelled + CANCELLED
        while self.cancelled < enough:
            running = f"SELECT pg_cancel_backend(pid) {_SESSIONS} AND state = 'active'"
            self.cancelled += len(await self._query(running))

    async def stop_a_server(self) -> None:
        chance = self.fleet.chance
        stopped = chance.choice(self.fleet.servers).process
        stopped.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(chance.uniform(*STOPPED_SECONDS))
        finally:
            stopped.send_signal(signal.SIGCONT)

    async def kill_the_database_and_a_server(self) -> None:
        killed = self.fleet.servers.pop(self.fleet.chance.randrange(SERVERS))
        await asyncio.to_thread(self.database.kill)
        killed.kill()
        await asyncio.to_thread(self.database.start)
        await self.fleet.start(self.stack)

    async def _query(self, statement: str) -> Sequence[tuple[object, ...]]:
        return await asyncio.to_thread(self.database.query, statement)


async def _round(folder: Path, chance: random.Random) -> tuple[int, Trouble]:
    """Trade through each trouble; return how many calls the order explains, and the trouble."""
    async with AsyncExitStack() as stack:
        database = stack.enter_context(own_server())
        fleet = Fleet([database.url] * SERVERS, folder, chance, Crowd(History()))
        trouble = Trouble(database, fleet, stack)
        await fleet.start_all(stack)
        for make in chance.sample(trouble.ways, len(trouble.ways)):
            await fleet.trade()
            await make()
        await fleet.trade()
        calls, _ = await fleet.judge(stack)
        return calls, trouble


async def test_servers_on_postgres_keep_all_promises_through_any_trouble(tmp_path: Path) -> None:
    rounds, chance = runs(least=1, ci=1, deep=50), random.Random(SEED)
    with campaign("servers on PostgreSQL", rounds=rounds) as noted:
        noted.update(calls=0, sessions=0, cancelled=0)
        for number in range(rounds):
            (folder := tmp_path / f"{number}").mkdir()
            calls, trouble = await _round(folder, chance)
            noted["calls"] += calls
            noted["sessions"] += trouble.sessions
            noted["cancelled"] += trouble.cancelled
    assert noted["calls"] >= rounds * 4 * LEAST_CALLS, "it was not much of a load"
    assert noted["sessions"] >= rounds * ENDED * SERVERS
    assert noted["cancelled"] >= rounds * CANCELLED
