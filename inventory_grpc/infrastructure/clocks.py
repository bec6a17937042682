"""The clocks of this machine, and the id of its last start."""

import time
from pathlib import Path
from typing import Final

from inventory_grpc.domain.values import Instant

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE: Final = Path("/proc/self/timens_offsets")


def wall() -> Instant:
    """Return what the wall clock says."""
    return Instant(time.time_ns() // 1_000)


def monotonic() -> int:
    """Return microseconds since the machine was started, those it slept included where known.

    All processes of one boot agree on it, also those in a time namespace of their own.
    """
    return (time.clock_gettime_ns(_CLOCK) - _AHEAD_NANOS) // 1_000


def boot() -> str:
    """Return the id of this start of the machine; empty where the system has none.

    Containers see that of their host, unless their runtime gives each of them one of its own:
    then a restart of the container is a restart of the machine.
    """
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def namespace_nanos(offsets: str) -> int:
    """Return by how much a time namespace is ahead of the machine, as Linux tells it."""
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
