"""Carts that callers ask for, and the outcome of each."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any, Final

import grpc.aio

from inventory_grpc_protos.v1.commands_pb2 import ReserveStockRequest
from tests.support.caller import SECONDS, Caller, adding, line, reserving
from tests.support.opened import checked, events, requests_of

PRODUCTS: Final = ("kettle", "toaster", "fork")


async def stock_up(caller: Caller) -> None:
    for product in PRODUCTS:
        await caller.commands.AddStock(adding(1_000_000, product))


def cart(name: str) -> ReserveStockRequest:
    return reserving(*(line(1, product) for product in PRODUCTS), name=name, request_id=name)


class Asked:
    """Carts that were asked for, and how each was answered."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.answers: dict[str, Any] = {}
        self.codes: Counter[str] = Counter()

    async def reserve(self, name: str, timeout: float | None = None) -> None:  # noqa: ASYNC109  the call's own
        self.answers[name] = None
        try:
            self.answers[name] = await self.caller.commands.ReserveStock(
                cart(name), timeout=timeout
            )
            self.codes["OK"] += 1
        except grpc.aio.AioRpcError as error:
            self.codes[error.code().name] += 1
        except asyncio.CancelledError:
            self.codes["left"] += 1

    async def check(self, path: str | Path) -> set[str]:
        """Check that each command is whole or absent, and that a retry says which."""
        # whoever has left may still be in the batch that is being recorded: be in the next one
        await self.caller.commands.AddStock(adding(1))
        found = requests_of(events(path))
        assert set(found.values()) <= {len(PRODUCTS)}, "a part of a command"
        assert set(found) <= self.answers.keys()
        for name, first in self.answers.items():
            again = await self.caller.commands.ReserveStock(cart(name), timeout=SECONDS)
            assert again.replayed == (name in found), name
            if first is not None:
                again.replayed = first.replayed
                assert again == first
        assert len(checked(path).promises) == len(self.answers)
        return set(found)
