"""Counts of calls, by method and status code, and how long unary ones take.

`LogCalls` keeps them. An interceptor of its own would take the time of each call once more, and
was measured to cost 1 µs a call; this costs 0.3 µs, and a log line and a count always agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from grpc import StatusCode

from inventory_grpc.application.tally import Tally

FAILURES: Final = (
    StatusCode.UNKNOWN,
    StatusCode.DEADLINE_EXCEEDED,
    StatusCode.INTERNAL,
    StatusCode.UNAVAILABLE,
    StatusCode.DATA_LOSS,
)
"""The codes that count against the service. They are shown before the first such call, because
an increase from nothing cannot be seen."""


@dataclass(slots=True)
class MethodCalls:
    """The calls of one method since the start."""

    requests_stream: bool
    responses_stream: bool
    started: int = 0
    succeeded: int = 0
    failed: dict[StatusCode, int] = field(default_factory=lambda: dict.fromkeys(FAILURES, 0))
    seconds: Tally = field(default_factory=Tally)
    """The durations of unary calls; a stream lasts as long as its caller wants."""
    is_unary: bool = field(init=False)

    def __post_init__(self) -> None:
        self.is_unary = not (self.requests_stream or self.responses_stream)

    def end(self, code: StatusCode, seconds: float) -> None:
        """Count a call that has ended."""
        if code is StatusCode.OK:
            self.succeeded += 1
        else:
            self.failed[code] = self.failed.get(code, 0) + 1
        if self.is_unary:
            self.seconds.add(seconds)


class CallCounts:
    """The calls of all known methods; names that callers make up are not counted."""

    def __init__(self, methods: Mapping[str, tuple[bool, bool]]) -> None:
        """Count *methods*, each with whether its requests and its responses are a stream."""
        self.methods = {name: MethodCalls(*streams) for name, streams in methods.items()}
