"""A draining server ends endless streams and waits for all other calls."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from grpc import StatusCode

from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.draining import RunningCalls
from inventory_grpc.presentation.interceptors.errors import TranslateErrors
from inventory_grpc.presentation.stalled_readers import SendInTime
from tests.unit.presentation.tiny import (
    ADD_STOCK,
    PATIENCE_SECONDS,
    SUBSCRIBE,
    WATCH,
    echo,
    failing,
    served,
    streaming,
    unary,
)


async def for_ever(_request: bytes, _call: Call) -> AsyncIterator[bytes]:
    yield b"one"
    await asyncio.Event().wait()


async def test_nothing_runs_when_every_call_is_over() -> None:
    calls = RunningCalls()
    async with served({ADD_STOCK: unary(echo)}, calls) as caller:
        await caller.ask(ADD_STOCK)
        assert calls.running == 0
        await calls.finished()


async def test_streams_that_would_never_end_are_told_that_the_server_goes_away() -> None:
    calls = RunningCalls()
    async with (
        served({WATCH: streaming(for_ever)}, calls, TranslateErrors(calls), SendInTime()) as caller,
        failing(StatusCode.UNAVAILABLE) as failure,
    ):
        reading = caller.open(WATCH)
        assert await reading.read() == b"one"
        assert calls.running == 1
        calls.end_streams()
        calls.end_streams()
        await reading.read()
    assert failure.reason == "SHUTTING_DOWN"
    assert failure.pushback_ms == "1000"
    await calls.finished()


@pytest.mark.parametrize("turns", range(4))
async def test_a_stream_that_is_just_sending_its_first_message_is_told_as_well(turns: int) -> None:
    calls = RunningCalls()
    async with (
        served({WATCH: streaming(for_ever)}, calls, TranslateErrors(calls), SendInTime()) as caller,
        failing(StatusCode.UNAVAILABLE) as failure,
        asyncio.timeout(PATIENCE_SECONDS),
    ):
        reading = caller.open(WATCH)
        while not calls.running:  # noqa: ASYNC110  nobody tells that a call was begun
            await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        calls.end_streams()
        while await reading.read() == b"one":
            pass
    assert failure.reason == "SHUTTING_DOWN"
    await calls.finished()


async def test_streams_that_end_by_themselves_and_short_calls_are_left_to_it() -> None:
    calls, going_on = RunningCalls(ending_themselves={SUBSCRIBE}), asyncio.Event()

    async def follow(_request: bytes, _call: Call) -> AsyncIterator[bytes]:
        yield b"one"
        await going_on.wait()
        yield b"two"

    async def wait(_request: bytes, _call: Call) -> bytes:
        await going_on.wait()
        return b"done"

    methods = {SUBSCRIBE: streaming(follow), ADD_STOCK: unary(wait)}
    async with served(methods, calls, TranslateErrors(calls), SendInTime()) as caller:
        reading, waiting = caller.open(SUBSCRIBE), caller.begin(ADD_STOCK)
        assert await reading.read() == b"one"
        while calls.running < 2:  # noqa: ASYNC110  nobody tells that a call was begun
            await asyncio.sleep(0.01)
        calls.end_streams()
        going_on.set()
        assert await reading.read() == b"two"
        assert await waiting == b"done"


async def test_an_aborted_call_is_waited_for_until_it_has_cleaned_up() -> None:
    calls, begun, cleaned_up = RunningCalls(), asyncio.Event(), asyncio.Event()

    async def clean_up_slowly(_request: bytes, _call: Call) -> bytes:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.1)
            cleaned_up.set()
        raise AssertionError

    async with served({ADD_STOCK: unary(clean_up_slowly)}, calls) as caller:
        waiting = caller.begin(ADD_STOCK)
        await begun.wait()
        waiting.cancel()
        await calls.finished()
        assert cleaned_up.is_set()
