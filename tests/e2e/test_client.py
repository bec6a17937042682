"""The Python client and a real server."""

import asyncio
from contextlib import AsyncExitStack, aclosing

from inventory_grpc import InventoryClient
from inventory_grpc.client import connections
from inventory_grpc.presentation.server import OPTIONS


async def test_a_command_beside_a_hundred_subscriptions_of_one_client_is_done(
    address: str,
) -> None:
    assert connections.CALLS_A_CONNECTION == OPTIONS["grpc.max_concurrent_streams"] == 100
    async with InventoryClient(address, timeout=20) as inventory, AsyncExitStack() as opened:
        following = [
            await opened.enter_async_context(
                aclosing(inventory.subscribe(store_ids=[f"store-{number}"]))
            )
            for number in range(100)
        ]
        await asyncio.gather(*map(anext, following))
        done = await inventory.add_stock(product_id="kettle", store_id="lisbon", quantity=5)
        assert done.position == 1
