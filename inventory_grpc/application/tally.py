"""A histogram without a library."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

SECONDS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
"""The bounds of every duration, so that the layers of a call can be laid over each other."""

SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Tally:
    """Counts values; one thread adds at a time, any other may read."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """The number of values up to each bound and above the previous one, and above the last."""
        self.total = 0.0
        """The sum of all values."""

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value
