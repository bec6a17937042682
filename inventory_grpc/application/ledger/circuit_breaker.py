"""The circuit breaker: refuses commands while storage fails, and probes it.

Closed: commands pass. Open: storage has failed, and commands are refused until a probe is due;
no caller's command is used as a probe. Half open: the probe is running. (Nygard, "Release It!";
the window is that of resilience4j, counted in calls.)
"""

import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import Enum
from typing import Final

from inventory_grpc.application.failures import (
    LogDamaged,
    OutcomeUnknown,
    ReadsRefused,
    StorageFull,
    WritesRefused,
    bug,
)
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.ports import Fault, MonotonicClock, StorageError
from inventory_grpc.domain.refusals import Refusal

_log = logging.getLogger(__name__)

WINDOW: Final = 20
"""The last transactions, over which the failure rate is computed."""

MIN_CALLS: Final = 10
"""The rate of fewer transactions is ignored."""

MAX_FAILURE_RATE: Final = 0.5

SLOW_SECONDS: Final = 10.0
"""A transaction that takes longer counts as a failure, even if it was committed."""

RETRY_SECONDS: Final = 0.5
"""The retry delay for a command whose transaction failed."""

FIRST_WAIT_SECONDS: Final = 0.5
MAX_WAIT_SECONDS: Final = 15.0


class BreakerState(Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half open"


class CircuitBreaker:
    """Opens on storage failures, never on refusals, and closes when a probe succeeds.

    A failed commit, a full disk and damage open it at once: nothing may be written until
    storage is reopened. A busy lock or a slow transaction opens it only if at least half of
    the last transactions failed in this way.
    """

    def __init__(self, clock: MonotonicClock, jitter: Callable[[], float]) -> None:
        self._clock = clock
        self._jitter = jitter
        self._outcomes: deque[bool] = deque(maxlen=WINDOW)
        self._wait_seconds = FIRST_WAIT_SECONDS
        self._probe_at = 0
        self._handlers: list[Callable[[BreakerState], None]] = []
        self.state = BreakerState.CLOSED
        self.changes = dict.fromkeys(BreakerState, 0)
        """The number of changes to each state."""
        self.cause: StorageError | None = None
        """The last storage failure, while the breaker is not closed."""
        self.open_since: int | None = None
        """The time when it last opened after being closed, on the injected clock."""

    @property
    def fault(self) -> Fault | None:
        return self.cause.fault if self.cause else None

    def on_change(self, handler: Callable[[BreakerState], None]) -> None:
        """Call *handler* with every new state."""
        self._handlers.append(handler)

    def check(self) -> None:
        """Raise a refusal unless the breaker is closed.

        Raises:
            WritesRefused, StorageFull, LogDamaged: it is not; the first two have the retry delay.
        """
        if self.state is not BreakerState.CLOSED:
            raise self.refusal()

    def refusal(self) -> Refusal:
        """Return the refusal for callers while it is not closed."""
        return refusal_of(self.cause or StorageError(Fault.BROKEN), max(self.retry_seconds(), 0.05))

    def retry_seconds(self) -> float:
        """Return the time until the next probe."""
        return max(0.0, (self._probe_at - self._clock()) / 1e6)

    def is_hopeless(self, seconds: float) -> bool:
        """Return whether storage has been `BROKEN` for this long; other faults may end."""
        return (
            self.fault is Fault.BROKEN
            and self.open_since is not None
            and self._clock() - self.open_since > seconds * 1e6
        )

    def succeeded(self, seconds: float) -> None:
        """Count a committed transaction."""
        if seconds > SLOW_SECONDS:
            self._note(StorageError(Fault.SLOW, why=f"a transaction took {seconds:.1f} s"))
        else:
            self._note(None)

    def failed(self, error: StorageError) -> None:
        """Count a failed transaction."""
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
        """Run a probe: close the breaker if it succeeds, else double the wait.

        Raises:
            StorageError: the probe has failed.
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
            # also after cancellation: a breaker left half open would never close
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
        self.changes[state] += 1
        why = f": {self.cause}" if self.cause else ""
        _log.warning("circuit breaker is %s%s", state.value, why)
        for handler in self._handlers:
            try:
                handler(state)
            except Exception as error:  # noqa: BLE001  an error in a handler must not affect storage
                bug(_log, error, "a handler of the circuit breaker")


def refusal_of_read(error: StorageError, retry_seconds: float) -> Refusal:
    """Return the refusal for a query whose read failed."""
    if error.fault in {Fault.DAMAGED, Fault.REWOUND}:
        return LogDamaged(is_rewound=error.fault is Fault.REWOUND)
    return ReadsRefused(retry_seconds, error.public_message())


def refusal_of(error: StorageError, retry_seconds: float) -> Refusal:
    """Return the refusal for a command that was not recorded."""
    match error.fault:
        case Fault.FULL:
            return StorageFull(retry_seconds)
        case Fault.DAMAGED | Fault.REWOUND:
            return LogDamaged(is_rewound=error.fault is Fault.REWOUND)
        case Fault.SEALED:
            return WritesRefused(MAX_WAIT_SECONDS, error.public_message())
        case Fault.BUSY | Fault.SLOW | Fault.READ_ONLY | Fault.BROKEN | Fault.FAILED_OVER:
            return WritesRefused(retry_seconds, error.public_message())


def refusal_after(error: StorageError, submission: Submission) -> Refusal:
    """Return the refusal for a command whose transaction failed."""
    if error.committing:
        return OutcomeUnknown(submission.key.request_id if submission.key else "")
    return refusal_of(error, RETRY_SECONDS)
