"""The progress of a relay, for its metrics, its health and the terminal."""

import time
from dataclasses import dataclass
from typing import Final

STALLED_SECONDS: Final = 60.0
"""A relay that is behind, and has not moved for so long, is unhealthy."""


@dataclass
class Progress:
    """The place of a relay in the log, and its work since its start."""

    position: int = 0
    """Every event up to it is published, or does not match the filter."""
    head: int = 0
    sent: int = 0
    refused: int = 0
    """Batches that the target has refused, because another event was the last."""
    failures: int = 0
    """Times that the target was unreachable."""
    is_connected: bool = False
    is_parked: bool = False
    """Whether the target refuses the next event for good."""
    trouble: str = ""
    """The last failure, until the target answers again."""
    moved: float = 0.0

    def __post_init__(self) -> None:
        self.moved = time.monotonic()

    @property
    def lag(self) -> int:
        return max(0, self.head - self.position)

    def reached(self, position: int, head: int) -> None:
        if position != self.position or position >= head:
            self.moved = time.monotonic()
        self.position, self.head = position, head

    def illness(self) -> str | None:
        """Return why the relay is unhealthy; None if it is not."""
        if self.is_parked or not self.is_connected:
            return self.trouble or "not connected yet"
        if self.lag and time.monotonic() - self.moved > STALLED_SECONDS:
            return f"still at {self.position} for {STALLED_SECONDS:.0f} s, {self.lag} behind"
        return None
