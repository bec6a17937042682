"""A known caller's `traceparent` decides whether its call is traced; without one, chance does."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import random
from typing import Final

import pytest
from grpc import StatusCode

from inventory_grpc.application.tracing import CURRENT, Trace
from inventory_grpc.domain.refusals import InvalidValue, Violation
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.draining import RunningCalls
from inventory_grpc.presentation.grpc_types import Behaviour
from inventory_grpc.presentation.interceptors.around import Nested
from inventory_grpc.presentation.interceptors.authentication import Authenticate
from inventory_grpc.presentation.interceptors.counting import CallCounts
from inventory_grpc.presentation.interceptors.errors import TranslateErrors
from inventory_grpc.presentation.interceptors.logging import LogCalls
from inventory_grpc.presentation.interceptors.tracing import Parent, TraceCalls, Tracing
from tests.support.log_lines import captured_lines
from tests.unit.presentation.tiny import ADD_STOCK, Nobody, echo, served, unary

TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
SPAN: Final = "b7ad6b7169203331"
SAMPLED: Final = f"00-{TRACE}-{SPAN}-01"
NOT_SAMPLED: Final = f"00-{TRACE}-{SPAN}-00"
CALLS: Final = CallCounts({ADD_STOCK: (False, False)})
PARENT: Final = Parent(int(TRACE, 16), int(SPAN, 16), is_sampled=True)


@dataclass
class Recorded:
    """The trace of a call, which keeps what it is told."""

    method: str
    parent: Parent | None
    trace_id: str = TRACE
    span_id: str = SPAN
    ended: list[tuple[StatusCode, object, int]] = field(default_factory=list)

    def add_step(
        self,
        name: str,
        begun: int,
        ended: int,
        *,
        failed: bool = False,
        callers: Sequence[Trace] = (),
    ) -> None: ...

    def end(self, code: StatusCode, actor: object, position: int) -> None:
        self.ended.append((code, actor, position))


class Traces(list[Recorded]):
    """A tracer that keeps its traces."""

    def begin(self, method: str, parent: Parent | None) -> Recorded:
        self.append(Recorded(method, parent))
        return self[-1]


async def ask(behaviour: Behaviour, traced: TraceCalls, **metadata: str) -> dict[str, object]:
    """Make one call; return its log line."""
    with captured_lines() as lines:
        around = Nested(
            RunningCalls(),
            traced,
            LogCalls(CALLS, 0.0),
            TranslateErrors(Nobody()),
            Authenticate(None, {}),
        )
        async with served({ADD_STOCK: unary(behaviour)}, around) as caller:
            call = caller.begin(ADD_STOCK, metadata=tuple(metadata.items()))
            await asyncio.wait([asyncio.ensure_future(call.code())])
    [line] = lines
    return dict(line)


def tracing(
    traces: Traces, ratio: float, *, trusted: bool = True, chance: Callable[[], float] = random
) -> TraceCalls:
    return TraceCalls(Tracing(traces, ratio), lambda _: trusted, chance)


def always(traces: Traces) -> TraceCalls:
    return tracing(traces, 1.0)


async def test_a_sampled_caller_is_the_parent_whatever_the_ratio() -> None:
    traces = Traces()
    line = await ask(echo, tracing(traces, 0.0), traceparent=SAMPLED)
    [trace] = traces
    assert (trace.method, trace.parent) == (ADD_STOCK, PARENT)
    assert trace.ended == [(StatusCode.OK, "", 0)]
    assert (line["trace_id"], line["span_id"]) == (TRACE, SPAN)


async def test_an_error_of_the_tracer_does_not_become_the_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no room")

    monkeypatch.setattr(Recorded, "end", fail)
    async with served({ADD_STOCK: unary(echo)}, Nested(RunningCalls(), always(Traces()))) as caller:
        call = caller.begin(ADD_STOCK)
        assert await call.code() is StatusCode.OK
    assert "internal error" in caplog.text


@pytest.mark.parametrize(("ratio", "parents"), [(0.0, []), (1.0, [None])])
async def test_the_sampled_parent_of_a_stranger_counts_as_none(
    ratio: float, parents: list[None]
) -> None:
    traces = Traces()
    line = await ask(echo, tracing(traces, ratio, trusted=False), traceparent=SAMPLED)
    assert [trace.parent for trace in traces] == parents
    assert ("trace_id" in line) is bool(parents)


async def test_a_stranger_that_is_not_sampled_is_not_traced() -> None:
    traces = Traces()
    await ask(echo, tracing(traces, 1.0, trusted=False), traceparent=NOT_SAMPLED)
    assert traces == []


async def test_a_caller_that_is_not_sampled_is_not_traced_whatever_the_ratio() -> None:
    traces = Traces()
    line = await ask(echo, always(traces), traceparent=NOT_SAMPLED)
    assert traces == []
    assert "trace_id" not in line


@pytest.mark.parametrize(("chance", "traced"), [(0.0, 1), (0.009, 1), (0.01, 0), (0.99, 0)])
async def test_without_a_parent_a_share_of_the_calls_is_traced(chance: float, traced: int) -> None:
    traces = Traces()
    await ask(echo, tracing(traces, 0.01, chance=lambda: chance))
    assert [trace.parent for trace in traces] == [None] * traced


@pytest.mark.parametrize(
    "header",
    [
        "",
        "none",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"{SAMPLED}\n",
    ],
)
def test_a_malformed_parent_is_none(header: str) -> None:
    assert Parent.find([("traceparent", header)]) is None


def test_a_parent_is_read_as_the_standard_has_it() -> None:
    assert Parent.find([("user-agent", "curl"), ("traceparent", SAMPLED)]) == PARENT
    later = f"cc-{TRACE}-{SPAN}-03-what-a-later-version-adds"
    assert Parent.find([("traceparent", later)]) == PARENT
    assert Parent.find([("traceparent", NOT_SAMPLED)]) == PARENT._replace(is_sampled=False)
    assert Parent.find([("traceparent", SAMPLED), ("traceparent", SAMPLED)]) is None
    assert Parent.find([("traceparent", SAMPLED.encode())]) is None


async def test_a_refusal_ends_the_span_with_its_code() -> None:
    async def refusing(_request: bytes, _call: Call) -> bytes:
        raise InvalidValue([Violation("quantity", "must be above 0")])

    traces = Traces()
    await ask(refusing, always(traces))
    assert traces[0].ended == [(StatusCode.INVALID_ARGUMENT, "", 0)]


async def test_a_bug_ends_the_span_with_its_code() -> None:
    async def faulty(_request: bytes, _call: Call) -> bytes:
        raise ZeroDivisionError

    traces = Traces()
    await ask(faulty, always(traces))
    assert traces[0].ended == [(StatusCode.INTERNAL, "", 0)]


async def test_the_handler_runs_in_the_trace_of_its_call() -> None:
    seen: list[Trace | None] = []

    async def looking(request: bytes, call: Call) -> bytes:
        call.note(actor="ana")
        seen.append(CURRENT.get())
        return request

    traces = Traces()
    await ask(looking, always(traces))
    assert seen == [*traces]
    assert traces[0].ended == [(StatusCode.OK, "ana", 0)]
    await ask(looking, tracing(traces, 0.0))
    assert seen[1:] == [None]
