"""The clocks of this machine, and the id of its last boot."""

import time
from pathlib import Path
from typing import Final

from inventory_grpc.domain.values import Instant

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE: Final = Path("/proc/self/timens_offsets")


def wall() -> Instant:
    return Instant(time.time_ns() // 1_000)


def monotonic() -> int:
    """Return microseconds since boot, including suspended time where the system counts it.

    All processes of one boot agree on it, even those in a separate time namespace.
    """
    return (time.clock_gettime_ns(_CLOCK) - _AHEAD_NANOS) // 1_000


def boot() -> str:
    """Return the id of this boot; empty if the system has none.

    Containers see the id of their host, unless their runtime gives each container its own; then
    a restart of the container counts as a boot.
    """
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def namespace_nanos(offsets: str) -> int:
    """Return the offset of a time namespace from the machine's clock, in Linux's format."""
    for line in offsets.splitlines():
        match line.split():
            case ["boottime", seconds, nanos]:
                return int(seconds) * 1_000_000_000 + int(nanos)
    return 0


def _ahead_nanos() -> int:
    try:
        return namespace_nanos(_NAMESPACE.read_text("ascii"))
    except (OSError, ValueError):
        return 0


_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_AHEAD_NANOS: Final = _ahead_nanos()
