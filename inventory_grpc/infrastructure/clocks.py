"""Which clocks does this machine have?"""

import time

from inventory_grpc.domain.values import Instant


def wall() -> Instant:
    """Return what the wall clock says."""
    return Instant(time.time_ns() // 1_000)


def monotonic() -> int:
    """Return microseconds since some moment, those the machine slept included where known."""
    return time.clock_gettime_ns(_CLOCK) // 1_000


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
