"""Real sales through three servers on one log: killed on the way with PostgreSQL, all is counted.

Envoy is before the servers. The deep size is the one of `make replay`.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from rich.console import Console

from inventory_grpc.client import InventoryClient
from scripts.replay.findings import Findings
from scripts.replay.plan import Plan
from scripts.replay.report import Report
from tests.operations.postgres.fleet import Fleet, fleet
from tests.robustness.lives import verify
from tests.support.effort import DEEP, campaign, runs
from tests.support.gateway import gateway
from tests.support.postgres_server import PostgresServer, own_server

sales = pytest.importorskip("scripts.replay.sales", reason="`make tools` installs the sales")
run = pytest.importorskip("scripts.replay.run", reason="`make tools` installs pandas")

SERVERS: Final = 3
CALLERS: Final = 32
CALL_SECONDS: Final = 120.0


class Till:
    """The client of all callers, who kill a server or PostgreSQL at even distances in the sales."""

    def __init__(
        self,
        client: InventoryClient,
        servers: Fleet,
        database: PostgresServer,
        kills_at: Sequence[int],
    ) -> None:
        self._client = client
        self._servers = servers
        self._database = database
        self._kills_at = kills_at
        self._begun = 0
        self.restarts: list[asyncio.Task[None]] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  of the client
        return getattr(self._client, name)

    async def reserve_stock(self, **basket: Any) -> Any:  # noqa: ANN401  as above
        self._begun += 1
        if self._begun in self._kills_at:
            await self._kill(self._kills_at.index(self._begun))
        return await self._client.reserve_stock(**basket)

    async def _kill(self, number: int) -> None:
        """Kill a server and PostgreSQL in turn."""
        if number % 2:
            await asyncio.to_thread(self._database.kill)
            restart = asyncio.to_thread(self._database.start)
        else:
            which = number // 2 % SERVERS
            await asyncio.to_thread(self._servers.kill, which)
            restart = self._servers.restart(which)
        self.restarts.append(asyncio.create_task(restart))


@pytest.mark.timeout(0 if DEEP else 600)
async def test_all_sales_are_counted_though_servers_and_postgresql_are_killed(
    tmp_path: Path,
) -> None:
    baskets, kills = runs(least=200, ci=300, deep=5_000), runs(least=4, ci=4, deep=20)
    findings = Findings()
    with campaign("retail on PostgreSQL", baskets=baskets, kills=kills) as noted:
        async with AsyncExitStack() as stack:
            database = stack.enter_context(own_server())
            servers = await stack.enter_async_context(fleet(database.url, tmp_path, SERVERS))
            envoy = stack.enter_context(gateway(tmp_path, servers.addresses))
            client = await stack.enter_async_context(
                InventoryClient(envoy.address, timeout=CALL_SECONDS)
            )
            kills_at = [baskets * (number + 1) // (kills + 1) for number in range(kills)]
            till = Till(client, servers, database, kills_at)
            replay = run.Replay(
                *(envoy.address, None, till, sales.load(baskets)),
                *(Plan(1, twice=0.05, released=0.05, expired=0.02), CALLERS, baskets // 5),
                *(Report(Console(quiet=True)), findings),
            )
            await replay.run()
            await asyncio.gather(*till.restarts)
            await asyncio.to_thread(verify, database.url)
            noted["events"] = (await client.get_server_info()).head_position
            noted["differences"] = findings.count
    assert findings.first == []
    assert len(till.restarts) == kills
