"""A call is not begun after its deadline; a call without a deadline gets one."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from grpc import StatusCode

from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.interceptors.deadline import KeepDeadlines
from inventory_grpc.presentation.interceptors.errors import TranslateErrors
from inventory_grpc.presentation.stalled_readers import SendInTime
from tests.unit.presentation.asking import called
from tests.unit.presentation.tiny import (
    ADD_STOCK,
    SUBSCRIBE,
    Nobody,
    echo,
    failing,
    served,
    streaming,
    unary,
)


async def hang(_request: bytes, _call: Call) -> bytes:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_call_whose_deadline_has_passed_is_not_begun() -> None:
    async def begin(_request: bytes, _context: object) -> bytes:
        raise AssertionError

    late = KeepDeadlines().around(ADD_STOCK, begin, streams=False)
    with pytest.raises(TimeoutError):
        await late(b"", called(0.0))


async def test_a_call_without_a_deadline_gets_one() -> None:
    async with (
        served({ADD_STOCK: unary(hang)}, TranslateErrors(Nobody()), KeepDeadlines(0.05)) as caller,
        failing(StatusCode.DEADLINE_EXCEEDED),
    ):
        await caller.ask(ADD_STOCK)


async def test_a_deadline_of_the_caller_may_be_later() -> None:
    async def take_time(request: bytes, _call: Call) -> bytes:
        await asyncio.sleep(0.1)
        return request

    async with served({ADD_STOCK: unary(take_time)}, KeepDeadlines(0.05)) as caller:
        assert await caller.ask(ADD_STOCK, b"hello", seconds=5.0) == b"hello"


async def test_a_deadline_that_passes_ends_the_call() -> None:
    async with (
        served({ADD_STOCK: unary(hang)}, KeepDeadlines()) as caller,
        failing(StatusCode.DEADLINE_EXCEEDED),
    ):
        await caller.ask(ADD_STOCK, seconds=0.05)


async def test_what_is_quick_is_not_disturbed() -> None:
    async with served({ADD_STOCK: unary(echo)}, KeepDeadlines()) as caller:
        assert await caller.ask(ADD_STOCK, b"hello") == b"hello"


async def test_a_stream_may_go_on_without_one() -> None:
    async def slow(_request: bytes, _call: Call) -> AsyncIterator[bytes]:
        await asyncio.sleep(0.1)
        yield b"at last"

    async with served({SUBSCRIBE: streaming(slow)}, KeepDeadlines(0.05), SendInTime()) as caller:
        assert await caller.read_all(SUBSCRIBE) == [b"at last"]
