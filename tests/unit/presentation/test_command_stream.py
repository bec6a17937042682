"""Streams of commands are read a little ahead, and answered in order."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from itertools import chain
from typing import Any

import grpc.aio
import pytest
from grpc import StatusCode

from inventory_grpc.application.ledger import bulk as group
from inventory_grpc.application.ledger import loop as ledger
from inventory_grpc.application.ledger import mailbox
from inventory_grpc.application.ledger.circuit_breaker import BreakerState
from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.presentation.command_stream import MAX_AHEAD, CommandStream
from inventory_grpc.presentation.server import EXECUTE_STREAM, drain
from inventory_grpc_protos.v1 import commands_pb2 as pb
from tests.support.caller import SECONDS, message, refusal_among, refused
from tests.support.engine import until
from tests.support.stores import TroubledStore
from tests.unit.presentation.asking import add
from tests.unit.presentation.conftest import Served
from tests.unit.presentation.streams import Stream, left, opened, told


async def test_each_message_is_answered_before_the_next_is_sent(service: Served) -> None:
    stream = opened(service)
    for number in range(1, 6):
        await stream.write(message(add(), add()))
        assert await told(stream) == [2 * number - 1, 2 * number]
    await stream.done_writing()
    assert await stream.read() is grpc.aio.EOF
    assert await stream.code() is StatusCode.OK


async def test_a_caller_that_has_finished_gets_all_answers_in_order(service: Served) -> None:
    messages = [message(*[add()] * size) for size in (3, 1_000, 1, 700, 2)]
    stream = service.commands.ExecuteStream(iter(messages), timeout=SECONDS)
    answers = [[result.position for result in answer.results] async for answer in stream]
    assert [len(answer) for answer in answers] == [3, 1_000, 1, 700, 2]
    assert [*chain.from_iterable(answers)] == list(range(1, 1_707))
    assert await stream.code() is StatusCode.OK
    await left(service)


async def test_a_stream_without_messages_has_no_answers(service: Served) -> None:
    stream = service.commands.ExecuteStream(iter([]), timeout=SECONDS)
    assert [answer async for answer in stream] == []
    assert await stream.code() is StatusCode.OK


async def test_one_that_is_refused_is_told_in_its_place_and_the_stream_goes_on(
    service: Served,
) -> None:
    stream = opened(service)
    await stream.write(message(add(), add(quantity=0), add()))
    first, bad, last = (await stream.read()).results
    assert (first.position, last.position) == (1, 2)
    assert refusal_among(bad).reason == "INVALID_VALUE"
    await stream.write(message(add()))
    assert await told(stream) == [3]
    stream.cancel()


def encoded(request: pb.ExecuteStreamRequest) -> bytes:
    return request.SerializeToString()


@pytest.mark.parametrize(
    "wrong",
    [b"", encoded(message(*[add()] * 1_001)), b"\x0a\xff", encoded(message(add())) + b"\xff" * 11],
    ids=["empty", "too many", "cut off", "no message"],
)
async def test_a_message_that_is_none_ends_the_stream_once_those_before_it_are_answered(
    service: Served, wrong: bytes
) -> None:
    good = encoded(message(add(), add()))
    make: Any = service.channel
    stream = make.stream_stream(
        EXECUTE_STREAM, response_deserializer=pb.ExecuteStreamResponse.FromString
    )(iter([good, wrong, good]), timeout=SECONDS)
    assert await told(stream) == [1, 2]
    seen = await refused(stream.read())
    assert (seen.code, seen.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_VALUE")
    assert len(await service.engine.log()) == 2
    await left(service)


async def test_of_a_caller_who_reads_nothing_but_a_few_messages_are_taken_in(
    service: Served, troubled: TroubledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "MAX_COMMANDS", 1)
    troubled.open.clear()
    stream = opened(service)
    writing = asyncio.ensure_future(_write_on(stream, lambda: message(*[add()] * 3)))
    await until(lambda: len(service.engine.ledger._mailbox) == MAX_AHEAD * 3 - 1)
    await asyncio.sleep(0.1)  # for whatever else would come
    assert len(service.engine.ledger._mailbox) == MAX_AHEAD * 3 - 1
    writing.cancel()
    stream.cancel()
    await until(lambda: not service.controls.calls.running)
    troubled.open.set()
    await left(service)
    assert (await service.commands.AddStock(add())).position == 2, "one was begun"


async def _write_on(stream: Stream, make: Callable[[], pb.ExecuteStreamRequest]) -> None:
    while True:
        await stream.write(make())


@pytest.mark.parametrize("answers_taken", [0, 1])
async def test_a_caller_that_leaves_leaves_nothing_behind(
    service: Served, troubled: TroubledStore, answers_taken: int
) -> None:
    stream = opened(service)
    for _ in range(answers_taken):
        await stream.write(message(add()))
        await told(stream)
    troubled.open.clear()
    for _ in range(4):
        await stream.write(message(*[add()] * 600))
    await until(lambda: len(service.engine.ledger._mailbox) > 0)
    stream.cancel()
    await until(lambda: not service.controls.calls.running)
    troubled.open.set()
    await left(service)
    await service.commands.AddStock(add(request_id="after"))
    recorded = len(await service.engine.log()) - answers_taken - 1
    assert recorded <= ledger.MAX_COMMANDS, "what was not begun was given up"


@pytest.mark.parametrize("finishes", [True, False])
async def test_a_stream_that_has_ended_leaves_nothing_in_memory(
    service: Served, *, finishes: bool
) -> None:
    ended = list[weakref.ref[CommandStream]]()
    for _ in range(3):
        stream = opened(service)
        await stream.write(message(add()))
        await told(stream)
        ended += map(weakref.ref, service.servicers.commands._streams._open)
        if finishes:
            await stream.done_writing()
            assert await stream.read() is grpc.aio.EOF
        else:
            stream.cancel()
        await left(service)
        gc.collect()
        assert [kept for ref in ended if (kept := ref())] == []
    assert len(ended) == 3


async def test_while_storage_is_broken_results_say_so_and_the_stream_lives_on(
    service: Served, troubled: TroubledStore
) -> None:
    stream = opened(service)
    await stream.write(message(add()))
    assert await told(stream) == [1]
    troubled.fail_next(StorageError(Fault.BROKEN))
    for _ in range(2):
        await stream.write(message(add(), add()))
        for result in (await stream.read()).results:
            assert refusal_among(result).reason == "WRITES_REFUSED"
    await until(lambda: service.engine.breaker.state is BreakerState.CLOSED)
    await stream.write(message(add()))
    assert await told(stream) == [2]
    stream.cancel()


async def test_a_server_that_stops_answers_what_it_took_in_and_reads_no_more(
    service: Served, troubled: TroubledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # so that the first message comes in at once, and the second has to wait
    monkeypatch.setattr(group, "MAX_TOGETHER", 700)
    monkeypatch.setattr(mailbox, "BULK_ROOM", 100)
    busy, idle = opened(service), opened(service)
    await idle.write(message(add()))
    assert await told(idle) == [1]
    troubled.open.clear()
    for _ in range(5):
        await busy.write(message(*[add()] * 700))
    await until(lambda: len(service.engine.ledger._mailbox) == 700 - ledger.MAX_COMMANDS)
    await until(service.engine.ledger._groups._lock.locked)
    draining = asyncio.ensure_future(
        drain(service.server, service.controls, service.servicers, service.engine.head, SECONDS)
    )
    seen = await refused(idle.read())
    assert (seen.code, seen.reason) == (StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
    assert not draining.done()
    troubled.open.set()
    assert await told(busy) == list(range(2, 702))
    assert await told(busy) == list(range(702, 1_402))
    assert (await refused(busy.read())).reason == "SHUTTING_DOWN"
    await draining
    assert len(await service.engine.log()) == 1_401


async def test_a_stream_whose_reader_ended_unexpectedly_ends_and_does_not_wait(
    service: Served,
) -> None:
    stream = opened(service)
    await stream.write(message(add()))
    assert await told(stream) == [1]
    [reader] = [task for task in asyncio.all_tasks() if task.get_name() == "commands of a stream"]
    reader.cancel()
    assert (await refused(stream.read())).code is StatusCode.INTERNAL
    await left(service)
