"""The examples against a real server: killed at each step, they do everything once."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from inventory_grpc import SyncInventoryClient
from inventory_grpc.testing import InventoryServer
from tests.support.server_process import ENVIRONMENT, ROOT

EXAMPLES: Final = ROOT / "scripts/examples"
KETTLE: Final[dict[str, Any]] = {"product_id": "kettle", "store_id": "lisbon"}

DYING: Final = """
import os, signal, sys
import checkout

left = int(sys.argv.pop(1))

def go_on():
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

def dies(method):
    def call(*given, **named):
        go_on()
        answer = method(*given, **named)
        go_on()
        return answer
    return call

for owner, names in {
    checkout.Orders: ("place", "close", "open_ones"),
    checkout.Payments: ("pay", "refund", "state"),
    checkout.SyncInventoryClient: (
        "reserve_stock", "extend_reservation", "commit_reservation", "release_reservation",
    ),
}.items():
    for name in names:
        setattr(owner, name, dies(getattr(owner, name)))
checkout.main(*sys.argv[1:])
"""
"""A checkout that is killed before or after one of its steps."""

MAX_STEPS: Final = 40


class Shop(NamedTuple):
    server: InventoryServer
    inventory: SyncInventoryClient
    folder: Path
    environment: dict[str, str]

    def checkout(
        self, *words: str, die_at: int | None = None
    ) -> "subprocess.CompletedProcess[str]":
        command = ("-c", DYING, str(die_at)) if die_at is not None else (EXAMPLES / "checkout.py",)
        return subprocess.run(
            [sys.executable, *command, self.folder / "orders.db", *words],
            env=self.environment,
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )

    def buy(self, key: str, cents: int = 4_200, die_at: int | None = None) -> int:
        bought = self.checkout(
            "buy", key, "ana", str(cents), "kettle", "lisbon", "1", die_at=die_at
        )
        assert bought.returncode in {0, -signal.SIGKILL}, bought.stderr
        return bought.returncode

    def rows(self, file: str, query: str) -> dict[str, str]:
        with closing(sqlite3.connect(self.folder / file)) as db:
            return dict(db.execute(query).fetchall())

    def paid(self) -> set[str]:
        rows = self.rows("payments.db", "SELECT key, state FROM payments")
        return {key for key, state in rows.items() if state == "paid"}

    def outcomes(self) -> dict[str, str]:
        return self.rows("orders.db", "SELECT id, outcome FROM orders")

    def committed(self) -> list[str]:
        kinds = ["ReservationCommitted", "ReservationReacquired"]
        events = self.inventory.list_events(event_types=kinds, page_size=1_000).events
        return [getattr(event, event.WhichOneof("fact") or "").reservation_id for event in events]

    def buy_and_die(self) -> int:
        """Buy one order after the other, each killed a step later; return how many died."""
        steps = 0
        while self.buy(f"order-{steps}", die_at=steps) != 0:
            steps += 1
            assert steps < MAX_STEPS
        return steps


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    payments = subprocess.Popen(
        [sys.executable, EXAMPLES / "payments.py", tmp_path / "payments.db", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    with payments, InventoryServer() as server, server.client() as inventory:
        assert payments.stdout
        environment = {
            **ENVIRONMENT,
            "PYTHONPATH": f"{ENVIRONMENT['PYTHONPATH']}{os.pathsep}{EXAMPLES}",
            "INVENTORY_SERVER": server.address,
            "PAYMENTS": payments.stdout.readline().strip(),
        }
        inventory.add_stock(**KETTLE, quantity=100)
        yield Shop(server, inventory, tmp_path, environment)
        payments.kill()


def test_killed_at_each_step_an_order_is_paid_and_sold_once_or_neither(shop: Shop) -> None:
    assert shop.buy_and_die() == 12, "before and after each of its six steps"
    recovered = shop.checkout("recover")
    assert recovered.returncode == 0, recovered.stderr
    outcomes = shop.outcomes()
    assert set(outcomes.values()) == {"sold"}
    assert sorted(shop.committed()) == sorted(outcomes)
    assert shop.paid() == outcomes.keys()
    stock = shop.inventory.get_stock(**KETTLE).stock
    assert (stock.on_hand, stock.reserved) == (100 - len(outcomes), 0)


def test_an_order_that_is_found_after_its_time_is_sold_if_it_was_paid_and_else_not(
    shop: Shop,
) -> None:
    shop.buy_and_die()
    shop.server.advance(timedelta(minutes=16))
    paid_before = shop.paid()
    assert shop.checkout("recover").returncode == 0
    outcomes = shop.outcomes()
    sold = {key for key, outcome in outcomes.items() if outcome == "sold"}
    assert paid_before <= sold == shop.paid()
    assert {*outcomes.values()} - {"sold"} == {"not sold: it was not paid in time"}
    assert sorted(shop.committed()) == sorted(sold)


def test_what_others_have_bought_meanwhile_is_paid_back(shop: Shop) -> None:
    shop.buy_and_die()
    shop.server.advance(timedelta(minutes=16))
    left = shop.inventory.get_stock(**KETTLE).stock.available
    shop.inventory.remove_stock(**KETTLE, quantity=left)
    assert shop.checkout("recover").returncode == 0
    outcomes = shop.outcomes()
    sold = {key for key, outcome in outcomes.items() if outcome == "sold"}
    assert sorted(shop.committed()) == sorted(sold)
    assert shop.paid() == sold
    assert any(outcome.startswith("paid back: INSUFFICIENT_STOCK") for outcome in outcomes.values())


def test_a_declined_payment_gives_the_units_back(shop: Shop) -> None:
    shop.buy("order-1", cents=200_000)
    assert shop.outcomes() == {"order-1": "not sold: the payment was declined"}
    stock = shop.inventory.get_stock(**KETTLE).stock
    assert (stock.on_hand, stock.reserved) == (100, 0)


async def test_a_killed_projector_counts_each_event_once(tmp_path: Path) -> None:
    with InventoryServer() as server, server.client() as inventory:
        environment = {**ENVIRONMENT, "INVENTORY_SERVER": server.address}
        command: list[str | Path] = [
            sys.executable,
            EXAMPLES / "projector.py",
            tmp_path / "levels.db",
        ]
        for killed in range(6):
            projector = await asyncio.create_subprocess_exec(*command, env=environment)
            for number in range(60):
                inventory.add_stock(
                    product_id=f"cup-{number % 7}", store_id="faro", quantity=1 + killed
                )
                await asyncio.sleep(0.01)
            projector.kill()
            await projector.wait()
        last = await asyncio.create_subprocess_exec(*command, "to-head", env=environment)
        assert await last.wait() == 0
        with closing(sqlite3.connect(tmp_path / "levels.db")) as db:
            levels = {row[:3] for row in db.execute("SELECT product, on_hand, events FROM levels")}
            [(position,)] = db.execute("SELECT position FROM place")
        stocks = inventory.list_stock(page_size=100).stocks
        assert levels == {(one.product_id, one.on_hand, one.version) for one in stocks}
        assert position == 6 * 60
