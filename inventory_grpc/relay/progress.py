"""The progress of a relay, for its metrics, its health and the terminal."""

import time
from dataclasses import dataclass
from typing import Final

STALLED_SECONDS: Final = 60.0
"""A relay that has stood still for so long is unhealthy."""


@dataclass
class Progress:
    """The place of a relay in the log, and its work since its start."""

    position: int = 0
    """Every event up to it is published, or does not match the filter."""
    head: int = 0
    """The end of the log, as the server told last."""
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
    """The last time that it has moved, or that the server has told that it is at the end."""

    def __post_init__(self) -> None:
        self.moved = time.monotonic()

    @property
    def lag(self) -> int:
        return max(0, self.head - self.position)

    @property
    def still_seconds(self) -> float:
        """The time for which it has neither moved nor been told that it is at the end."""
        return time.monotonic() - self.moved

    def reached(self, position: int) -> None:
        if position != self.position or not self.lag:
            self.moved = time.monotonic()
        self.position = position

    def illness(self) -> str | None:
        """Return why the relay is unhealthy; None if it is not."""
        if self.is_parked or not self.is_connected:
            return self.trouble or "not connected yet"
        if self.still_seconds > STALLED_SECONDS:
            why = f"{self.lag} behind" if self.lag else "the server tells nothing"
            return f"still at {self.position} for {self.still_seconds:.0f} s, {why}"
        return None
