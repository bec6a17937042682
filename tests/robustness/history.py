"""Requests and answers with their times, to be judged against the log."""

import math
import time
from dataclasses import dataclass, field
from typing import Any, Final

import grpc.aio
from grpc import StatusCode

from tests.support.caller import SECONDS, Caller, Refused, refusal
from tests.support.journal import Journal

JUDGED: Final = frozenset(
    {
        StatusCode.FAILED_PRECONDITION,
        StatusCode.NOT_FOUND,
        StatusCode.ALREADY_EXISTS,
        StatusCode.ABORTED,
        StatusCode.OUT_OF_RANGE,
    }
)
"""The answer is no, and nothing was written."""

TURNED_AWAY: Final = frozenset({"OVERLOADED", "WRITES_REFUSED", "STORAGE_FULL", "SHUTTING_DOWN"})
"""Reasons of what was not looked at, so that this sending of it wrote nothing."""


@dataclass(eq=False, slots=True)
class Call:
    """One sending of a request, and what came of it, on the clock of the callers."""

    rpc: str
    request: Any
    called: float
    returned: float = math.inf
    """Never, where the outcome is unknown: it may take effect at any time later."""
    answer: Any = None
    refused: Refused | None = None

    @property
    def request_id(self) -> str:
        return str(getattr(self.request, "request_id", ""))

    @property
    def is_judged(self) -> bool:
        return self.refused is not None and self.refused.code in JUDGED

    @property
    def is_unknown(self) -> bool:
        return self.answer is None and not self.is_judged and not self.is_turned_away

    @property
    def is_turned_away(self) -> bool:
        return self.refused is not None and self.refused.reason in TURNED_AWAY

    @property
    def is_cut_off(self) -> bool:
        """Whether the server, or the way to it, was gone."""
        return self.is_unknown and self.refused is not None and not self.refused.reason


@dataclass(eq=False)
class History:
    """Calls of any number of callers of this process, in the order of their beginning."""

    journal: Journal | None = None
    calls: list[Call] = field(default_factory=list)
    promised: dict[str, Call] = field(default_factory=dict)
    """The first answer to each request."""

    async def send(
        self,
        caller: Caller,
        rpc: str,
        request: Any,  # noqa: ANN401  of whichever rpc
        seconds: float = SECONDS,
    ) -> Call:
        """Send *request*, and note it; a promise is in the journal before this returns."""
        stub = caller.commands if hasattr(caller.commands, rpc) else caller.queries
        call = Call(rpc, request, time.monotonic())
        self.calls.append(call)
        try:
            answer = await getattr(stub, rpc)(request, timeout=seconds)
        except grpc.aio.AioRpcError as error:
            call.refused = refusal(error)
            if not call.is_unknown:
                call.returned = time.monotonic()
            return call
        call.returned = time.monotonic()
        call.answer = answer
        if call.request_id:
            self.promised.setdefault(call.request_id, call)
            if self.journal:
                self.journal.note(request.request_id, answer.position)
        return call

    def unsettled(self, since: int) -> list[Call]:
        """Return the commands among the calls from the number *since* on of unknown outcome."""
        return [call for call in self.calls[since:] if call.is_unknown and call.request_id]
