"""The calls of a benchmark.

A caller makes one call at a time, from an endless iterator of its own. Requests are serialised
beforehand, so that measuring only sends bytes.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, islice
from typing import Final, NamedTuple

from inventory_grpc.uuid7 import uuid7
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
"""Keys of a `BatchGetStock`."""

BATCH: Final = 500
"""Commands of a bulk message."""

ENOUGH: Final = 1_000_000
"""Initial units of a stock: more than will be taken."""

_HOLD_SECONDS: Final = 86_400
"""Long enough that no hold expires during a measurement."""


class Call(NamedTuple):
    """A method path and a serialised request."""

    method: str
    request: bytes


Traffic = Callable[[int], Iterator[Call]]
"""Returns the calls of the caller with this number."""


class Shop:
    """Calls on some stocks; equal seeds choose equal stocks."""

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
        """Return a command without a request id, which can be sent repeatedly."""
        return command(add_stock(self._stocks[0], request_id=""))

    def _reserve(self, stock: Stock) -> Call:
        name = self._id()
        return Call(RESERVE_STOCK, _reserve(Cart("ana", [(*stock, 1)]), name, name))

    def _any_stock(self) -> Stock:
        return self._chance.choice(self._stocks)

    def _id(self) -> str:
        """Return a time-ordered id, as callers are advised to make them."""
        return str(uuid7())


class Checkout:
    """Calls that reserve and commit carts."""

    def __init__(self, carts: Iterator[Cart], name: str = "basket") -> None:
        self._carts = carts
        self._numbers = count(1)
        self._name = name
        self.events = 0
        """The events that the calls so far record."""

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


def in_turn(stocks: Iterator[Stock]) -> Traffic:
    """Return calls that read *stocks* in their order, all callers together."""
    return lambda _caller: map(get_stock, stocks)


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
    """Yield a command for each stock; request ids are unique if *name* is."""
    return (add_stock(stock, f"{name}-{number}", quantity) for number, stock in enumerate(stocks))


def in_bulk(commands: Iterator[commands_pb2.AddStockRequest]) -> Iterator[bytes]:
    """Yield messages of `BATCH` commands each, and a last one of the rest."""
    while batch := list(islice(commands, BATCH)):
        request = commands_pb2.ExecuteStreamRequest()
        for command in batch:
            request.commands.add(add_stock=command)
        yield request.SerializeToString()  # an `ExecuteBatchRequest` has the same bytes


def echoed(traffic: Traffic) -> Traffic:
    """Return the same requests as calls of `Echo`."""
    return lambda caller: (Call(ECHO, call.request) for call in traffic(caller))
