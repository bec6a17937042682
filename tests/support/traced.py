"""Traces as callers begin them, and the lines of calls in a server's log."""

import secrets
from typing import Any, NamedTuple

from tests.support.server_process import ServerProcess
from tests.support.waiting import eventually


class Traced(NamedTuple):
    """The span of a caller."""

    trace_id: str
    span_id: str
    flags: str = "01"

    @classmethod
    def begin(cls) -> "Traced":
        return cls(secrets.token_hex(16), secrets.token_hex(8))

    @property
    def header(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("traceparent", self.header),)


async def lines_of_calls(
    server: ServerProcess, number: int, trace_id: str = ""
) -> list[dict[str, Any]]:
    """Return the lines of calls in the server's log, once there are so many of that trace."""

    def found() -> list[dict[str, Any]]:
        lines = [line for line in server.log() if line["event"] == "call"]
        return [line for line in lines if not trace_id or line.get("trace_id") == trace_id]

    await eventually(lambda: len(found()) >= number)
    return found()
