"""The client that blocks: complete, for threads, and on both sides of a fork."""

import asyncio
import inspect
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from grpc import StatusCode

from inventory_grpc.client import InventoryClient, SyncInventoryClient, forks
from inventory_grpc_protos.v1.commands_pb2 import (
    AddStockRequest,
    CommandResult,
    ExecuteStreamResponse,
)
from inventory_grpc_protos.v1.events_pb2 import SubscribeResponse
from tests.support.server_process import ENVIRONMENT
from tests.support.waiting import SECONDS, eventually
from tests.unit.client.scripted import Failure, ScriptedServer, Silence
from tests.unit.client.test_methods import METHODS


@pytest.fixture
def blocking(address: str) -> Iterator[SyncInventoryClient]:
    with SyncInventoryClient(address, timeout=SECONDS) as client:
        yield client


@pytest.mark.parametrize("name", METHODS)
def test_each_method_of_the_client_blocks_with_the_same_arguments(name: str) -> None:
    ours = getattr(SyncInventoryClient, name)
    assert not inspect.iscoroutinefunction(ours)
    assert not inspect.isasyncgenfunction(ours)
    assert list(inspect.signature(ours).parameters) == list(
        inspect.signature(METHODS[name]).parameters
    )
    assert "aclosing" not in (inspect.getdoc(ours) or "")


async def test_threads_share_a_client(
    blocking: SyncInventoryClient, server: ScriptedServer
) -> None:
    server.plays("GetServerInfo", *[Failure(StatusCode.UNAVAILABLE)] * 20)
    with ThreadPoolExecutor(20) as threads:
        calls = [asyncio.wrap_future(threads.submit(blocking.get_server_info)) for _ in range(200)]
        await asyncio.gather(*calls)
    assert len(server.asked) == 220
    assert not blocking._connections.in_use()


async def test_batches_may_use_the_client(
    blocking: SyncInventoryClient, server: ScriptedServer
) -> None:
    def batches() -> Iterator[list[Any]]:
        for _ in range(2):
            blocking.get_server_info()
            yield [AddStockRequest(product_id="kettle", store_id="lisbon", quantity=1)]

    server.plays("ExecuteStream", *[ExecuteStreamResponse(results=[CommandResult()])] * 2)
    results = await asyncio.to_thread(lambda: list(blocking.execute_stream(batches())))
    assert results == [[CommandResult()], [CommandResult()]]


async def test_a_subscription_that_is_closed_leaves_no_call_and_no_thread(
    blocking: SyncInventoryClient, server: ScriptedServer
) -> None:
    def read_one() -> None:
        events = blocking.subscribe()
        next(events)
        events.close()

    server.plays("Subscribe", [SubscribeResponse(position=1, log_id="log")] * 2)
    await asyncio.to_thread(read_one)
    assert not blocking._connections.in_use()
    await eventually(lambda: "silence" not in [one.name for one in threading.enumerate()])


FORKED: Final = """
import os, sys
from inventory_grpc.client import InventoryClient, SyncInventoryClient, forks

address, in_use = sys.argv[1:]
client = SyncInventoryClient(address)
client.get_server_info()
if in_use == "in use":
    events = client.subscribe(from_now=True)
    next(events)

child = os.fork()
if child == 0:
    for make in (lambda: client, lambda: SyncInventoryClient(address)):
        try:
            make().get_server_info()
            print("answered", flush=True)
        except RuntimeError as error:
            print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
client.get_server_info()
print("the parent goes on", flush=True)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize(
    ("in_use", "said"),
    [
        ("idle", ["answered", "answered"]),
        ("in use", ["this process was forked while an inventory client was in use"] * 2),
    ],
)
async def test_after_a_fork_it_works_or_says_what_to_do(
    address: str, server: ScriptedServer, in_use: str, said: list[str]
) -> None:
    server.plays("Subscribe", [SubscribeResponse(position=1, log_id="log"), Silence()])
    forked = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FORKED, address, in_use, env=ENVIRONMENT, stdout=subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(forked.communicate(), SECONDS)
    *child, parent = output.decode().splitlines()
    assert [line[: len(start)] for line, start in zip(child, said, strict=True)] == said
    assert parent == "the parent goes on"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
async def test_after_a_fork_beside_an_open_client_of_an_event_loop_it_says_what_to_do(
    client: InventoryClient,
) -> None:
    await client.get_server_info()
    is_open = isinstance(client, InventoryClient)
    child = os.fork()
    if child == 0:
        try:
            forks.check()
        except RuntimeError:
            os._exit(9)
        os._exit(0)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == (9 if is_open else 0)
