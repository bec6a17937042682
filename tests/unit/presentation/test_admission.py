"""So many streams, and not one more; whoever leaves makes room."""

import asyncio
from collections.abc import AsyncIterator

from grpc import StatusCode

from inventory_grpc.presentation.grpc_types import Context
from inventory_grpc.presentation.interceptors.admission import AdmitStreams
from inventory_grpc.presentation.interceptors.errors import TranslateErrors
from inventory_grpc.presentation.interceptors.sending import SendInTime
from tests.unit.presentation.tiny import (
    ADD_STOCK,
    SUBSCRIBE,
    WATCH,
    Nobody,
    echo,
    failing,
    served,
    streaming,
    unary,
)


async def follow(_request: bytes, _context: Context) -> AsyncIterator[bytes]:
    yield b"one"
    await asyncio.Event().wait()


METHODS = {SUBSCRIBE: streaming(follow), WATCH: streaming(follow), ADD_STOCK: unary(echo)}
INTERCEPTORS = TranslateErrors(Nobody()), SendInTime()


async def test_a_stream_too_many_is_told_to_come_back_later() -> None:
    errors, sending = INTERCEPTORS
    async with served(METHODS, errors, AdmitStreams(2), sending) as caller:
        open_ = [caller.open(SUBSCRIBE) for _ in range(2)]
        for reading in open_:
            assert await reading.read() == b"one"
        async with failing(StatusCode.RESOURCE_EXHAUSTED) as failure:
            await caller.open(SUBSCRIBE).read()
        assert failure.reason == "OVERLOADED"
        assert failure.pushback_ms == "1000"


async def test_health_and_short_calls_are_never_refused() -> None:
    errors, sending = INTERCEPTORS
    async with served(METHODS, errors, AdmitStreams(0), sending) as caller:
        assert await caller.open(WATCH).read() == b"one"
        assert await caller.ask(ADD_STOCK, b"hello") == b"hello"


async def test_a_stream_that_ends_makes_room_for_another() -> None:
    errors, sending = INTERCEPTORS
    async with served(METHODS, errors, AdmitStreams(1), sending) as caller:
        for _ in range(3):
            reading = caller.open(SUBSCRIBE)
            assert await reading.read() == b"one"
            reading.cancel()
            await asyncio.sleep(0.05)
