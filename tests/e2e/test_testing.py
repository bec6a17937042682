"""The server for the tests of applications: its clock, its crashes, and its fixtures."""

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from inventory_grpc import InventoryClient, Line, ReservationClosed, SyncInventoryClient
from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.testing import InventoryServer
from tests.support.server_process import ENVIRONMENT
from tests.support.waiting import eventually

KETTLE: Final[dict[str, Any]] = {"product_id": "kettle", "store_id": "lisbon"}
LATER: Final = timedelta(minutes=16)


@pytest.fixture
def server() -> Iterator[InventoryServer]:
    with InventoryServer(hold_seconds=900) as running:
        yield running


@pytest.fixture
def inventory(server: InventoryServer) -> Iterator[SyncInventoryClient]:
    with server.client() as client:
        yield client


def available(inventory: SyncInventoryClient) -> int:
    return inventory.get_stock(**KETTLE).stock.available


def reserved(inventory: SyncInventoryClient, units: int) -> str:
    made = inventory.reserve_stock(lines=[Line(**KETTLE, quantity=units)], customer_id="ana")
    return made.reservation.reservation_id


def test_a_reservation_expires_when_the_clock_is_moved(
    server: InventoryServer, inventory: SyncInventoryClient
) -> None:
    inventory.add_stock(**KETTLE, quantity=5)
    cart = reserved(inventory, 2)
    before = server.now()
    server.advance(timedelta(minutes=14))
    assert available(inventory) == 3
    server.advance(timedelta(minutes=2))
    assert server.now() - before >= LATER
    assert available(inventory) == 5
    with pytest.raises(ReservationClosed) as closed:
        inventory.commit_reservation(reservation_id=cart)
    assert closed.value.state == "EXPIRED"


def test_all_that_is_overdue_has_expired_when_the_clock_was_moved(
    server: InventoryServer, inventory: SyncInventoryClient
) -> None:
    inventory.add_stock(**KETTLE, quantity=1_000)
    for _ in range(300):
        reserved(inventory, 1)
    server.advance(LATER)
    expired = inventory.list_events(event_types=["ReservationExpired"], page_size=1_000)
    assert len(expired.events) == 300


def test_after_a_crash_it_has_what_it_had_acknowledged_and_its_time(
    server: InventoryServer, inventory: SyncInventoryClient
) -> None:
    inventory.add_stock(**KETTLE, quantity=5)
    server.advance(LATER)
    reserved(inventory, 2)
    address = server.address
    server.kill()
    server.start()
    assert server.address == address
    assert available(inventory) == 3
    server.advance(LATER)
    assert available(inventory) == 5
    server.stop()
    server.start()
    assert available(inventory) == 5


async def test_a_client_of_an_event_loop_calls_it_too(server: InventoryServer) -> None:
    async with InventoryClient(server.address) as inventory:
        assert (await inventory.add_stock(**KETTLE, quantity=5)).position == 1


def test_mistakes_are_told(server: InventoryServer) -> None:
    with pytest.raises(BadSetting, match="hold_second: no setting"):
        InventoryServer(hold_second=1)
    with pytest.raises(ValueError, match="above 0"):
        server.advance(timedelta(seconds=-1))
    with pytest.raises(RuntimeError, match="runs"):
        server.start()
    server.kill()
    with pytest.raises(RuntimeError, match="start it"):
        server.advance(LATER)
    with pytest.raises(RuntimeError, match="context manager"):
        InventoryServer().start()
    with pytest.raises(BadSetting, match=r"^hold_seconds: must be a number, and is 'long'"):
        InventoryServer(hold_seconds="long")
    with pytest.raises(BadSetting, match=r"^hold_seconds: "):
        InventoryServer(hold_seconds=-1)


def test_a_server_that_cannot_start_tells_why(server: InventoryServer) -> None:
    server.kill()
    server.database.write_bytes(b"not a database" * 100)
    with pytest.raises(RuntimeError, match=r"has ended: (?s:.*)not a database|inventory.db"):
        server.start()
    with pytest.raises(RuntimeError, match="start it"):
        server.advance(LATER)


CRASHES: Final = """
import os, signal
from inventory_grpc.testing import InventoryServer

with InventoryServer() as server:
    print(server._process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_it_ends_with_the_process_that_started_it() -> None:
    crashing = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CRASHES, env=ENVIRONMENT, stdout=subprocess.PIPE
    )
    output, _ = await crashing.communicate()
    assert crashing.returncode == -signal.SIGKILL
    server = int(output)
    await eventually(lambda: not Path(f"/proc/{server}").exists())


TEST: Final = """
from datetime import timedelta

def test_it(inventory, inventory_server):
    inventory.add_stock(product_id="kettle", store_id="lisbon", quantity=5)
    assert inventory.get_server_info().log_id
    inventory_server.advance(timedelta(days=1))

def test_the_server_of_another_test_is_not_seen(inventory):
    assert inventory.list_stock().stocks == []
"""


def test_its_fixtures_work_in_pytest(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["inventory_grpc.testing.fixtures"]')
    (tmp_path / "test_it.py").write_text(TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        env={**ENVIRONMENT, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        check=False,
        cwd=tmp_path,
        text=True,
    )
    assert re.search("2 passed", run.stdout), run.stdout + run.stderr
