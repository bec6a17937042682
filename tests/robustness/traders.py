"""Callers who write carts over a few products and stores, each retried until it is answered."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc.aio
from grpc import StatusCode

from inventory_grpc_protos.v1.commands_pb2 import (
    CommitReservationRequest,
    ReleaseReservationRequest,
)
from tests.support.caller import SECONDS, Caller, adding, line, reserving

PRODUCTS: Final = ("kettle", "toaster", "fork")
STORES: Final = ("lisbon", "porto")
AGAIN_SECONDS: Final = 0.03

_UNANSWERED: Final = {StatusCode.UNAVAILABLE, StatusCode.CANCELLED, StatusCode.DEADLINE_EXCEEDED}


class Traders:
    """Callers who retry until they are answered; every request has an id of its own."""

    def __init__(self, caller: Caller, seed: int) -> None:
        self._caller = caller
        self._seed = seed
        self.acknowledged = 0
        """The highest position in any answer."""
        self.answers: dict[str, Any] = {}

    async def stock_up(self) -> None:
        """Have enough of everything, so that no cart is refused."""
        for product in PRODUCTS:
            for store in STORES:
                name = f"{product}-{store}"
                await self.ask(
                    "AddStock",
                    adding(1_000_000, product, store, request_id=name, reference="first"),
                )

    async def trade(self, who: int, carts: int) -> None:
        """Ask for so many carts, and have each paid for or given back."""
        chance = random.Random(f"{self._seed} trader {who}")
        for number in range(carts):
            name = f"{who}-{number}"
            lines = [
                line(1, product, store)
                for product in chance.sample(PRODUCTS, chance.randint(1, 3))
                for store in STORES
            ]
            await self.ask(
                "ReserveStock", reserving(*lines, name=name, request_id=f"{name}-reserve")
            )
            end = chance.choice((CommitReservationRequest, ReleaseReservationRequest))
            rpc = end.__name__.removesuffix("Request")
            await self.ask(rpc, end(reservation_id=name, request_id=f"{name}-end"))
            await asyncio.sleep(chance.choice((0.0, 0.0, 0.002)))

    async def ask(self, rpc: str, request: Any) -> None:  # noqa: ANN401  of any command
        """Send *request* until there is an answer."""
        send: Callable[..., Awaitable[Any]] = getattr(self._caller.commands, rpc)
        async with asyncio.timeout(2 * SECONDS):
            while True:
                try:
                    answer = await send(request, timeout=SECONDS)
                except grpc.aio.AioRpcError as error:
                    if error.code() not in _UNANSWERED:
                        raise
                    await asyncio.sleep(AGAIN_SECONDS)
                else:
                    break
        self.acknowledged = max(self.acknowledged, answer.position)
        self.answers[request.request_id] = answer
