"""Several workers under a supervisor are one service on one port."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import grpc.aio
import psutil
import pytest

from inventory.v1.admin_pb2 import Durability, GetServerInfoRequest
from inventory.v1.queries_pb2 import GetStockRequest
from inventory_grpc.client import InventoryClient
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.opening import locked
from tests.support.caller import SECONDS, Caller, adding, calling, line, refusal, reserving
from tests.support.opened import checked, events, nobody_else_writes, requests_of
from tests.support.server_process import ServerProcess, command_line
from tests.support.waiting import eventually
from tests.support.workers import name_of, reaching_each, see_gone, supervised, workers_of

GROUP_STOP: Final = "everyone"
"""Whom a service manager tells to stop, when it tells all processes at once."""


@pytest.fixture(scope="module")
def shared_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workers") / "inventory.db"


@pytest.fixture(scope="module")
def shared(shared_path: Path) -> Iterator[ServerProcess]:
    """Serve with two workers for all who leave them as they are."""
    log = shared_path.with_name("log")
    with supervised(shared_path, log, "--durability", "relaxed") as server:
        yield server


@pytest.fixture
def server(path: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    """Serve with two workers."""
    with supervised(path, tmp_path / "log") as server:
        yield server


def _said(server: ServerProcess, word: str) -> list[str]:
    return [entry["event"] for entry in server.log() if word in entry["event"]]


def _have_served(server: ServerProcess, times: int) -> bool:
    return len(_said(server, "serves on")) == times


async def test_all_serve_the_port_that_is_said_once_as_their_supervisor_is_set(
    shared: ServerProcess,
) -> None:
    address = await shared.address()
    assert len(_said(shared, "serving on")) == 1
    assert {entry["worker"] for entry in shared.log() if "serves on" in entry["event"]} == {1, 2}
    assert len(_said(shared, "is open")) == 1
    async with reaching_each(address) as callers:
        for caller in callers:
            info = await caller.admin.GetServerInfo(GetServerInfoRequest())
            assert info.durability == Durability.DURABILITY_RELAXED


async def test_what_a_terminal_sends_is_for_the_supervisor_alone(shared: ServerProcess) -> None:
    await shared.address()
    groups = [os.getpgid(worker.pid) for worker in workers_of(shared)]
    assert os.getpgid(shared.process.pid) not in groups


async def _reserve(caller: Caller, name: str) -> str:
    request = reserving(line(1, "toaster"), name=name, request_id=name)
    try:
        await caller.commands.ReserveStock(request, timeout=SECONDS)
    except grpc.aio.AioRpcError as error:
        return refusal(error).reason
    return "RESERVED"


async def test_none_of_them_sells_what_another_has_sold(
    shared: ServerProcess, shared_path: Path
) -> None:
    address = await shared.address()
    async with reaching_each(address) as one_each, reaching_each(address) as another_each:
        await one_each[0].commands.AddStock(adding(50, "toaster"))
        answers = await asyncio.gather(
            *(
                _reserve(caller, f"{number}-{shopper}")
                for number in range(20)
                for shopper, caller in enumerate([*one_each, *another_each])
            )
        )
    assert Counter(answers) == {"RESERVED": 50, "INSUFFICIENT_STOCK": 30}
    assert len(checked(shared_path).promises) == 50


async def test_what_one_has_recorded_any_shows_to_who_names_it(shared: ServerProcess) -> None:
    async with reaching_each(await shared.address()) as (one, another):
        for units in range(1, 21):
            position = (await one.commands.AddStock(adding(1))).position
            kettles = GetStockRequest(product_id="kettle", store_id="lisbon", min_position=position)
            assert (await another.queries.GetStock(kettles)).stock.on_hand == units


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_their_port_is_theirs_alone(
    shared: ServerProcess, tmp_path: Path, workers: str
) -> None:
    address = await shared.address()
    other = str(tmp_path / "other.db")
    ended = command_line("serve", "--workers", workers, "--listen", address, "--database", other)
    assert ended.returncode == 1
    assert f"cannot listen on {address}" in ended.stderr
    assert "serving on" not in ended.stderr


async def _add(address: str, who: int, over: asyncio.Event) -> list[str]:
    """Add kettles, one after the other, with retries; return what was acknowledged."""
    acknowledged: list[str] = []
    async with InventoryClient(address, timeout=SECONDS) as inventory:
        while not over.is_set():
            name = f"{who}-{len(acknowledged)}"
            await inventory.add_stock(
                product_id="kettle", store_id="lisbon", quantity=1, request_id=name
            )
            acknowledged.append(name)
    return acknowledged


async def test_a_worker_that_ends_is_replaced_and_nothing_acknowledged_is_lost(
    server: ServerProcess, path: Path
) -> None:
    address, over = await server.address(), asyncio.Event()
    callers = [asyncio.create_task(_add(address, who, over)) for who in range(8)]
    for ended, number in enumerate([signal.SIGKILL, signal.SIGTERM, signal.SIGKILL], start=1):
        before = workers_of(server)
        max(before, key=psutil.Process.create_time).send_signal(number)
        await eventually(partial(_have_served, server, 2 + ended))
        assert [worker.pid for worker in before] != [worker.pid for worker in workers_of(server)]
    over.set()
    acknowledged = [name for names in await asyncio.gather(*callers) for name in names]
    assert len(acknowledged) > 100
    assert requests_of(events(path)) == dict.fromkeys(acknowledged, 1)
    checked(path)
    how = [said.partition(" of 2 ")[2] for said in _said(server, "another starts")]
    assert how == [
        "was ended by SIGKILL; another starts at once",
        "ended with 0; another starts in 0.1 s",
        "was ended by SIGKILL; another starts in 0.2 s",
    ]


async def _taken(caller: Caller, request_id: str) -> asyncio.Task[int]:
    """Send a command; return when the server has begun it."""

    async def add() -> int:
        answer = await caller.commands.AddStock(adding(1, request_id=request_id), timeout=SECONDS)
        return answer.position

    taken = asyncio.create_task(add())
    await asyncio.sleep(0)
    await name_of(caller)  # which comes after it, over the same connection
    return taken


@pytest.mark.parametrize(
    ("number", "told"), [(signal.SIGTERM, GROUP_STOP), (signal.SIGINT, "supervisor")]
)
async def test_told_to_stop_all_answer_what_they_have_taken(
    server: ServerProcess, path: Path, told: str, number: signal.Signals
) -> None:
    address, workers = await server.address(), workers_of(server)
    async with reaching_each(address) as callers:
        with nobody_else_writes(path):
            taken = [await _taken(caller, f"{at}") for at, caller in enumerate(callers)]
            server.process.send_signal(number)
            for worker in workers if told == GROUP_STOP else ():
                worker.send_signal(number)
            await eventually(lambda: len(_said(server, "draining")) == 3)
            assert all(worker.is_running() for worker in workers)
        assert sorted([await answer for answer in taken]) == [1, 2]
    assert await server.ended() == 0
    assert not any(worker.is_running() for worker in workers)
    assert len(_said(server, "ended with 0")) == 2


async def test_told_twice_all_leave_at_once_and_lose_nothing(
    server: ServerProcess, path: Path
) -> None:
    address, workers = await server.address(), workers_of(server)
    async with reaching_each(address) as callers:
        await callers[0].commands.AddStock(adding(1, request_id="kept"))
        with nobody_else_writes(path):
            taken = [await _taken(caller, f"{at}") for at, caller in enumerate(callers)]
            server.terminate()
            await eventually(lambda: len(_said(server, "draining")) == 3)
            server.terminate()
            assert await server.ended() == 1
            assert not any(worker.is_running() for worker in workers)
            await asyncio.gather(*taken, return_exceptions=True)
    assert requests_of(events(path)) == {"kept": 1}
    checked(path)


async def test_without_a_supervisor_they_answer_what_they_have_taken_and_end(
    server: ServerProcess, path: Path, tmp_path: Path
) -> None:
    address, workers = await server.address(), workers_of(server)
    async with reaching_each(address) as callers:
        with nobody_else_writes(path):
            taken = [await _taken(caller, f"{at}") for at, caller in enumerate(callers)]
            server.kill()
        assert sorted([await answer for answer in taken]) == [1, 2]
    see_gone(workers)
    assert requests_of(events(path)) == {"0": 1, "1": 1}
    checked(path)
    # connections of before may still be on their way out
    with supervised(path, tmp_path / "next.log", "--listen", address) as following:
        async with calling(await following.address()) as caller:
            assert (await caller.commands.AddStock(adding(1))).position == 3


def test_what_none_of_them_can_serve_with_is_said_once_and_none_is_left(tmp_path: Path) -> None:
    database = tmp_path / "a.db"
    database.write_text("kettles: 5")
    ended = command_line(
        *("serve", "--workers", "3", "--listen", "127.0.0.1:0", "--database", str(database))
    )
    assert ended.returncode == 1
    assert ended.stderr.count("error:") == 1
    assert "is not an inventory database" in ended.stderr
    assert not [
        process
        for process in psutil.process_iter(["environ"])
        if (process.info["environ"] or {}).get("INVENTORY_DATABASE") == str(database)
    ]


async def test_told_to_stop_while_they_start_they_are_gone(path: Path, tmp_path: Path) -> None:
    with (
        locked(Database(path), exclusive=True),  # as if its tables were being made anew
        supervised(path, tmp_path / "log") as server,
    ):
        await eventually(lambda: len(workers_of(server)) == 2)
        workers = workers_of(server)
        server.terminate()
        assert await server.ended() == 0
    see_gone(workers)
