"""Closing a client ends its waiting calls at once, with what is known of each request."""

import asyncio
from typing import Any, Final

import pytest
from grpc import StatusCode

from inventory_grpc.client import Cancelled, InventoryClient
from tests.support.waiting import eventually
from tests.unit.client.scripted import Failure, ScriptedServer

LONG: Final = 60.0
"""Seconds until the next attempt; no test waits for them."""

LOST = Failure(StatusCode.UNAVAILABLE, retry_seconds=LONG)
STOPPING = Failure(StatusCode.UNAVAILABLE, "SHUTTING_DOWN", retry_seconds=LONG)


async def ended_by_closing(
    client: InventoryClient, server: ScriptedServer, call: "asyncio.Future[Any]"
) -> Cancelled:
    """Close *client* while *call* waits for its next attempt; return how it ended."""
    await eventually(lambda: len(server.asked) == 1 and not client._connections._opened[0].calls)
    await client.close()
    with pytest.raises(Cancelled, match="closed before there was an answer") as ended:
        await asyncio.wait_for(call, LONG / 4)
    assert len(server.asked) == 1
    return ended.value


@pytest.mark.parametrize(("failure", "in_doubt"), [(LOST, True), (STOPPING, False)])
async def test_a_command_that_waits_to_be_sent_again_keeps_its_request_id_and_its_doubt(
    client: InventoryClient, server: ScriptedServer, failure: Failure, *, in_doubt: bool
) -> None:
    server.plays("AddStock", failure)
    adding = client.add_stock(product_id="kettle", store_id="lisbon", quantity=5, timeout=2 * LONG)
    ended = await ended_by_closing(client, server, asyncio.ensure_future(adding))
    assert ended.request_id == server.requests()[0].request_id
    assert ended.in_doubt == in_doubt


async def test_a_subscription_that_waits_to_be_resumed_ends(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("Subscribe", STOPPING)
    reading = asyncio.ensure_future(anext(client.subscribe()))
    ended = await ended_by_closing(client, server, reading)
    assert not ended.in_doubt
