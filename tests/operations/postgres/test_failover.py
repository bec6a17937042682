"""A failover of PostgreSQL: a synchronous standby has all that was acknowledged.

Of a standby that lacks some of it, no server that had seen more accepts a write.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from inventory_grpc.client import InventoryClient
from tests.operations.postgres.deliveries import Requests, deliver
from tests.operations.postgres.fleet import Fleet, fleet
from tests.support.caller import adding, calling, refused
from tests.support.opened import events
from tests.support.postgres_server import PostgresServer, own_folder, own_server, url_of

IN_STEP: Final = (
    "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'"
)
LOST: Final = 5
TRIES: Final = 20
PATIENCE_SECONDS: Final = 30.0


class Pair(NamedTuple):
    """A primary, its standby, and two servers that know both."""

    primary: PostgresServer
    standby: PostgresServer
    servers: Fleet

    @property
    def database(self) -> str:
        return url_of(self.primary, self.standby)

    def fail_over(self) -> None:
        self.primary.kill()
        self.standby.promote()


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        primary = stack.enter_context(own_server())
        standby = primary.standby(stack.enter_context(own_folder()))
        url = url_of(primary, standby)
        yield Pair(primary, standby, await stack.enter_async_context(fleet(url, tmp_path, 2)))


async def test_no_acknowledged_write_is_lost_by_a_failover_to_a_synchronous_standby(
    pair: Pair,
) -> None:
    pair.primary.configure("synchronous_standby_names", "*")
    pair.primary.wait_for(IN_STEP)
    requests = Requests()
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(InventoryClient(address))
            for address in pair.servers.addresses
        ]
        await requests.send(clients, pair.fail_over)
        requests.check(pair.database)
        for name, position in requests.positions.items():
            assert await deliver(clients[0], name) == (position, True)


async def test_without_its_synchronous_standby_a_write_is_not_acknowledged(pair: Pair) -> None:
    pair.primary.configure("synchronous_standby_names", "*")
    pair.primary.wait_for(IN_STEP)
    pair.standby.kill()
    async with calling(pair.servers.addresses[0]) as caller:
        answer = await refused(caller.commands.AddStock(adding(1, request_id="r"), timeout=60))
        assert answer.reason in {"OUTCOME_UNKNOWN", "WRITES_REFUSED"}
    pair.standby.start()
    async with InventoryClient(pair.servers.addresses[1]) as client:
        position, _ = await deliver(client, "r")
        assert position == 1
    assert [event.request_id for event in events(pair.database)] == ["r"]


async def test_a_log_without_what_was_acknowledged_is_refused_after_a_failover(
    pair: Pair,
) -> None:
    async with calling(pair.servers.addresses[0]) as caller:
        await caller.commands.AddStock(adding(1, request_id="kept"))
        pair.standby.wait_for("SELECT count(*) = 1 FROM events")
        pair.standby.hear_no_more()
        for number in range(LOST):
            await caller.commands.AddStock(adding(1, request_id=f"lost-{number}"))
        pair.fail_over()
        reasons = [""]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while reasons[-1] != "LOG_DAMAGED":
                reasons.append((await refused(caller.commands.AddStock(adding(1)))).reason)
                await asyncio.sleep(0.1)
        assert set(reasons) <= {"", "WRITES_REFUSED", "LOG_DAMAGED"}
        for _ in range(TRIES):
            answer = await refused(caller.commands.AddStock(adding(1)))
            assert answer.reason == "LOG_DAMAGED"
    assert [event.request_id for event in events(pair.standby.url)] == ["kept"]
