"""A clock that a test advances."""

from copy import copy

from inventory_grpc.application.ledger.clock import LogClock
from inventory_grpc.application.ports import Transaction
from inventory_grpc.domain.values import Instant
from tests.support.world import NOON


class ManualClock:
    """A wall clock and a monotonic one, in the hands of a test."""

    def __init__(self, wall: Instant = NOON, boot: str = "") -> None:
        self._wall = wall
        self._monotonic = 0
        self.boot = boot
        """The id of the start of the machine, if the system has one."""

    def wall(self) -> Instant:
        return self._wall

    def monotonic(self) -> int:
        return self._monotonic

    def seconds(self) -> float:
        return self._monotonic / 1e6

    def go_on(self, span: int) -> None:
        """Let time pass, for both."""
        self._wall = Instant(self._wall + span)
        self._monotonic += span

    def step_wall(self, span: int) -> None:
        """Set the wall clock."""
        self._wall = Instant(self._wall + span)

    def log_clock(self) -> LogClock:
        return LogClock(self.wall, self.monotonic, self.boot)

    def over_any_storage(self) -> LogClock:
        """Return a clock of the log that is in the hands of the test even on a server."""
        return _WithoutServer(self.wall, self.monotonic, self.boot)

    def reboot(self, boot: str) -> None:
        """Have the machine started anew."""
        self._monotonic = 0
        self.boot = boot


class _WithoutServer(LogClock):
    def read(self, transaction: Transaction, floor: Instant) -> Instant:
        transaction = copy(transaction)
        time = transaction.time
        if isinstance(time(), Instant):
            transaction.time = lambda: None  # type: ignore[method-assign]
        return super().read(transaction, floor)
