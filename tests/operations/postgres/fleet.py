"""Servers on one log in PostgreSQL, each at an address of its own, which can be killed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.server_process import ServerProcess


@dataclass
class Fleet:
    """Servers that begin again where they were."""

    database: str
    logs: Path
    fail_points: str = ""
    options: Sequence[str] = ()
    addresses: list[str] = field(default_factory=list)
    kills: int = 0
    _servers: list[ServerProcess] = field(default_factory=list)

    async def start(self, number: int) -> None:
        """Start so many, one after the other, because a busy machine starts few at a time."""
        for one in range(number):
            self._servers.append(self._begin("127.0.0.1:0", f"{one}"))
            self.addresses.append(await self._servers[-1].address())

    def _begin(self, address: str, name: str) -> ServerProcess:
        return ServerProcess.begin(
            *(self.database, self.logs / f"{name}.log", "--listen", address),
            *self.options,
            fail_points=self.fail_points,
        )

    def kill(self, which: int) -> None:
        self.kills += 1
        self._servers[which].kill()

    async def restart(self, which: int) -> None:
        """Start a server that was killed, at its address, until PostgreSQL is there as well."""
        while True:
            self._servers[which] = self._begin(self.addresses[which], f"{which}-{self.kills}")
            try:
                await self._servers[which].address()
            except AssertionError:  # it has ended
                await asyncio.sleep(0.1)
            else:
                return

    async def end(self) -> None:
        for server in self._servers:
            await asyncio.to_thread(server.kill)


@asynccontextmanager
async def fleet(
    database: str, logs: Path, number: int, *options: str, fail_points: str = ""
) -> AsyncIterator[Fleet]:
    """Run so many servers with these options; on leaving, see that they are gone."""
    servers = Fleet(database, logs, fail_points, options)
    try:
        await servers.start(number)
        yield servers
    finally:
        await servers.end()
