"""A checkout that reserves, pays and commits, and recovers from every failure.

    python scripts/examples/checkout.py orders.db buy order-1 ana 4200 kettle lisbon 2
    python scripts/examples/checkout.py orders.db recover

It may be killed at any moment. An order is written down before anything is done for it, and each
step may be repeated: the inventory knows a request by its id, and the payment server by its key. So
`recover` runs the same steps again for every order without an outcome. In the end an order is paid
and sold once, or neither.

INVENTORY_SERVER and PAYMENTS name the servers: by default 127.0.0.1:50051, http://127.0.0.1:8090.
"""

import json
import os
import sqlite3
import sys
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final, NamedTuple

from inventory_grpc import Line, Refused, ReservationClosed, SyncInventoryClient

HOLD: Final = timedelta(minutes=15)
"""The time for which units are held while the customer pays."""


class Order(NamedTuple):
    order_id: str
    customer_id: str
    cents: int
    lines: Sequence[Line]


class Orders:
    """The orders of the shop, in a file; each step of a checkout can be repeated from it."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS orders"
            " (id TEXT PRIMARY KEY, customer TEXT, cents INT, lines TEXT, outcome TEXT)"
        )

    def place(self, order: Order) -> None:
        """Write down an order, before anything is done for it."""
        self._db.execute(
            "INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?, NULL)",
            (order.order_id, order.customer_id, order.cents, json.dumps(order.lines)),
        )

    def close(self, order: Order, outcome: str) -> None:
        self._db.execute("UPDATE orders SET outcome = ? WHERE id = ?", (outcome, order.order_id))

    def open_ones(self) -> list[Order]:
        """Return the orders without an outcome."""
        rows = self._db.execute(
            "SELECT id, customer, cents, lines FROM orders WHERE outcome IS NULL"
        )
        return [
            Order(key, customer, cents, [Line(*line) for line in json.loads(lines)])
            for key, customer, cents, lines in rows.fetchall()
        ]


class Payments:
    """The payment server; each of its answers is the state of a payment."""

    def __init__(self, url: str) -> None:
        self._url = url

    def pay(self, key: str, cents: int) -> str:
        return self._asked("/payments", {"key": key, "cents": cents})

    def refund(self, key: str) -> str:
        return self._asked("/refunds", {"key": key})

    def state(self, key: str) -> str:
        return self._asked(f"/payments/{key}")

    def _asked(self, path: str, body: object = None) -> str:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self._url}{path}", data, timeout=10) as answer:  # noqa: S310  of this setting
            state: str = json.load(answer)["state"]
            return state


class Checkout:
    def __init__(self, orders: Orders, inventory: SyncInventoryClient, payments: Payments) -> None:
        self._orders, self._inventory, self._payments = orders, inventory, payments

    def buy(self, order: Order) -> str:
        """Sell an order; return its outcome."""
        self._orders.place(order)
        return self._finish(order)

    def recover(self) -> dict[str, str]:
        """Finish the orders that a killed process has left; return their outcomes."""
        return {order.order_id: self._finish(order) for order in self._orders.open_ones()}

    def _finish(self, order: Order) -> str:
        outcome = self._outcome(order)
        self._orders.close(order, outcome)
        return outcome

    def _outcome(self, order: Order) -> str:
        """Do every step of an order, those again that were done before."""
        key = order.order_id
        try:
            self._inventory.reserve_stock(
                reservation_id=key,
                customer_id=order.customer_id,
                order_id=key,
                lines=order.lines,
                ttl=HOLD,
                request_id=f"{key}/reserve",
            )
        except Refused as refused:
            return f"not sold: {refused}"
        if not self._is_held(order) and self._payments.state(key) == "none":
            return "not sold: it was not paid in time"
        if self._payments.pay(key, order.cents) != "paid":
            self._release(order)
            return f"not sold: the payment was {self._payments.state(key)}"
        return self._sell(order)

    def _is_held(self, order: Order) -> bool:
        """Hold the units while the customer pays; return False if they are no longer held."""
        try:
            self._inventory.extend_reservation(reservation_id=order.order_id, ttl=HOLD)
        except ReservationClosed:
            return False
        return True

    def _release(self, order: Order) -> None:
        with suppress(ReservationClosed):  # it has expired, or was released before
            self._inventory.release_reservation(reservation_id=order.order_id)

    def _sell(self, order: Order) -> str:
        """Take the units out of the store; give the money back if that cannot be done."""
        key = order.order_id
        try:
            self._inventory.commit_reservation(
                reservation_id=key,
                order_id=key,
                reacquire_if_available=True,  # it may have expired after the customer had paid
                request_id=f"{key}/commit",
            )
        except Refused as refused:
            self._payments.refund(key)
            return f"paid back: {refused}"
        return "sold"


def lines_of(words: Sequence[str]) -> list[Line]:
    groups = zip(*[iter(words)] * 3, strict=True)
    return [Line(product, store, int(quantity)) for product, store, quantity in groups]


def main(database: str, action: str, *words: str) -> None:
    payments = Payments(os.environ.get("PAYMENTS", "http://127.0.0.1:8090"))
    with SyncInventoryClient(os.environ.get("INVENTORY_SERVER", "127.0.0.1:50051")) as inventory:
        checkout = Checkout(Orders(database), inventory, payments)
        if action == "recover":
            for key, outcome in checkout.recover().items():
                print(f"{key}: {outcome}")
        else:
            key, customer, cents, *lines = words
            print(checkout.buy(Order(key, customer, int(cents), lines_of(lines))))


if __name__ == "__main__":
    main(*sys.argv[1:])
