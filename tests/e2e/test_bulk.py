"""Bulk commands over gRPC: at their largest, cancelled, stopped, and left unread."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import chain
from pathlib import Path
from typing import Any, Final

import grpc.aio
import pytest
from google.rpc.error_details_pb2 import BadRequest
from grpc import StatusCode

from inventory_grpc.client import InvalidValue, InventoryClient
from inventory_grpc_protos.v1 import commands_pb2 as pb
from inventory_grpc_protos.v1.queries_pb2 import GetStockRequest
from inventory_grpc_protos.v1.stock_pb2 import Line
from tests.support.caller import (
    SECONDS,
    SMALL_WINDOW,
    Caller,
    adding,
    batch,
    calling,
    message,
    refusal_among,
    refused,
    reserving,
)
from tests.support.engines import on_each_engine
from tests.support.opened import checked, events, nobody_else_writes, requests_of
from tests.support.server_process import ServerProcess, server_process
from tests.support.waiting import eventually

MIB: Final = 1024 * 1024


@pytest.fixture
async def server(path: Path, tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """Serve in a process of its own, which tells when it takes in nothing more."""
    async with server_process(path, tmp_path / "server.log", fail_points="drain_4=pass") as server:
        yield server


def lines_of_calls(server: ServerProcess) -> list[dict[str, Any]]:
    return [entry for entry in server.log() if entry["event"] == "call"]


def _commands_of(size: int) -> pb.ExecuteBatchRequest:
    """Return 1,000 commands that take so many bytes each."""
    request = adding(1, reason="x" * 512)
    request.reference = "y" * (size - batch(adding(1, reason="x" * 512, reference="y")).ByteSize())
    return batch(*[request] * 1_000)


@on_each_engine
async def test_a_message_has_up_to_a_mebibyte(caller: Caller) -> None:
    most = _commands_of(MIB // 1_000)
    assert MIB - 1_000 < most.ByteSize() <= MIB
    results = (await caller.commands.ExecuteBatch(most)).results
    assert [result.version for result in results] == list(range(1, 1_001))
    beyond = _commands_of(MIB // 1_000 + 1)
    assert (
        await refused(caller.commands.ExecuteBatch(beyond))
    ).code is StatusCode.RESOURCE_EXHAUSTED
    stream: Any = caller.commands.ExecuteStream(timeout=SECONDS)
    await stream.write(message(adding(1)))
    assert [result.version for result in (await stream.read()).results] == [1_001]
    await stream.write(pb.ExecuteStreamRequest(commands=beyond.commands))
    assert (await refused(stream.read())).code is StatusCode.RESOURCE_EXHAUSTED
    got = await caller.queries.GetStock(GetStockRequest(product_id="kettle", store_id="lisbon"))
    assert got.as_of_position == 1_001


async def test_a_thousand_errors_of_the_longest_kind_arrive(caller: Caller) -> None:
    worst = reserving(*[Line()] * 500)
    response = await caller.commands.ExecuteBatch(batch(*[worst] * 1_000))
    assert MIB < response.ByteSize() < 4 * MIB
    for result in response.results:
        seen = refusal_among(result)
        assert seen.reason == "INVALID_VALUE"
        assert len(seen.details[BadRequest].field_violations) > 10


async def test_of_who_reads_nothing_little_is_taken_in_and_who_reads_late_misses_nothing(
    server: ServerProcess,
) -> None:
    long_answered, count = message(*[reserving(*[Line()] * 20)] * 100), 50

    async def send(stream: Any) -> None:  # noqa: ANN401  a call
        for _ in range(count):
            await stream.write(long_answered)
        await stream.done_writing()

    async def read(stream: Any) -> int:  # noqa: ANN401  a call
        return sum([len(response.results) async for response in stream])

    address = await server.address()
    async with calling(address, SMALL_WINDOW) as caller, calling(address) as other:
        never, late = caller.commands.ExecuteStream(), caller.commands.ExecuteStream()
        sending = [asyncio.ensure_future(send(stream)) for stream in (never, late)]
        # while one who reads is answered, all of the others would be taken in, too
        reads = other.commands.ExecuteStream()
        sending.append(asyncio.ensure_future(send(reads)))
        assert await read(reads) == count * 100
        never.cancel()
        assert await read(late) == count * 100
        await asyncio.wait(sending)
    await eventually(lambda: len(lines_of_calls(server)) == 3)
    taken = [(line["code"], line["commands"]) for line in lines_of_calls(server)]
    assert taken.count(("OK", count * 100)) == 2
    (left,) = [commands for code, commands in taken if code == "CANCELLED"]
    assert left < count * 100 / 4


async def test_told_to_stop_it_answers_what_it_took_in_and_does_no_more(
    server: ServerProcess, remote: Caller, path: Path
) -> None:
    names = [f"request-{number}" for number in range(3_000)]
    messages = [
        message(*(adding(1, request_id=name) for name in names[first : first + 500]))
        for first in range(0, len(names), 500)
    ]
    stream: Any = remote.commands.ExecuteStream(timeout=SECONDS)
    await stream.write(messages[0])
    answered = [await stream.read()]
    with nobody_else_writes(path):
        for asked in messages[1:]:
            await stream.write(asked)
        await remote.was_heard()
        server.terminate()
        await eventually(lambda: server.has_passed("drain_4"))
        assert server.process.poll() is None, "it waits for what was taken in"
    try:
        while True:
            answered.append(await stream.read())
    except grpc.aio.AioRpcError:
        seen = await refused(stream.read())
    assert (seen.code, seen.reason) == (StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
    assert await server.ended() == 0
    positions = [result.position for response in answered for result in response.results]
    assert positions == list(range(1, len(positions) + 1))
    assert 1 < len(answered) < len(messages)
    assert list(requests_of(events(path))) == names[: len(positions)]
    checked(path)


async def test_a_call_with_many_commands_is_one_line_with_their_number(
    server: ServerProcess, remote: Caller
) -> None:
    await remote.commands.ExecuteBatch(batch(adding(1, request_id="content"), adding(0)))
    stream = remote.commands.ExecuteStream(
        iter([message(adding(1), adding(0)), message(adding(1), adding(0), adding(-1))])
    )
    assert len([response async for response in stream]) == 2

    await eventually(lambda: len(lines_of_calls(server)) == 2)
    assert [
        (line["method"].rpartition("/")[2], line["code"], line["commands"], line["refused"])
        for line in lines_of_calls(server)
    ] == [("ExecuteBatch", "OK", 2, 1), ("ExecuteStream", "OK", 5, 3)]


@on_each_engine
async def test_the_python_client_sends_thousands_and_hears_of_each(address: str) -> None:
    def asked(number: int) -> pb.AddStockRequest:
        return adding(number % 10, f"product-{number % 7}", request_id=f"request-{number}")

    batches = [
        [asked(number) for number in range(first, first + 250)] for first in range(0, 5_000, 250)
    ]
    async with InventoryClient(address) as inventory:
        async with aclosing(inventory.execute_stream(batches)) as answers:
            streamed = [result async for results in answers for result in results]
        again = await inventory.execute_batch(chain.from_iterable(batches[:4]))
    positions = [result.position for result in streamed if isinstance(result, pb.CommandResult)]
    assert positions == list(range(1, 4_501))
    refused = [result for result in streamed if isinstance(result, InvalidValue)]
    assert [one.request_id for one in refused] == [f"request-{10 * n}" for n in range(500)]
    assert {one.violations[0].field for one in refused} == {"quantity"}
    assert [result.position for result in again if isinstance(result, pb.CommandResult)] == (
        positions[:900]
    )
