"""A failover of PostgreSQL: a synchronous standby has all that was acknowledged.

Of a standby that lacks some of it, no server that had seen more accepts a write.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, NamedTuple

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from inventory_grpc.choices import Failover
from inventory_grpc.client import InventoryClient
from inventory_grpc.presentation.health import COMMANDS
from inventory_grpc.server import serve
from inventory_grpc.settings import Settings
from inventory_grpc_protos.v1.admin_pb2 import GetServerInfoRequest, Writes
from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest
from tests.operations.postgres.adoption import PATIENCE_SECONDS, adopt, insist
from tests.operations.postgres.deliveries import Requests, deliver
from tests.operations.postgres.fleet import Fleet, fleet
from tests.support.caller import Caller, adding, calling, refusal, refused
from tests.support.opened import differences, events
from tests.support.postgres_server import PostgresServer, own_folder, own_server, url_of

IN_STEP: Final = (
    "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'"
)
LOST: Final = 5
TRIES: Final = 20


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
async def pair(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        primary = stack.enter_context(own_server())
        standby = primary.standby(stack.enter_context(own_folder()))
        url = url_of(primary, standby)
        servers = fleet(url, tmp_path, 2, "--failover", request.param)
        yield Pair(primary, standby, await stack.enter_async_context(servers))


refusing: Final = pytest.mark.parametrize("pair", [Failover.REFUSE.value], indirect=True)
trusting: Final = pytest.mark.parametrize("pair", [Failover.TRUSTED.value], indirect=True)


@trusting
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
        names = {(await client.get_server_info()).log_id for client in clients}
    settings = Settings(
        listen="127.0.0.1:0", database=pair.database, failover=Failover.TRUSTED, create=False
    )
    async with serve.serving(settings) as fresh, InventoryClient(fresh.address) as client:
        await deliver(client, "after")
        assert {(await client.get_server_info()).log_id} == names


@refusing
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


@refusing
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
        for adopts in (False, True):
            if adopts:
                await asyncio.to_thread(adopt, pair.database)
            for _ in range(TRIES):
                answer = await refused(caller.commands.AddStock(adding(1)))
                assert answer.reason == "LOG_DAMAGED"
    assert [event.request_id for event in events(pair.standby.url)] == ["kept"]


async def test_a_fresh_server_refuses_a_log_that_lacks_commits_until_it_is_adopted() -> None:
    with own_server() as primary, own_folder() as folder:
        standby = primary.standby(folder)
        settings = Settings(listen="127.0.0.1:0", database=url_of(primary, standby))
        async with serve.serving(settings) as served, calling(served.address) as caller:
            await caller.commands.AddStock(adding(1, request_id="kept"))
            standby.wait_for("SELECT count(*) = 1 FROM events")
            standby.hear_no_more()
            await caller.commands.AddStock(adding(1, request_id="lost"))
            old = (await caller.admin.GetServerInfo(GetServerInfoRequest())).log_id
        primary.kill()
        standby.promote()
        async with serve.serving(settings) as served, calling(served.address) as caller:
            for _ in range(3):
                answer = await refused(caller.commands.AddStock(adding(1, request_id="lost")))
                assert answer.reason == "WRITES_REFUSED"
                assert "a standby was promoted" in answer.message
            assert [event.request_id for event in await caller.log()] == ["kept"]
            info = await caller.admin.GetServerInfo(GetServerInfoRequest())
            assert (info.writes, info.log_id) == (Writes.WRITES_REFUSED, old)
            assert "inventory-grpc adopt" in info.writes_refused_reason
            health = await caller.health.Check(HealthCheckRequest(service=COMMANDS))
            assert health.status == HealthCheckResponse.NOT_SERVING

            await asyncio.to_thread(adopt, settings.database)
            position = await insist(caller, "lost")
            assert position == 2
            new = (await caller.admin.GetServerInfo(GetServerInfoRequest())).log_id
            assert new != old
            for name, after, expected in ((old, 1, [2]), (new, 2, []), (old, 2, None)):
                assert await read_after(caller, name, after) == expected
        assert [event.request_id for event in events(standby.url)] == ["kept", "lost"]
        assert not differences(standby.url)


async def test_a_restart_of_the_primary_is_no_failover() -> None:
    with own_server() as primary:
        settings = Settings(listen="127.0.0.1:0", database=primary.url)
        async with serve.serving(settings) as served, calling(served.address) as caller:
            await caller.commands.AddStock(adding(1, request_id="before"))
            for position in (2, 4):
                primary.kill()
                primary.start()
                assert await insist(caller, f"{position}") == position
                async with serve.serving(settings) as fresh, calling(fresh.address) as other:
                    await other.commands.AddStock(adding(1))


async def read_after(caller: Caller, log_id: str, position: int) -> list[int] | None:
    """Return the positions of the events that a follower gets; None if it is of another log."""
    request = SubscribeRequest(after_position=position, log_id=log_id, stop_at_head=True)
    try:
        return [
            event.position
            async for message in caller.events.Subscribe(request, timeout=PATIENCE_SECONDS)
            for event in message.events
        ]
    except grpc.aio.AioRpcError as error:
        if refusal(error).reason != "OTHER_LOG":
            raise
        return None
