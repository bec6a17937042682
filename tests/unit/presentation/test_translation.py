"""Every exception of a method becomes a status that discloses no internals."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Never

import pytest
from grpc import StatusCode

from inventory_grpc.application.failures import Overloaded, PositionAhead
from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.grpc_types import Handler
from inventory_grpc.presentation.interceptors.decoding import Decode
from inventory_grpc.presentation.interceptors.errors import TranslateErrors
from inventory_grpc.presentation.stalled_readers import SendInTime
from inventory_grpc_protos.v1 import commands_pb2 as pb
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


def raising(error: BaseException) -> dict[str, Handler]:
    async def raise_it(_request: bytes, _call: Call) -> Never:
        raise error

    return {ADD_STOCK: unary(raise_it)}


async def test_an_answer_goes_through() -> None:
    async with served({ADD_STOCK: unary(echo)}, TranslateErrors(Nobody())) as caller:
        assert await caller.ask(ADD_STOCK, b"hello") == b"hello"


async def test_a_refusal_is_told_with_its_reason_and_facts() -> None:
    async with (
        served(raising(PositionAhead(9, 5)), TranslateErrors(Nobody())) as caller,
        failing(StatusCode.OUT_OF_RANGE) as failure,
    ):
        await caller.ask(ADD_STOCK)
    assert failure.reason == "POSITION_AHEAD"
    assert dict(failure.info.metadata) == {"position": "9", "head_position": "5"}
    assert failure.pushback_ms is None


async def test_who_may_try_again_is_told_when_also_in_the_words_of_grpc() -> None:
    async with (
        served(raising(Overloaded(0.25)), TranslateErrors(Nobody())) as caller,
        failing(StatusCode.RESOURCE_EXHAUSTED) as failure,
    ):
        await caller.ask(ADD_STOCK)
    assert failure.pushback_ms == "250"


async def test_a_bug_is_an_internal_error_without_the_text_of_the_exception(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        served(raising(ValueError("password=hunter2")), TranslateErrors(Nobody())) as caller,
        failing(StatusCode.INTERNAL) as failure,
    ):
        await caller.ask(ADD_STOCK)
    assert failure.reason == "INTERNAL"
    assert "hunter2" not in f"{failure.error} {failure.error.trailing_metadata()}"
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert failure.info.metadata["error_id"] in record.getMessage()
    assert record.exc_info is not None


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        (Fault.DAMAGED, StatusCode.DATA_LOSS, "LOG_DAMAGED"),
        (Fault.BROKEN, StatusCode.UNAVAILABLE, "READS_REFUSED"),
        (Fault.BUSY, StatusCode.UNAVAILABLE, "READS_REFUSED"),
        (Fault.FULL, StatusCode.UNAVAILABLE, "READS_REFUSED"),
    ],
)
async def test_a_read_that_storage_failed_is_told_what_it_may_do(
    fault: Fault, code: StatusCode, reason: str
) -> None:
    async with (
        served(raising(StorageError(fault)), TranslateErrors(Nobody())) as caller,
        failing(code) as failure,
    ):
        await caller.ask(ADD_STOCK)
    assert failure.reason == reason


async def test_what_took_too_long_has_exceeded_its_deadline() -> None:
    async with (
        served(raising(TimeoutError("secret")), TranslateErrors(Nobody())) as caller,
        failing(StatusCode.DEADLINE_EXCEEDED) as failure,
    ):
        await caller.ask(ADD_STOCK)
    assert "secret" not in str(failure.error)


@pytest.mark.parametrize("message", [b"\xff\xff\xff", b"\x0a\x02\xc3\x28", b"\x0a\x7fshort"])
async def test_bytes_that_are_no_message_are_an_invalid_value(message: bytes) -> None:
    handler = unary(echo, pb.AddStockRequest.FromString)
    async with (
        served({ADD_STOCK: handler}, TranslateErrors(Nobody()), Decode()) as caller,
        failing(StatusCode.INVALID_ARGUMENT) as failure,
    ):
        await caller.ask(ADD_STOCK, message)
    assert failure.reason == "INVALID_VALUE"
    assert "DecodeError" not in str(failure.error.details())


async def test_a_call_that_cancels_itself_is_answered_all_the_same() -> None:
    async with (
        served(raising(asyncio.CancelledError()), TranslateErrors(Nobody())) as caller,
        failing(StatusCode.INTERNAL) as failure,
    ):
        await caller.ask(ADD_STOCK)
    assert failure.reason == "INTERNAL"


async def test_a_call_whose_caller_has_left_is_cancelled() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(_request: bytes, _call: Call) -> bytes:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    async with served({ADD_STOCK: unary(wait)}, TranslateErrors(Nobody())) as caller:
        waiting = caller.begin(ADD_STOCK)
        await begun.wait()
        waiting.cancel()
        async with asyncio.timeout(5.0):
            await cancelled.wait()


async def test_an_abort_of_the_method_is_left_alone() -> None:
    async def abort(_request: bytes, call: Call) -> bytes:
        await call.context.abort(StatusCode.NOT_FOUND, "not here")

    async with (
        served({ADD_STOCK: unary(abort)}, TranslateErrors(Nobody())) as caller,
        failing(StatusCode.NOT_FOUND) as failure,
    ):
        await caller.ask(ADD_STOCK)
    assert failure.error.details() == "not here"


async def test_what_a_stream_raises_is_told_after_what_it_has_sent() -> None:
    async def one_then_refuse(_request: bytes, _call: Call) -> AsyncIterator[bytes]:
        yield b"one"
        raise PositionAhead(9, 5)

    received = []
    async with (
        served(
            {SUBSCRIBE: streaming(one_then_refuse)}, TranslateErrors(Nobody()), SendInTime()
        ) as caller,
        failing(StatusCode.OUT_OF_RANGE) as failure,
    ):
        async for response in caller.open(SUBSCRIBE):
            received.append(response)  # noqa: PERF401  it does not come to its end
    assert received == [b"one"]
    assert failure.reason == "POSITION_AHEAD"


async def test_a_stream_that_ends_well_is_ok() -> None:
    async def two(_request: bytes, _call: Call) -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async with served(
        {SUBSCRIBE: streaming(two)}, TranslateErrors(Nobody()), SendInTime()
    ) as caller:
        assert await caller.read_all(SUBSCRIBE) == [b"one", b"two"]
