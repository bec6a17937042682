"""The call log: one line with the outcome of each call, without its content."""

import asyncio
import re
from contextlib import suppress
from typing import Any

import grpc.aio
import pytest
from grpc import StatusCode

from inventory_grpc.application.failures import Internal, LogDamaged, PositionAhead
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.presentation import services
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.draining import RunningCalls
from inventory_grpc.presentation.grpc_types import Behaviour
from inventory_grpc.presentation.interceptors.around import Nested
from inventory_grpc.presentation.interceptors.counting import CallCounts
from inventory_grpc.presentation.interceptors.decoding import Decode
from inventory_grpc.presentation.interceptors.errors import TranslateErrors
from inventory_grpc.presentation.interceptors.logging import MAX_WAITING, LogCalls
from inventory_grpc_protos.v1 import commands_pb2 as pb
from tests.support.log_lines import captured_lines
from tests.support.waiting import eventually
from tests.unit.presentation.tiny import ADD_STOCK, Nobody, failing, served, unary

COUNTS = CallCounts(services.STREAMS)

PRIVATE = "4111-1111"


async def line_of(call: Behaviour, request: pb.AddStockRequest | None = None) -> dict[str, Any]:
    message = (request or pb.AddStockRequest(reason=PRIVATE)).SerializeToString()
    handler = unary(call, pb.AddStockRequest.FromString)
    with captured_lines() as logs:
        around = Nested(RunningCalls(), LogCalls(COUNTS, 0.0), TranslateErrors(Nobody()), Decode())
        async with served({ADD_STOCK: handler}, around) as caller:
            with suppress(grpc.aio.AioRpcError):
                await caller.ask(ADD_STOCK, message)
    [line] = logs
    assert PRIVATE not in str(line)
    return dict(line)


async def fine(_request: pb.AddStockRequest, _call: Call) -> bytes:
    return b""


async def test_a_call_is_one_line() -> None:
    line = await line_of(fine, pb.AddStockRequest(request_id="q1", reason=PRIVATE))
    assert re.fullmatch(r"ipv[46]:\S+:\d+", line.pop("peer"))
    assert 0 <= line.pop("duration_ms") < 1_000
    assert line == {
        "event": "call",
        "log_level": "info",
        "method": ADD_STOCK,
        "code": "OK",
        "request_id": "q1",
    }


@pytest.mark.parametrize(
    ("refusal", "level"),
    [(PositionAhead(9, 5), "info"), (LogDamaged(), "error"), (Internal("9d2e41c7"), "error")],
)
async def test_a_refusal_is_no_error_but_trouble_of_ours_is(refusal: Refusal, level: str) -> None:
    async def refuse(_request: pb.AddStockRequest, _call: Call) -> bytes:
        raise refusal

    line = await line_of(refuse)
    assert line["log_level"] == level
    assert line["reason"].title().replace("_", "") == type(refusal).__name__


async def test_a_request_id_cannot_forge_a_line() -> None:
    line = await line_of(fine, pb.AddStockRequest(request_id="q\n\x1b[31m" * 1_000))
    assert line["request_id"].isprintable()
    assert len(line["request_id"]) == 128


async def test_a_call_whose_caller_left_is_cancelled() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait(_request: bytes, _call: Call) -> bytes:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    with captured_lines() as logs:
        async with served({ADD_STOCK: unary(wait)}, LogCalls(COUNTS, 0.0)) as caller:
            waiting = caller.begin(ADD_STOCK)
            await begun.wait()
            waiting.cancel()
            await ended.wait()
    [line] = logs
    assert (line["code"], line["log_level"]) == ("CANCELLED", "info")


async def test_what_the_method_sets_as_its_status_is_what_is_written() -> None:
    async def set_code(_request: bytes, call: Call) -> bytes:
        call.context.set_code(StatusCode.NOT_FOUND)
        return b""

    assert (await line_of(set_code))["code"] == "NOT_FOUND"


async def test_a_log_that_cannot_be_written_fails_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def info(self, *_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("inventory_grpc.presentation.interceptors.logging._log", Full())
    log = LogCalls(COUNTS, 60.0)
    async with served({ADD_STOCK: unary(fine)}, log) as caller:
        for _ in range(MAX_WAITING + 1):
            assert await caller.ask(ADD_STOCK) == b""
        log.write_waiting()


async def test_lines_wait_for_each_other_but_not_for_long() -> None:
    log = LogCalls(COUNTS, 0.5)
    with captured_lines() as logs:
        async with served({ADD_STOCK: unary(fine)}, log) as caller:
            for _ in range(3):
                await caller.ask(ADD_STOCK)
            assert logs == []
            await eventually(lambda: len(logs) == 3)


async def test_no_more_than_so_many_lines_wait() -> None:
    with captured_lines() as logs:
        async with served({ADD_STOCK: unary(fine)}, LogCalls(COUNTS, 60.0)) as caller:
            for _ in range(MAX_WAITING):
                assert logs == []
                await caller.ask(ADD_STOCK)
            assert len(logs) == MAX_WAITING


async def test_a_line_of_trouble_does_not_wait_nor_do_those_before_it() -> None:
    async def fail(request: bytes, _call: Call) -> bytes:
        if request:
            raise LogDamaged
        return b""

    with captured_lines() as logs:
        async with served(
            {ADD_STOCK: unary(fail)}, LogCalls(COUNTS, 60.0), TranslateErrors(Nobody())
        ) as caller:
            await caller.ask(ADD_STOCK)
            async with failing(StatusCode.DATA_LOSS):
                await caller.ask(ADD_STOCK, b"x")
            # the caller may be told before the line is written
            await eventually(lambda: [line["code"] for line in logs] == ["OK", "DATA_LOSS"])


async def test_an_abort_is_written_with_its_code() -> None:
    async def abort(_request: bytes, call: Call) -> bytes:
        await call.context.abort(StatusCode.NOT_FOUND)

    with captured_lines() as logs:
        async with (
            served({ADD_STOCK: unary(abort)}, LogCalls(COUNTS, 0.0)) as caller,
            failing(StatusCode.NOT_FOUND),
        ):
            await caller.ask(ADD_STOCK)
    assert logs[0]["code"] == "NOT_FOUND"
