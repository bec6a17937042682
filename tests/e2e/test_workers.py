"""Several workers under a supervisor serve one port as one service."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc.aio
import psutil
import pytest

from inventory_grpc_protos.v1.admin_pb2 import Durability, GetServerInfoRequest
from inventory_grpc_protos.v1.queries_pb2 import GetStockRequest
from tests.support.caller import SECONDS, Caller, adding, line, refusal, reserving
from tests.support.opened import checked
from tests.support.server_process import ServerProcess, command_line
from tests.support.workers import reaching_each, said, supervised, workers_of


@pytest.fixture(scope="module")
def shared_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workers") / "inventory.db"


@pytest.fixture(scope="module")
def shared(shared_path: Path) -> Iterator[ServerProcess]:
    """Serve two workers for all tests that do not end them."""
    log = shared_path.with_name("log")
    with supervised(shared_path, log, "--durability", "relaxed") as server:
        yield server


async def test_all_serve_the_port_that_is_said_once_as_their_supervisor_is_set(
    shared: ServerProcess,
) -> None:
    address = await shared.address()
    assert len(said(shared, "serving on")) == 1
    assert {entry["worker"] for entry in shared.log() if "serves on" in entry["event"]} == {1, 2}
    assert len(said(shared, "is open")) == 1
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
async def test_no_other_process_shares_the_port_of_the_workers(
    shared: ServerProcess, tmp_path: Path, workers: str
) -> None:
    address = await shared.address()
    other = str(tmp_path / "other.db")
    ended = command_line("serve", "--workers", workers, "--listen", address, "--database", other)
    assert ended.returncode == 1
    assert f"cannot listen on {address}" in ended.stderr
    assert "serving on" not in ended.stderr


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
