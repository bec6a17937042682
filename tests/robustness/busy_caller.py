"""A program that calls a server until it is killed: `python -m tests.robustness.busy_caller`."""

import asyncio
import sys

from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest
from tests.support.caller import Caller, calling, line, reserving


async def _reserve(caller: Caller, who: int) -> None:
    for number in range(1_000_000):
        name = f"killed-{who}-{number}"
        cart = reserving(line(1), line(1, "toaster"), line(1, "fork"), name=name, request_id=name)
        await caller.commands.ReserveStock(cart)


async def _follow(caller: Caller) -> None:
    async for _ in caller.events.Subscribe(SubscribeRequest()):
        pass


async def _call(address: str) -> None:
    async with calling(address) as caller:
        await asyncio.gather(
            *(_reserve(caller, who) for who in range(16)), *(_follow(caller) for _ in range(8))
        )


if __name__ == "__main__":
    asyncio.run(_call(sys.argv[1]))
