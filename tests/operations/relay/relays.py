"""Relays in processes of their own, and a shop that they follow."""

import asyncio
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.request import urlopen

from inventory_grpc import InventoryError, SyncInventoryClient
from inventory_grpc.testing import InventoryServer
from inventory_grpc_protos.v1.commands_pb2 import AddStockRequest
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.support.brokers import Broker, Entry
from tests.support.server_process import COMMAND, ENVIRONMENT

SECONDS: Final = 30.0


class Relay:
    """A relay that was started; its log goes into a file."""

    def __init__(
        self, folder: Path, server: InventoryServer | str, target: str, *options: str
    ) -> None:
        address = server if isinstance(server, str) else server.address
        self._log = folder / f"relay-{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "relay", target, "--server", address, *options],
                stderr=log,
                env={**ENVIRONMENT, "INVENTORY_LOG_FORMAT": "json"},
            )

        STARTED.append(self)

    def told(self) -> str:
        return self._log.read_text("utf-8")

    def ended(self) -> int:
        return self.process.wait(SECONDS)

    def most_bytes(self) -> int:
        """Return the most memory that it has had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


STARTED: Final = list[Relay]()
"""Those of the test that runs, which are killed at its end."""


def add(shop: SyncInventoryClient, count: int, store: str = "lisbon") -> None:
    for _ in range(count):
        shop.add_stock(product_id="kettle", store_id=store, quantity=1)


def fill(shop: SyncInventoryClient, count: int) -> None:
    kettles = AddStockRequest(product_id="kettle", store_id="lisbon", quantity=1)
    for results in shop.execute_stream([kettles] * 500 for _ in range(count // 500)):
        assert not [result for result in results if isinstance(result, InventoryError)]


def log_of(shop: SyncInventoryClient) -> Sequence[Event]:
    with closing(shop.events(stop_at_head=True)) as events:
        return [*events]


def eventually(holds: Callable[[], bool], seconds: float = SECONDS) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it has not come about"
        time.sleep(0.02)


def read(broker: Broker) -> Sequence[Entry]:
    return asyncio.run(broker.read())


def check_complete(broker: Broker, shop: SyncInventoryClient) -> None:
    """Check that each event of the log is in the stream, once, in order, byte by byte."""
    found, expected = read(broker), log_of(shop)
    assert [entry.position for entry in found] == [event.position for event in expected]
    assert [entry.body for entry in found] == [event.SerializeToString() for event in expected]


@contextmanager
def selling(server: InventoryServer) -> Iterator[None]:
    """Add stock, a cart and its sale, over and over, while inside."""
    ending = threading.Event()

    def sell() -> None:
        with server.client() as shop:
            while not ending.is_set():
                add(shop, 3)
                lines = [("kettle", "lisbon", 1)]
                held = shop.reserve_stock(customer_id="ana", lines=lines).reservation
                shop.commit_reservation(reservation_id=held.reservation_id)

    seller = threading.Thread(target=sell)
    seller.start()
    try:
        yield
    finally:
        ending.set()
        seller.join()


def page_port(relay: Relay) -> int:
    """Return the port of the page, once the relay tells it."""
    said = "metrics are on port "
    eventually(lambda: said in relay.told())
    [line] = [line for line in relay.told().splitlines() if said in line]
    told: str = json.loads(line)["event"]
    return int(told.removeprefix(said))


def page(port: int, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://127.0.0.1:{port}/{path}") as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()
