"""The callers of a replay: each reserves a basket, and then commits, releases or abandons it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol, TypeVar

from inventory_grpc.client import InventoryClient, InventoryError
from scripts.replay.findings import Findings
from scripts.replay.plan import Fate, Plan, Sending
from scripts.replay.sales import Basket

Item = TypeVar("Item")


class Reply(Protocol):
    """The fields that all answers share."""

    replayed: bool
    position: int


SomeReply = TypeVar("SomeReply", bound=Reply)


async def by_callers(
    callers: int, items: Iterator[Item], serve: Callable[[Item], Awaitable[None]]
) -> None:
    """Serve the *items* with this many concurrent callers."""

    async def caller() -> None:
        for item in items:
            await serve(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())


@dataclass
class Traffic:
    """Sends requests as planned, and adds wrong answers to the findings."""

    client: InventoryClient
    plan: Plan
    findings: Findings
    requests: int = 0
    sendings: Counter[Sending] = field(default_factory=Counter)
    fates: Counter[Fate] = field(default_factory=Counter)

    async def sell(self, basket: Basket) -> None:
        """Reserve a basket, and then commit, release or abandon it."""
        fate = self.plan.fate(basket.basket_id)
        reservation_id = basket.reservation_id
        ttl = None
        if fate is Fate.EXPIRED:
            ttl = timedelta(seconds=self.plan.ttl_seconds(basket.basket_id))
        reserved = await self._send(
            f"reserve-{reservation_id}",
            lambda request_id: self.client.reserve_stock(
                lines=basket.lines,
                customer_id=basket.customer_id,
                reservation_id=reservation_id,
                ttl=ttl,
                occur_time=basket.time,
                request_id=request_id,
            ),
        )
        if not reserved:
            return
        self.fates[fate] += 1
        if fate is Fate.COMMITTED:
            await self._send(
                f"commit-{reservation_id}",
                lambda request_id: self.client.commit_reservation(
                    reservation_id=reservation_id, occur_time=basket.time, request_id=request_id
                ),
            )
        elif fate is Fate.RELEASED:
            await self._send(
                f"release-{reservation_id}",
                lambda request_id: self.client.release_reservation(
                    reservation_id=reservation_id, request_id=request_id
                ),
            )

    async def _send(self, request_id: str, call: Callable[[str], Awaitable[SomeReply]]) -> bool:
        sending = self.plan.sending(request_id)
        self.sendings[sending] += 1
        self.requests += 1 if sending is Sending.ONCE else 2
        try:
            if sending is Sending.ONCE:
                await call(request_id)
            elif sending is Sending.AGAIN:
                self._same(request_id, await call(request_id), await call(request_id))
            else:
                self._same(request_id, *await asyncio.gather(call(request_id), call(request_id)))
        except InventoryError as error:
            self.findings.add(f"{request_id}: {error}")
            return False
        return True

    def _same(self, request_id: str, one: SomeReply, other: SomeReply) -> None:
        """Check that a repeated request was executed once, with equal answers."""
        if not one.replayed and not other.replayed:
            self.findings.add(
                f"{request_id}: executed twice, at {one.position} and {other.position}"
            )
        one.replayed = other.replayed = False
        if one != other:
            self.findings.add(f"{request_id}: {_line(one)} answered first, and then {_line(other)}")


def _line(reply: Reply) -> str:
    return " ".join(str(reply).split())
