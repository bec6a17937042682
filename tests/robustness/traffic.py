"""Callers who contend for a few products: carts, payments, cancellations and retries."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from inventory_grpc_protos.v1 import commands_pb2 as commands
from inventory_grpc_protos.v1 import queries_pb2 as queries
from inventory_grpc_protos.v1.stock_pb2 import StockKey
from tests.robustness.history import Call, History
from tests.support.caller import Caller, adding, line, reserving

TURNED_AWAY_SECONDS: Final = 0.02
"""The pause of a shopper whose call was not looked at, as while storage is gone."""

PRODUCTS: Final = ("kettle", "toaster", "lamp")
STOCKED: Final = 30
"""Units there are of each in the beginning; what leaves is brought back, more or less."""


@dataclass
class Crowd:
    """Shoppers who share products and know each other's reservations."""

    history: History
    products: Sequence[str] = PRODUCTS
    name: str = "crowd"
    short_ttls: float = 0.4
    """The share of holds that are over after a second."""
    promised: list[str] = field(default_factory=list)

    async def stock(self, caller: Caller) -> None:
        """Bring in what there is in the beginning."""
        arrivals = [
            adding(STOCKED, product, request_id=f"{self.name}-stock-{product}")
            for product in self.products
        ]
        await asyncio.gather(
            *(self.history.send(caller, "AddStock", arrival) for arrival in arrivals)
        )

    def shoppers(
        self, callers: Sequence[Caller], count: int, chance: random.Random, life: object
    ) -> list["asyncio.Task[None]"]:
        """Have so many go on until the server is gone, each over one of the connections."""
        return [
            asyncio.create_task(
                Shopper(self, f"{self.name}-{life}-{n}", random.Random(chance.random())).shop(
                    callers[n % len(callers)]
                )
            )
            for n in range(count)
        ]


@dataclass
class Shopper:
    """One of them; what it asks for comes from its own dice."""

    crowd: Crowd
    name: str
    chance: random.Random
    sent: int = 0
    shown: int = 0
    """The position of the last answer it has seen."""

    async def shop(self, caller: Caller) -> None:
        """Go on until the server is gone."""
        call: Call | None = None
        while call is None or not call.is_cut_off:
            if call is not None and call.request_id and self.chance.random() < 0.08:
                rpc, request = call.rpc, call.request
            else:
                rpc, request = self._wish()
            call = await self.crowd.history.send(caller, rpc, request)
            if call.is_turned_away:
                await asyncio.sleep(TURNED_AWAY_SECONDS)
            if call.answer is not None:
                self.shown = getattr(call.answer, "as_of_position", self.shown)
                if rpc == "ReserveStock":
                    self.crowd.promised.append(request.reservation_id)

    def _wish(self) -> tuple[str, Any]:
        """Choose what to ask for next."""
        return self._look() if self.chance.random() < 0.25 else self.command()

    def command(self) -> tuple[str, Any]:
        """Choose what to have done next."""
        self.sent += 1
        name = f"{self.name}-{self.sent}"
        kind = self.chance.random()
        if kind < 0.2:
            return self._move(name)
        if kind < 0.55 or not self.crowd.promised:
            return "ReserveStock", self._cart(name)
        return self._end(name)

    def _look(self) -> tuple[str, Any]:
        floor = self.shown if self.chance.random() < 0.5 else 0
        kind, product = self.chance.random(), self.chance.choice(self.crowd.products)
        if kind < 0.6:
            return "GetStock", queries.GetStockRequest(
                product_id=product, store_id="lisbon", min_position=floor
            )
        if kind < 0.8:
            keys = [StockKey(product_id=one, store_id="lisbon") for one in self.crowd.products]
            return "BatchGetStock", queries.BatchGetStockRequest(keys=keys, min_position=floor)
        if kind < 0.9 and self.crowd.promised:
            name = self.chance.choice(self.crowd.promised)
            return "GetReservation", queries.GetReservationRequest(
                reservation_id=name, min_position=floor
            )
        return "CheckAvailability", queries.CheckAvailabilityRequest(
            lines=[line(self.chance.randint(1, 20), product)], min_position=floor
        )

    def _move(self, request_id: str) -> tuple[str, Any]:
        """Bring goods, take some out, or count them."""
        kind, units = self.chance.random(), self.chance.randint(1, 6)
        about: dict[str, Any] = {
            "product_id": self.chance.choice(self.crowd.products),
            "store_id": "lisbon",
            "request_id": request_id,
        }
        if kind < 0.75:
            return "AddStock", commands.AddStockRequest(quantity=units, **about)
        if kind < 0.88:
            return "RemoveStock", commands.RemoveStockRequest(quantity=units, **about)
        if kind < 0.94:
            return "AdjustStock", commands.AdjustStockRequest(delta=-units, **about)
        return "AdjustStock", commands.AdjustStockRequest(on_hand=STOCKED // 2, **about)

    def _cart(self, name: str) -> commands.ReserveStockRequest:
        """Want up to three products, one of them perhaps in two lines."""
        chance, products = self.chance, self.crowd.products
        wanted = chance.sample(products, chance.randint(1, len(products)))
        if chance.random() < 0.3:
            wanted.append(wanted[0])
        lines = [line(chance.randint(1, 4), product) for product in wanted]
        is_short = chance.random() < self.crowd.short_ttls
        ttl = Duration(seconds=1 if is_short else 3_600)
        return reserving(*lines, name=name, request_id=f"{name}-r", ttl=ttl)

    def _end(self, request_id: str) -> tuple[str, Any]:
        """Pay, give back or keep a cart, of anybody: there can be one winner."""
        name = self.chance.choice(self.crowd.promised[-24:])
        about: dict[str, Any] = {"reservation_id": name, "request_id": request_id}
        kind = self.chance.random()
        lines = []
        if self.chance.random() < 0.3:
            lines = [line(1, self.chance.choice(self.crowd.products))]
        if kind < 0.55:
            return "CommitReservation", commands.CommitReservationRequest(lines=lines, **about)
        if kind < 0.85:
            return "ReleaseReservation", commands.ReleaseReservationRequest(lines=lines, **about)
        ttl = Duration(seconds=self.chance.choice([1, 2, 60]))
        return "ExtendReservation", commands.ExtendReservationRequest(ttl=ttl, **about)
