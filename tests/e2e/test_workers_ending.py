"""Workers that are killed or stopped lose no call that was accepted."""

import asyncio
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import psutil
import pytest

from inventory_grpc.client import InventoryClient
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.opening import locked
from tests.support.caller import SECONDS, Caller, adding, calling
from tests.support.opened import checked, events, nobody_else_writes, requests_of
from tests.support.server_process import ServerProcess
from tests.support.waiting import eventually
from tests.support.workers import name_of, reaching_each, said, see_gone, supervised, workers_of

GROUP_STOP: Final = "everyone"
"""The processes that a service manager signals, when it signals all at once."""


@pytest.fixture
def server(path: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    """Serve with two workers."""
    with supervised(path, tmp_path / "log") as server:
        yield server


def _have_served(server: ServerProcess, times: int) -> bool:
    return len(said(server, "serves on")) == times


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
    how = [event.partition(" of 2 ")[2] for event in said(server, "another starts")]
    assert how == [
        "was ended by SIGKILL; another starts at once",
        "ended with 0; another starts in 0.1 s",
        "was ended by SIGKILL; another starts in 0.2 s",
    ]


def _move_all(source: Path, target: Path) -> None:
    """Move a file and all that lies beside it into the folder of *target*."""
    target.parent.mkdir(exist_ok=True)
    for file in source.parent.glob(source.name + "*"):
        file.rename(target.with_name(file.name))
    assert not source.exists()


async def test_no_worker_that_replaces_another_begins_a_new_log_where_the_file_is_gone(
    server: ServerProcess, path: Path
) -> None:
    async with calling(await server.address()) as caller:
        await caller.commands.AddStock(adding(1), timeout=SECONDS)
    away = path.parent / "away" / path.name
    _move_all(path, away)
    workers_of(server)[0].kill()
    await eventually(lambda: bool(said(server, "there is no database at")))
    _move_all(away, path)
    await eventually(partial(_have_served, server, 3))
    assert len(events(path)) == 1


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
async def test_stopped_workers_answer_the_calls_they_accepted(
    server: ServerProcess, path: Path, told: str, number: signal.Signals
) -> None:
    address, workers = await server.address(), workers_of(server)
    async with reaching_each(address) as callers:
        with nobody_else_writes(path):
            taken = [await _taken(caller, f"{at}") for at, caller in enumerate(callers)]
            server.process.send_signal(number)
            for worker in workers if told == GROUP_STOP else ():
                worker.send_signal(number)
            await eventually(lambda: len(said(server, "draining")) == 3)
            assert all(worker.is_running() for worker in workers)
        assert sorted([await answer for answer in taken]) == [1, 2]
    assert await server.ended() == 0
    assert not any(worker.is_running() for worker in workers)
    assert len(said(server, "ended with 0")) == 2


async def test_told_twice_all_leave_at_once_and_lose_nothing(
    server: ServerProcess, path: Path
) -> None:
    address, workers = await server.address(), workers_of(server)
    async with reaching_each(address) as callers:
        await callers[0].commands.AddStock(adding(1, request_id="kept"))
        with nobody_else_writes(path):
            taken = [await _taken(caller, f"{at}") for at, caller in enumerate(callers)]
            server.terminate()
            await eventually(lambda: len(said(server, "draining")) == 3)
            server.terminate()
            assert await server.ended() == 1
            assert not any(worker.is_running() for worker in workers)
            await asyncio.gather(*taken, return_exceptions=True)
    assert requests_of(events(path)) == {"kept": 1}
    checked(path)


async def test_workers_without_a_supervisor_answer_their_calls_and_exit(
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
