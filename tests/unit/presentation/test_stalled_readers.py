"""A stream waits for its reader up to a limit, and cleans up when it ends."""

import asyncio
from collections.abc import AsyncIterator

from grpc import StatusCode

from inventory_grpc.presentation import services
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.draining import RunningCalls
from inventory_grpc.presentation.interceptors.counting import CallCounts
from inventory_grpc.presentation.interceptors.errors import TranslateErrors
from inventory_grpc.presentation.interceptors.logging import LogCalls
from inventory_grpc.presentation.stalled_readers import SendInTime
from tests.support.log_lines import captured_lines
from tests.unit.presentation.tiny import SUBSCRIBE, failing, served, streaming

COUNTS = CallCounts(services.STREAMS)

MUCH = b"x" * 16 * 1024


class Sender:
    """Sends for ever, and knows how that ended."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def send(self, _request: bytes, call: Call) -> AsyncIterator[bytes]:
        self.task = asyncio.current_task()
        sent = 0
        try:
            while True:
                yield MUCH
                sent += 1
                call.note(position=sent)
        finally:
            assert asyncio.current_task() is self.task
            self.closed.set()


async def test_a_reader_that_takes_nothing_is_closed_with_its_position_in_the_log() -> None:
    sender, calls = Sender(), RunningCalls()
    with captured_lines() as logs:
        async with served(
            {SUBSCRIBE: streaming(sender.send)},
            calls,
            LogCalls(COUNTS, 0.0),
            TranslateErrors(calls, goodbye_seconds=0.1),
            SendInTime(0.1),
        ) as caller:
            reading = caller.open(SUBSCRIBE)
            await reading.read()
            async with asyncio.timeout(5.0):
                await sender.closed.wait()
                await calls.finished()
            async with failing(StatusCode.UNAVAILABLE) as failure:
                while await reading.read():
                    pass
    assert failure.reason == "OVERLOADED"
    [line] = logs
    assert line["code"] == "UNAVAILABLE"
    assert line["position"] >= 1


async def test_a_slow_reader_is_not() -> None:
    sender = Sender()
    async with served({SUBSCRIBE: streaming(sender.send)}, SendInTime(0.5)) as caller:
        reading = caller.open(SUBSCRIBE)
        for _ in range(12):
            assert await reading.read() == MUCH
            await asyncio.sleep(0.05)
        assert not sender.closed.is_set()


async def test_when_its_reader_leaves_a_stream_is_closed_at_once_and_in_its_own_task() -> None:
    sender = Sender()
    async with served({SUBSCRIBE: streaming(sender.send)}, SendInTime()) as caller:
        reading = caller.open(SUBSCRIBE)
        await reading.read()
        reading.cancel()
        async with asyncio.timeout(5.0):
            await sender.closed.wait()


async def test_a_reader_that_leaves_while_a_message_waits_for_it_has_left_and_that_is_all() -> None:
    sender, calls = Sender(), RunningCalls()
    with captured_lines() as logs:
        async with served(
            {SUBSCRIBE: streaming(sender.send)},
            calls,
            LogCalls(COUNTS, 0.0),
            TranslateErrors(calls),
            SendInTime(),
        ) as caller:
            reading = caller.open(SUBSCRIBE)
            await reading.read()
            await asyncio.sleep(0.1)  # until its window is full
            reading.cancel()
            async with asyncio.timeout(5.0):
                await sender.closed.wait()
                await calls.finished()
    assert [(line["code"], line["log_level"]) for line in logs] == [("CANCELLED", "info")]
