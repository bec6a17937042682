"""Time-ordered UUIDs, for ids that an index has to find."""

import time
from secrets import randbits
from threading import Lock
from typing import Final
from uuid import UUID

_RANDOM_BITS: Final = 74
_LOW_BITS: Final = 62
"""The random bits after those of the variant."""

_STEP_BITS: Final = 32


class _Sequence:
    """The timestamps and random bits of the UUIDs of this process, which only rise."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._last = 0

    def following(self) -> int:
        milliseconds = time.time_ns() // 1_000_000
        drawn = milliseconds << _RANDOM_BITS | randbits(_RANDOM_BITS)
        with self._lock:
            # in the same millisecond, or after a step of the clock backwards, go on from there
            self._last = max(drawn, self._last + 1 + randbits(_STEP_BITS))
            return self._last


_SEQUENCE: Final = _Sequence()


def uuid7() -> UUID:
    """Return a UUID of version 7 (RFC 9562), greater than all earlier ones of this process.

    Python has one from 3.14 on. Ids in the order of time are added at the end of an index, where
    random ones are added all over it.
    """
    number = _SEQUENCE.following()
    high, low = number >> _LOW_BITS, number & (1 << _LOW_BITS) - 1
    milliseconds, rest = high >> 12, high & 0xFFF
    return UUID(int=milliseconds << 80 | 7 << 76 | rest << 64 | 0b10 << 62 | low)
