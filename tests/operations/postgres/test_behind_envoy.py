"""Three servers on one log in PostgreSQL, behind Envoy, are one service."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from inventory_grpc.client import InventoryClient
from tests.operations.postgres.deliveries import Requests, deliver
from tests.operations.postgres.fleet import Fleet, fleet
from tests.support import postgres
from tests.support.gateway import Gateway, gateway

SERVERS: Final = 3
WRITES: Final = 30
READERS: Final = 2 * SERVERS

LATE: Final = "head_poll=sleep:30"
"""Servers hear late of what the others record, so that a read without a position is stale."""


class Shop(NamedTuple):
    """Servers, Envoy before them, and the URL of their log."""

    database: str
    servers: Fleet
    envoy: Gateway


@pytest.fixture
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        url = stack.enter_context(postgres.empty_schema())
        fail_points = getattr(request, "param", "")
        servers = await stack.enter_async_context(
            fleet(url, tmp_path, SERVERS, fail_points=fail_points)
        )
        envoy = stack.enter_context(gateway(tmp_path, servers.addresses))
        yield Shop(url, servers, envoy)


@pytest.mark.parametrize("shop", [LATE], indirect=True)
async def test_a_write_is_read_at_any_server_by_who_names_its_position(shop: Shop) -> None:
    stale = 0
    async with InventoryClient(shop.envoy.address) as client:

        async def read(min_position: int = 0) -> tuple[int, int]:
            found = await client.get_stock(
                product_id="kettle", store_id="lisbon", min_position=min_position
            )
            return found.stock.on_hand, found.as_of_position

        await deliver(client, "0")
        for units in range(2, WRITES + 2):
            position, _ = await deliver(client, f"{units}")
            for on_hand, _ in await asyncio.gather(*(read() for _ in range(READERS))):
                stale += on_hand < units
            for on_hand, as_of in await asyncio.gather(*(read(position) for _ in range(READERS))):
                assert on_hand == units
                assert as_of >= position
    assert stale > WRITES, "the other servers were seldom late: little was tried"
    asked = Counter(line["backend"] for line in shop.envoy.logged() if "Stock" in line["path"])
    assert len(asked) == SERVERS
    assert min(asked.values()) > WRITES


async def test_servers_are_killed_and_each_request_is_recorded_once_by_another_one(
    shop: Shop,
) -> None:
    requests = Requests()

    def kill_two() -> None:
        for which in (0, 1):
            shop.servers.kill(which)

    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(InventoryClient(shop.envoy.address)) for _ in range(4)
        ]
        await requests.send(clients, kill_two)
        await shop.servers.restart(0)
        requests.check(shop.database)
        for which in (0, 2):
            client = InventoryClient(shop.servers.addresses[which])
            another = await stack.enter_async_context(client)
            for name, position in requests.positions.items():
                assert await deliver(another, name) == (position, True)
    requests.check(shop.database)
