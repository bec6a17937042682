"""The trace of a call, as the ledger sees it. The ledger knows no tracing library."""

import time
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Final, NamedTuple, Protocol


class Trace(Protocol):
    """One call that is traced."""

    def add_step(
        self,
        name: str,
        begun: int,
        ended: int,
        *,
        failed: bool = False,
        callers: Sequence["Trace"] = (),
    ) -> None:
        """Add a step of the call, with its times in nanoseconds since 1970.

        *callers* are the calls that share the step, with this one.
        """


CURRENT: Final[ContextVar[Trace | None]] = ContextVar("trace", default=None)
"""The trace of the call that the running task serves; None if it is not traced."""


class Wait(NamedTuple):
    """A traced call that waits for the writer."""

    trace: Trace
    since: int


def begin_wait() -> Wait | None:
    """Return the wait that begins now; None if the current call is not traced."""
    trace = CURRENT.get()
    return None if trace is None else Wait(trace, time.time_ns())
