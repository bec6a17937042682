"""Which calls are made?

A caller makes one call after the other and waits for each answer; what it asks is an
endless iterator of its own. Requests are made as bytes, so that all that is left to do
while measuring is to send them.
"""

import random
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from inventory.v1 import commands_pb2, queries_pb2
from scripts.bench.echo import ECHO

GET_STOCK: Final = "/inventory.v1.InventoryQueries/GetStock"
ADD_STOCK: Final = "/inventory.v1.InventoryCommands/AddStock"
RESERVE_STOCK: Final = "/inventory.v1.InventoryCommands/ReserveStock"
COMMIT_RESERVATION: Final = "/inventory.v1.InventoryCommands/CommitReservation"

LINES: Final = 3
"""Lines of a cart."""

_STORES: Final = 10


class Call(NamedTuple):
    """One call: the path of its method, and its request."""

    method: str
    request: bytes


Traffic = Callable[[int], Iterator[Call]]
"""What the caller of a number asks."""


class Stock(NamedTuple):
    """The name of a stock."""

    product_id: str
    store_id: str


class Shop:
    """Stocks, and callers who want something of them. The same each time it is made."""

    def __init__(self, stocks: int) -> None:
        self._stocks = [
            Stock(f"sku-{number // _STORES:06}", f"store-{number % _STORES:03}")
            for number in range(stocks)
        ]
        self._chance = random.Random(2)

    def receive(self, callers: int) -> Traffic:
        """Return the calls that give every stock more than will be asked for; they end."""
        return lambda caller: (
            self._add(stock, quantity=1_000_000) for stock in self._stocks[caller::callers]
        )

    def look(self, _caller: int) -> Iterator[Call]:
        while True:
            product_id, store_id = self._any_stock()
            request = queries_pb2.GetStockRequest(product_id=product_id, store_id=store_id)
            yield Call(GET_STOCK, request.SerializeToString())

    def add_anywhere(self, _caller: int) -> Iterator[Call]:
        while True:
            yield self._add(self._any_stock())

    def add_to_one(self, _caller: int) -> Iterator[Call]:
        while True:
            yield self._add(self._stocks[0])

    def anonymous(self) -> Call:
        """Return a command that means another one each time it is sent."""
        return self._add(self._stocks[0], request_id="")

    def buy(self, _caller: int) -> Iterator[Call]:
        """Reserve a cart, then commit it."""
        while True:
            reservation_id = self._id()
            reserve = commands_pb2.ReserveStockRequest(
                request_id=self._id(), reservation_id=reservation_id, customer_id="ana"
            )
            for product_id, store_id in self._chance.sample(self._stocks, LINES):
                reserve.lines.add(product_id=product_id, store_id=store_id, quantity=1)
            yield Call(RESERVE_STOCK, reserve.SerializeToString())
            commit = commands_pb2.CommitReservationRequest(
                request_id=self._id(), reservation_id=reservation_id
            )
            yield Call(COMMIT_RESERVATION, commit.SerializeToString())

    def _add(self, stock: Stock, quantity: int = 1, request_id: str | None = None) -> Call:
        request = commands_pb2.AddStockRequest(
            request_id=self._id() if request_id is None else request_id,
            product_id=stock.product_id,
            store_id=stock.store_id,
            quantity=quantity,
        )
        return Call(ADD_STOCK, request.SerializeToString())

    def _any_stock(self) -> Stock:
        return self._chance.choice(self._stocks)

    def _id(self) -> str:
        """Return an id as scattered as those of real callers are, which an index feels."""
        return f"{self._chance.getrandbits(128):032x}"


def echoed(traffic: Traffic) -> Traffic:
    """Return the same requests, to be answered by themselves."""
    return lambda caller: (Call(ECHO, call.request) for call in traffic(caller))
