"""The circuit breaker: refuses commands while storage does not work, and probes it.

Closed: all is well. Open: storage has failed; commands are refused at once, and after a
while storage is tried again, by us, not with a customer's order. Half open: that is
happening. (Nygard, "Release It!"; the window is that of resilience4j, counted in calls.)
"""

import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import Enum
from typing import Final

from inventory_grpc.application.failures import (
    LogDamaged,
    ReadsRefused,
    StorageFull,
    WritesRefused,
    bug,
)
from inventory_grpc.application.ports import Fault, MonotonicClock, StorageError
from inventory_grpc.domain.refusals import Refusal

_log = logging.getLogger(__name__)

WINDOW: Final = 20
"""Transactions looked back on."""

MIN_CALLS: Final = 10
"""Fewer than that tell nothing about a rate."""

MAX_FAILURE_RATE: Final = 0.5

SLOW_SECONDS: Final = 10.0
"""A transaction that takes longer has failed its callers, even if it was committed."""

FIRST_WAIT_SECONDS: Final = 0.5
MAX_WAIT_SECONDS: Final = 15.0


class BreakerState(Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half open"


class CircuitBreaker:
    """Opens on failures of storage, never on refusals, and closes when a probe of ours succeeds.

    A commit that failed, a full disk and damage open it at once: nothing may be written
    before storage has been reopened. A lock that others hold counts, and opens it only
    when at least half of the last transactions found it so.
    """

    def __init__(self, clock: MonotonicClock, jitter: Callable[[], float]) -> None:
        self._clock = clock
        self._jitter = jitter
        self._outcomes: deque[bool] = deque(maxlen=WINDOW)
        self._wait_seconds = FIRST_WAIT_SECONDS
        self._probe_at = 0
        self._handlers: list[Callable[[BreakerState], None]] = []
        self.state = BreakerState.CLOSED
        self.cause: StorageError | None = None
        """The last trouble with storage, while the breaker is not closed."""
        self.open_since: int | None = None
        """When it last opened after being closed, on the injected clock."""

    @property
    def fault(self) -> Fault | None:
        """The kind of the last trouble."""
        return self.cause.fault if self.cause else None

    def on_change(self, handler: Callable[[BreakerState], None]) -> None:
        """Call *handler* with every new state."""
        self._handlers.append(handler)

    def check(self) -> None:
        """Return if a command may be tried.

        Raises:
            WritesRefused, StorageFull, LogDamaged: it may not; the first two say for
                how long.
        """
        if self.state is not BreakerState.CLOSED:
            raise self.refusal()

    def refusal(self) -> Refusal:
        """Return what to tell callers while it is not closed."""
        return refusal_of(self.cause or StorageError(Fault.BROKEN), max(self.retry_seconds(), 0.05))

    def retry_seconds(self) -> float:
        """Return how long it is until the next probe."""
        return max(0.0, (self._probe_at - self._clock()) / 1e6)

    def is_hopeless(self, seconds: float) -> bool:
        """Tell whether storage has been broken for so long; other trouble is worth waiting out."""
        return (
            self.fault is Fault.BROKEN
            and self.open_since is not None
            and self._clock() - self.open_since > seconds * 1e6
        )

    def succeeded(self, seconds: float) -> None:
        """Note a transaction that was committed."""
        if seconds > SLOW_SECONDS:
            self._note(StorageError(Fault.SLOW, why=f"a transaction took {seconds:.1f} s"))
        else:
            self._note(None)

    def failed(self, error: StorageError) -> None:
        """Note a transaction that storage did not carry out."""
        if error.committing or error.fault is not Fault.BUSY:
            self._open(error)
        else:
            self._note(error)

    def _note(self, failure: StorageError | None) -> None:
        self._outcomes.append(failure is not None)
        calls, failures = len(self._outcomes), sum(self._outcomes)
        if failure and calls >= MIN_CALLS and failures >= MAX_FAILURE_RATE * calls:
            self._open(failure)

    def _open(self, cause: StorageError) -> None:
        self.cause = cause
        if self.open_since is None:
            self.open_since = self._clock()
            self._wait_seconds = FIRST_WAIT_SECONDS
        wait = self._wait_seconds * (0.5 + self._jitter())
        self._probe_at = self._clock() + round(wait * 1e6)
        self._become(BreakerState.OPEN)

    @asynccontextmanager
    async def probing(self) -> AsyncIterator[None]:
        """Try storage; close if that succeeds, else stay open for longer.

        Raises:
            StorageError: what the probe raised.
        """
        self._become(BreakerState.HALF_OPEN)
        closes = False
        try:
            yield
            closes = True
        except StorageError as error:
            self.cause = error
            raise
        finally:
            # also when the probe was cancelled: a half-open breaker nobody probes never closes
            if closes:
                self._close()
            else:
                self._wait_seconds = min(2 * self._wait_seconds, MAX_WAIT_SECONDS)
                self._open(self.cause or StorageError(Fault.BROKEN))

    def _close(self) -> None:
        self.cause = None
        self.open_since = None
        self._outcomes.clear()
        self._become(BreakerState.CLOSED)

    def _become(self, state: BreakerState) -> None:
        if state is self.state:
            return
        self.state = state
        why = f": {self.cause}" if self.cause else ""
        _log.warning("circuit breaker is %s%s", state.value, why)
        for handler in self._handlers:
            try:
                handler(state)
            except Exception as error:  # noqa: BLE001  a listener's trouble must not be storage's
                bug(_log, error, "a handler of the circuit breaker")


def refusal_of_read(error: StorageError, retry_seconds: float) -> Refusal:
    """Return the answer to a caller when nothing could be read."""
    if error.fault is Fault.DAMAGED:
        return LogDamaged()
    return ReadsRefused(retry_seconds, error.told())


def refusal_of(error: StorageError, retry_seconds: float) -> Refusal:
    """Return the answer to the caller of a command that was not recorded."""
    match error.fault:
        case Fault.FULL:
            return StorageFull(retry_seconds)
        case Fault.DAMAGED:
            return LogDamaged()
        case Fault.BUSY | Fault.SLOW | Fault.READ_ONLY | Fault.BROKEN:
            return WritesRefused(retry_seconds, error.told())
