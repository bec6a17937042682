"""Concurrent calls, event loops and reconnection of one client."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import pytest

from inventory_grpc.client import (
    Cancelled,
    DeadlineExceeded,
    InventoryClient,
    InventoryError,
    connections,
)
from inventory_grpc_protos.v1.events_pb2 import SubscribeResponse
from tests.support.waiting import eventually
from tests.unit.client.in_threads import ON_A_LOOP
from tests.unit.client.scripted import ScriptedServer, Silence, serving

ONE = SubscribeResponse(position=1, log_id="k3v9x0q2m7ab")
Events = AsyncGenerator[SubscribeResponse, None]


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a client room for 2 calls and 4 streams, on 3 connections."""
    monkeypatch.setattr(connections, "CALLS_A_CONNECTION", 2)
    monkeypatch.setattr(connections, "MAX_CALLS", 2)
    monkeypatch.setattr(connections, "MAX_STREAMS", 4)
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)


async def subscribed(
    client: InventoryClient, server: ScriptedServer, opened: AsyncExitStack
) -> Events:
    """Open a subscription, and leave it open."""
    server.plays("Subscribe", [ONE, Silence()])
    events = await opened.enter_async_context(aclosing(client.subscribe()))
    assert await anext(events) == ONE
    return events


def adding(client: InventoryClient, timeout: float = 20.0) -> "asyncio.Task[object]":
    return asyncio.create_task(
        client.add_stock(product_id="kettle", store_id="lisbon", quantity=5, timeout=timeout)
    )


async def test_calls_beyond_the_room_of_a_connection_get_another_one(
    client: InventoryClient, server: ScriptedServer
) -> None:
    async with AsyncExitStack() as opened:
        for expected in (1, 1, 2, 2):
            await subscribed(client, server, opened)
            assert len(client._connections) == expected
        for _ in range(3):
            await client.get_server_info()
        assert len(client._connections) == 3


async def test_connections_are_used_again_and_bounded(
    client: InventoryClient, server: ScriptedServer
) -> None:
    for _ in range(3):
        async with AsyncExitStack() as opened:
            for _ in range(4):
                await subscribed(client, server, opened)
            await asyncio.gather(*(client.get_server_info() for _ in range(10)))
    assert len(client._connections) == 3


async def test_more_streams_than_a_client_has_room_for_are_refused_until_one_is_left(
    client: InventoryClient, server: ScriptedServer
) -> None:
    async with AsyncExitStack() as opened:
        *_, last = [await subscribed(client, server, opened) for _ in range(4)]
        for another in (client.subscribe(), client.execute_stream([])):
            with pytest.raises(InventoryError, match="4 subscriptions and streams open") as full:
                await anext(another)
            assert not full.value.in_doubt
        await last.aclose()
        await subscribed(client, server, opened)


@ON_A_LOOP
async def test_more_calls_wait_for_room(client: InventoryClient, server: ScriptedServer) -> None:
    server.plays("AddStock", Silence(), Silence())
    under_way = [adding(client), adding(client)]
    await eventually(lambda: len(server.asked) == 2)
    waiting = asyncio.create_task(client.get_server_info())
    with pytest.raises(DeadlineExceeded, match=r"not sent: .* had 2 calls running") as failed:
        await adding(client, timeout=0.05)
    assert not failed.value.in_doubt
    assert failed.value.request_id
    assert len(server.asked) == 2
    under_way[0].cancel()
    await waiting
    under_way[1].cancel()
    await asyncio.gather(*under_way, return_exceptions=True)


async def test_after_it_is_closed_a_client_says_so(client: InventoryClient) -> None:
    await client.close()
    await client.close()
    for call in (client.get_server_info, client.__aenter__, lambda: anext(client.events())):
        with pytest.raises(RuntimeError, match="is closed: make a new one"):
            await call()


@ON_A_LOOP
async def test_what_is_under_way_when_it_is_closed_fails_and_is_in_doubt(
    client: InventoryClient, server: ScriptedServer
) -> None:
    async with AsyncExitStack() as opened:
        events = await subscribed(client, server, opened)
        server.plays("AddStock", Silence(), Silence())
        under_way = [adding(client), adding(client)]
        await eventually(lambda: len(server.asked) == 3)
        reading = asyncio.ensure_future(anext(events))
        waiting = adding(client)
        await asyncio.sleep(0)
        await client.close()
        for call in under_way:
            with pytest.raises(Cancelled, match="was closed before there was an answer") as failed:
                await call
            assert failed.value.in_doubt
            assert failed.value.request_id
        with pytest.raises(Cancelled) as ended:
            await reading
        assert not ended.value.in_doubt
        with pytest.raises(Cancelled) as unsent:
            await waiting
        assert not unsent.value.in_doubt
        assert unsent.value.request_id


@ON_A_LOOP
async def test_to_cancel_a_call_is_no_error_of_the_call(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("AddStock", Silence())
    call = adding(client)
    await eventually(lambda: len(server.asked) == 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.wait_for(server.cancelled.wait(), 20)


def test_it_may_be_made_outside_of_a_loop_and_belongs_to_its_first_one(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/inventory.sock"
    client = InventoryClient(address, token="inv_a1", timeout=20)  # noqa: S106  it opens nothing

    async def used() -> None:
        async with serving(ScriptedServer(), address):
            await client.get_server_info()
            await client._connections._opened[0].channel.close()

    async def used_elsewhere() -> None:
        for call in (client.get_server_info, client.close, lambda: anext(client.subscribe())):
            with pytest.raises(RuntimeError, match="one client for each event loop"):
                await call()

    asyncio.run(used())
    asyncio.run(used_elsewhere())
