"""The calls that callers make.

A caller makes one call after the other and waits for each answer; what it asks is an
endless iterator of its own. Requests are made as bytes, so that all that is left to do
while measuring is to send them.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, islice
from typing import Final, NamedTuple

from inventory_grpc_protos.v1 import commands_pb2, queries_pb2
from scripts.bench.echo import ECHO
from scripts.bench.goods import Cart, Stock

GET_STOCK: Final = "/inventory.v1.InventoryQueries/GetStock"
BATCH_GET_STOCK: Final = "/inventory.v1.InventoryQueries/BatchGetStock"
ADD_STOCK: Final = "/inventory.v1.InventoryCommands/AddStock"
RESERVE_STOCK: Final = "/inventory.v1.InventoryCommands/ReserveStock"
COMMIT_RESERVATION: Final = "/inventory.v1.InventoryCommands/CommitReservation"
EXECUTE_BATCH: Final = "/inventory.v1.InventoryCommands/ExecuteBatch"
EXECUTE_STREAM: Final = "/inventory.v1.InventoryCommands/ExecuteStream"

KEYS: Final = 100
"""Stocks that a `BatchGetStock` asks for."""

BATCH: Final = 500
"""Commands of a message in bulk."""

ENOUGH: Final = 1_000_000
"""Units that a stock begins with: more than will be asked for."""

_HOLD_SECONDS: Final = 86_400
"""No hold ends while something is measured."""


class Call(NamedTuple):
    """One call: the path of its method, and its request."""

    method: str
    request: bytes


Traffic = Callable[[int], Iterator[Call]]
"""What the caller of a number asks."""


class Shop:
    """Stocks, and callers who want something of them. The same for the same *seed*."""

    def __init__(self, stocks: Sequence[Stock], seed: int = 2) -> None:
        self._stocks = stocks
        self._chance = random.Random(seed)

    def look(self, _caller: int) -> Iterator[Call]:
        while True:
            yield get_stock(self._any_stock())

    def look_at_many(self, _caller: int) -> Iterator[Call]:
        while True:
            request = queries_pb2.BatchGetStockRequest()
            for product_id, store_id in self._chance.sample(self._stocks, KEYS):
                request.keys.add(product_id=product_id, store_id=store_id)
            yield Call(BATCH_GET_STOCK, request.SerializeToString())

    def add_anywhere(self, _caller: int) -> Iterator[Call]:
        while True:
            yield command(add_stock(self._any_stock(), self._id()))

    def add_to_one(self, _caller: int) -> Iterator[Call]:
        while True:
            yield command(add_stock(self._stocks[0], self._id()))

    def reserve_anywhere(self, _caller: int) -> Iterator[Call]:
        while True:
            yield self._reserve(self._any_stock())

    def reserve_one(self, _caller: int) -> Iterator[Call]:
        while True:
            yield self._reserve(self._stocks[0])

    def anonymous(self) -> Call:
        """Return a command that means another one each time it is sent."""
        return command(add_stock(self._stocks[0], request_id=""))

    def _reserve(self, stock: Stock) -> Call:
        name = self._id()
        return Call(RESERVE_STOCK, _reserve(Cart("ana", [(*stock, 1)]), name, name))

    def _any_stock(self) -> Stock:
        return self._chance.choice(self._stocks)

    def _id(self) -> str:
        """Return an id as scattered as those of real callers are, which an index feels."""
        return f"{self._chance.getrandbits(128):032x}"


class Checkout:
    """Callers who buy carts: each reserves one, then commits it."""

    def __init__(self, carts: Iterator[Cart], name: str = "basket") -> None:
        self._carts = carts
        self._numbers = count(1)
        self._name = name
        self.events = 0
        """What is recorded by the calls that were made."""

    def buy(self, _caller: int) -> Iterator[Call]:
        for cart in self._carts:
            name = f"{self._name}-{next(self._numbers)}"
            self.events += len(cart.lines)
            yield Call(RESERVE_STOCK, _reserve(cart, name, f"reserve-{name}"))
            commit = commands_pb2.CommitReservationRequest(
                request_id=f"commit-{name}", reservation_id=name
            )
            self.events += len(cart.lines)
            yield Call(COMMIT_RESERVATION, commit.SerializeToString())


def get_stock(stock: Stock) -> Call:
    product_id, store_id = stock
    request = queries_pb2.GetStockRequest(product_id=product_id, store_id=store_id)
    return Call(GET_STOCK, request.SerializeToString())


def command(request: commands_pb2.AddStockRequest) -> Call:
    return Call(ADD_STOCK, request.SerializeToString())


def add_stock(stock: Stock, request_id: str, quantity: int = 1) -> commands_pb2.AddStockRequest:
    product_id, store_id = stock
    return commands_pb2.AddStockRequest(
        request_id=request_id, product_id=product_id, store_id=store_id, quantity=quantity
    )


def _reserve(cart: Cart, reservation_id: str, request_id: str) -> bytes:
    request = commands_pb2.ReserveStockRequest(
        request_id=request_id, reservation_id=reservation_id, customer_id=cart.customer_id
    )
    request.ttl.seconds = _HOLD_SECONDS
    for product_id, store_id, quantity in cart.lines:
        request.lines.add(product_id=product_id, store_id=store_id, quantity=quantity)
    return request.SerializeToString()


def deliveries(
    stocks: Iterable[Stock], name: str, quantity: int = 1
) -> Iterator[commands_pb2.AddStockRequest]:
    """Yield a command for each stock, whose request id no other has that is named otherwise."""
    return (add_stock(stock, f"{name}-{number}", quantity) for number, stock in enumerate(stocks))


def in_bulk(commands: Iterator[commands_pb2.AddStockRequest]) -> Iterator[bytes]:
    """Yield messages of `BATCH` commands each; the last one may have fewer."""
    while batch := list(islice(commands, BATCH)):
        request = commands_pb2.ExecuteStreamRequest()
        for command in batch:
            request.commands.add(add_stock=command)
        yield request.SerializeToString()  # the same bytes as those of an `ExecuteBatchRequest`


def echoed(traffic: Traffic) -> Traffic:
    """Return the same requests, to be answered by themselves."""
    return lambda caller: (Call(ECHO, call.request) for call in traffic(caller))
