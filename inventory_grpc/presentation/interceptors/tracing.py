"""Traces calls: a known caller's `traceparent` decides which, and without one a ratio does."""

import asyncio
import logging
import re
from collections.abc import Callable, Iterable
from random import random
from typing import Final, NamedTuple, Protocol, cast

from grpc import StatusCode

from inventory_grpc.application.failures import bug
from inventory_grpc.application.tracing import CURRENT, Trace
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.grpc_types import Behaviour
from inventory_grpc.presentation.interceptors.around import Around

_log = logging.getLogger(__name__)

PARENT: Final = "traceparent"

_PARENT: Final = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_SAMPLED: Final = 1

_POSITIONS: Final = ("position", "as_of_position", "head_position")
"""The fields of responses that have a position of the log."""


class Parent(NamedTuple):
    """The span of the caller, as W3C Trace Context has it.

    Its `tracestate` is for calls that go on from here, and there are none.
    """

    trace_id: int
    span_id: int
    is_sampled: bool

    @classmethod
    def find(cls, metadata: Iterable[tuple[str, str | bytes]]) -> "Parent | None":
        """Return the caller's span; None if there is none, or it is malformed."""
        headers = [value for key, value in metadata if key == PARENT]
        header = headers[0] if len(headers) == 1 else None
        found = _PARENT.fullmatch(header) if isinstance(header, str) else None
        if found is None or (found[1] == "00" and found[5]):
            return None
        return cls(int(found[2], 16), int(found[3], 16), bool(int(found[4], 16) & _SAMPLED))


class CallTrace(Trace, Protocol):
    """The trace of one call."""

    @property
    def trace_id(self) -> str: ...

    @property
    def span_id(self) -> str: ...

    def end(self, code: StatusCode, actor: object, position: int) -> None:
        """End the span of the call; *position* is 0 if the response has none."""


class Tracer(Protocol):
    """Traces calls, with any library."""

    def begin(self, method: str, parent: Parent | None) -> CallTrace: ...


class Tracing(NamedTuple):
    """The tracer of a server, and its share of the calls."""

    tracer: Tracer
    ratio: float
    """The share of the calls that are traced where callers do not decide."""


class TraceCalls(Around):
    """Traces a call if its caller is *trusted* and says so, and a ratio of the others.

    It is outside authentication, so that a refused call can be traced too. A stranger could make
    the server trace each of these, so the `sampled` of a stranger counts as no `traceparent`.
    """

    def __init__(
        self,
        tracing: Tracing,
        is_trusted: Callable[[Call], bool],
        chance: Callable[[], float] = random,
    ) -> None:
        super().__init__()
        self._tracer, self._ratio = tracing
        self._is_trusted = is_trusted
        self._chance = chance

    def around(self, method: str, inner: Behaviour, *, streams: bool) -> Behaviour:  # noqa: ARG002
        async def traced(request: object, call: Call) -> object:
            trace = self._begin(method, call)
            if trace is None:
                return await inner(request, call)
            call.note(trace_id=trace.trace_id, span_id=trace.span_id)
            token = CURRENT.set(trace)
            code, response = StatusCode.UNKNOWN, None
            try:
                response = await inner(request, call)
                code = StatusCode.OK
            except asyncio.CancelledError:
                code = StatusCode.CANCELLED
                raise
            finally:
                CURRENT.reset(token)
                _end(trace, call, code, response)
            return response

        return traced

    def _begin(self, method: str, call: Call) -> CallTrace | None:
        metadata = call.context.invocation_metadata() or ()
        parent = None
        for key, _ in metadata:
            if key == PARENT:
                parent = Parent.find(metadata)
                break
        if parent and parent.is_sampled and not self._is_trusted(call):
            parent = None
        is_sampled = parent.is_sampled if parent else self._chance() < self._ratio
        return self._tracer.begin(method, parent) if is_sampled else None


def _end(trace: CallTrace, call: Call, code: StatusCode, response: object) -> None:
    told = cast("StatusCode | None", call.context.code())
    try:
        trace.end(told or code, call.notes.get("actor", ""), call.position or _position(response))
    except Exception as error:  # noqa: BLE001  it must not become the answer to a committed command
        bug(_log, error, "the trace of a call")


def _position(response: object) -> int:
    for name in _POSITIONS:
        if position := getattr(response, name, 0):
            return int(position)
    return 0
